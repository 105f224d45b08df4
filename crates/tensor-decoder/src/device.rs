//! Where tensors live, by name.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::Device;

#[cfg(feature = "cuda")]
use crate::tensors::cuda;

/// A device's name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum DeviceName {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA GPU by its number.
    Cuda(usize),
}

/// A device's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceMemory {
    /// What nobody has taken, in bytes.
    pub free_bytes: usize,
    /// All of it, in bytes.
    pub total_bytes: usize,
}

/// Why a device cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeviceError {
    /// The text names no device.
    #[error("`{0}` names no device: write `cpu`, or `cuda:0` for the first GPU")]
    Name(String),
    /// This program was built without GPU support.
    #[error(
        "{0} is asked for, but this program was built without GPU support: build with `--features cuda`, or ask for `cpu`"
    )]
    NotBuilt(DeviceName),
    /// The driver does not give the device.
    #[error("{device} cannot be used: {reason}")]
    Unavailable {
        /// The device.
        device: DeviceName,
        /// What is amiss, and the remedy.
        reason: String,
    },
}

impl DeviceName {
    /// The device, ready for tensors.
    ///
    /// # Errors
    /// When the program was built without support for it, or the driver does not give it.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            #[cfg(feature = "tensors")]
            Self::Cpu => Ok(Device::flex()),
            #[cfg(feature = "cuda")]
            Self::Cuda(number) => {
                cuda::open(number).map_err(|reason| DeviceError::Unavailable { device: self, reason })
            }
            #[cfg(not(feature = "cuda"))]
            _ => Err(DeviceError::NotBuilt(self)),
        }
    }

    /// The memory of a GPU, as its driver tells it; `None` for the processor and where no driver answers.
    pub fn memory(self) -> Option<DeviceMemory> {
        match self {
            Self::Cpu => None,
            #[cfg(feature = "cuda")]
            Self::Cuda(number) => cuda::memory(number),
            #[cfg(not(feature = "cuda"))]
            Self::Cuda(_) => None,
        }
    }
}

impl FromStr for DeviceName {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "cpu" {
            return Ok(Self::Cpu);
        }
        let number = text.strip_prefix("cuda:").and_then(|number| number.parse().ok());
        number.map(Self::Cuda).ok_or_else(|| DeviceError::Name(text.to_owned()))
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_their_text_form_and_others_are_refused_with_the_remedy() {
        for name in [DeviceName::Cpu, DeviceName::Cuda(0), DeviceName::Cuda(7)] {
            assert_eq!(name.to_string().parse(), Ok(name));
        }
        for text in ["gpu", "cuda", "cuda:x", ""] {
            assert!(text.parse::<DeviceName>().unwrap_err().to_string().contains("cuda:0"));
        }
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_gpu_is_refused_by_a_program_that_cannot_use_one() {
        let error = DeviceName::Cuda(0).open().unwrap_err();
        assert!(error.to_string().contains("--features cuda"), "{error}");
    }
}
