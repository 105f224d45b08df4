//! Everything there is to see on a GPU, as one program that needs no toolchain beside it.
//!
//! ```text
//! gpu_bench DEVICE CHECK [BANDWIDTH_GB_PER_S]
//! ```
//! `DEVICE` is `cuda:0` or, to try the program itself, `cpu`. `CHECK` is one of
//! `parity`, `memory`, `decode-0.5b`, `decode-7b`, `steady-0.5b`, `steady-7b`, `train-7b` and, for the
//! trial, `decode-tiny`, `steady-tiny`, `train-tiny`. Each prints lines of JSON and ends with exit code 1 when
//! something is not as it should be. `benches/gpu.sh` runs them all.

#![expect(clippy::print_stdout, reason = "a program that reports")]

mod checks;
mod models;
mod speed;
mod training;

use std::{error::Error, process::ExitCode};

use still_tensor_decoder::DeviceName;

/// What a check ends with: whether all was as it should be.
type Outcome = Result<bool, Box<dyn Error>>;

/// Memory bandwidth of an H100 SXM, in GB/s, where none is given.
const H100_BANDWIDTH: f64 = 3350.0;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("gpu_bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (Some(device), Some(check)) = (arguments.first(), arguments.get(1)) else {
        return Err("say `gpu_bench DEVICE CHECK [BANDWIDTH_GB_PER_S]`".into());
    };
    let name: DeviceName = device.parse()?;
    let device = name.open()?;
    let bandwidth = arguments.get(2).map_or(Ok(H100_BANDWIDTH), |text| text.parse())?;
    let (kind, size) = check.split_once('-').unwrap_or((check, ""));
    let model = models::Shape::from_name(size);
    match (kind, model) {
        ("parity", _) => checks::parity(&device),
        ("memory", _) => checks::memory(name, &device),
        ("decode", Some(model)) => speed::decode(&device, model, bandwidth),
        ("steady", Some(model)) => speed::steady(&device, model),
        ("train", Some(model)) => training::step(name, &device, model),
        _ => Err(format!("`{check}` is no check").into()),
    }
}
