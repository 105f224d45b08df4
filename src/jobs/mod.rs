//! One-shot jobs: each does one thing on the daemon's own code, and ends.

mod evaluate;
mod generate;
mod grade;
mod inspect;
mod score;
mod train;

pub(crate) use evaluate::evaluate;
pub(crate) use generate::generate;
pub(crate) use grade::grade;
pub(crate) use inspect::inspect;
pub(crate) use score::score;
pub(crate) use train::train;

use std::io::{self, BufRead, BufReader, IsTerminal};
use std::{fs::File, path::Path};

use still_control::Exit;
use still_daemon::config::Device;
use still_policy::TensorPrecision;

use crate::failure::{Failure, OrExit};

/// A file to read, or standard input for `-`.
fn open_input(path: &Path) -> Result<Box<dyn BufRead>, Failure> {
    if path.as_os_str() == "-" {
        if io::stdin().is_terminal() {
            eprintln!("reading standard input; end it with Ctrl-D");
        }
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    // opening one succeeds, and every read of it fails
    if path.is_dir() {
        let reason = format!("`{}` is a directory: name a file in it", path.display());
        return Err(Failure::new(Exit::BadInput, reason));
    }
    let file = File::open(path).map_err(|error| format!("`{}`: {error}", path.display()));
    Ok(Box::new(BufReader::new(file.or_exit(Exit::BadInput)?)))
}

/// How output that cannot be written ends a job: a reader that has seen enough is no failure.
fn output_failed(error: &io::Error) -> Failure {
    let exit = if error.kind() == io::ErrorKind::BrokenPipe { Exit::Success } else { Exit::Internal };
    Failure::new(exit, format!("the output cannot be written: {error}"))
}

/// What a job stores a model's matrices in.
const fn precision(device: Device) -> TensorPrecision {
    match device {
        Device::Cpu => TensorPrecision::F32,
        Device::Cuda(_) => TensorPrecision::Bf16,
    }
}
