//! NVIDIA GPUs: what must be there for CubeCL's runtime, and a GPU's memory.
//!
//! The runtime panics, on a thread of its own, for a driver, a GPU or a compiler that is not there. So each is
//! looked for before the runtime is asked.

use burn::tensor::{Device, Tensor};
use cubecl_cuda::install::cuda_path;
use cudarc::driver::{CudaContext, DriverError};

use super::inference::panic_text;
use crate::DeviceMemory;

/// Opens a GPU and proves it with a first tensor, so that what is amiss shows here and not in mid-run.
///
/// # Errors
/// With what is missing and the remedy.
pub(crate) fn open(number: usize) -> Result<Device, String> {
    find_gpu(number)?;
    find_compiler()?;
    let proof = std::panic::catch_unwind(|| {
        let device = Device::cuda(number);
        let ones = Tensor::<1>::ones([8], &device);
        ones.sum().try_into_scalar::<f32>().map(|_| device).map_err(|error| format!("{error:?}"))
    });
    let proof = proof.unwrap_or_else(|panic| Err(format!("a panic ({})", panic_text(&*panic))));
    proof.map_err(|reason| {
        format!("a first tensor failed with {reason}; see what stands above, and `nvidia-smi`")
    })
}

/// The memory of a GPU, as its driver tells it.
pub(crate) fn memory(number: usize) -> Option<DeviceMemory> {
    find_gpu(number).ok()?;
    let (free_bytes, total_bytes) = CudaContext::new(number).and_then(|gpu| gpu.mem_get_info()).ok()?;
    Some(DeviceMemory { free_bytes, total_bytes })
}

fn find_gpu(number: usize) -> Result<(), String> {
    if !is_driver_present() {
        return Err("no NVIDIA driver is found (libcuda.so): install it, or use `cpu`".to_owned());
    }
    let refused =
        |error: DriverError| format!("the driver refuses with {error}: see `nvidia-smi`, or use `cpu`");
    let gpus = CudaContext::device_count().map_err(refused)?;
    if number < usize::try_from(gpus).unwrap_or(0) {
        return Ok(());
    }
    Err(format!("the driver numbers its GPUs from 0 and has {gpus}: see `nvidia-smi -L`"))
}

/// What kernels are compiled with: NVRTC and the CUDA headers.
fn find_compiler() -> Result<(), String> {
    if !is_nvrtc_present() {
        return Err(
            "NVRTC, which compiles its kernels, is not found: name the folder of libnvrtc.so in LD_LIBRARY_PATH".to_owned()
        );
    }
    let Some(toolkit) = cuda_path() else {
        return Err("the CUDA headers are not found: set CUDA_PATH to the folder whose include/ holds them"
            .to_owned());
    };
    let header = toolkit.join("include/cuda_fp16.h");
    if header.is_file() {
        Ok(())
    } else {
        Err(format!("{} is missing: set CUDA_PATH to the folder whose include/ holds it", header.display()))
    }
}

#[expect(unsafe_code, reason = "cudarc marks the loading of any library so")]
fn is_driver_present() -> bool {
    // SAFETY: loading NVIDIA's driver runs nothing but its own initialisers
    unsafe { cudarc::driver::sys::is_culib_present() }
}

#[expect(unsafe_code, reason = "cudarc marks the loading of any library so")]
fn is_nvrtc_present() -> bool {
    // SAFETY: loading NVRTC runs nothing but its own initialisers
    unsafe { cudarc::nvrtc::sys::is_culib_present() }
}
