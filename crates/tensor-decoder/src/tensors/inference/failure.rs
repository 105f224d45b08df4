//! What a device's errors and panics mean to an engine.
//!
//! `CubeCL` reports late: a buffer that could not be had is marked, whatever would read it is skipped and marked
//! in turn, and the first read of such a buffer by the host tells the cause. burn passes it on as text
//! (`ExecutionError`). Some paths, tuning among them, panic instead. Both end here.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use burn::tensor::ExecutionError;
use still_rollout::StepError;

/// What `CubeCL`'s errors say when memory is short (cubecl-runtime 0.11, `server/base.rs`, `IoError` and
/// `LaunchError`), and the CUDA driver's own word for it.
const OUT_OF_MEMORY: [&str; 6] = [
    "out of device memory",
    "out-of-memory",
    "can't allocate buffer of size",
    "every page size the memory tracks still holds live allocations",
    "CUDA_ERROR_OUT_OF_MEMORY",
    "OutOfMemory",
];

/// Runs device work; panics become errors.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, ExecutionError>) -> Result<T, StepError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(classify(&error.to_string())),
        Err(panic) => Err(classify(panic_text(&*panic))),
    }
}

/// Tells a lack of memory, which a smaller step may avoid, from every other failure.
pub(super) fn classify(text: &str) -> StepError {
    let cause = first_lines(text);
    if OUT_OF_MEMORY.iter().any(|word| text.contains(word)) {
        StepError::OutOfMemory(cause)
    } else {
        StepError::Device(cause)
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a text")
}

/// The text up to its backtrace, in one line.
fn first_lines(text: &str) -> String {
    let lines = text.lines().map(str::trim).take_while(|line| !line.to_lowercase().starts_with("backtrace"));
    let causes: Vec<_> = lines.filter(|line| !line.is_empty()).take(8).collect();
    if causes.is_empty() { "no cause is given".to_owned() } else { causes.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_of_memory_is_told_from_other_failures_however_it_comes() {
        let read = ExecutionError::WithContext {
            reason: "An error happened\nCaused by:\n  out of device memory allocating 4096 bytes\n\
                     Backtrace:\n   0: somewhere"
                .to_owned(),
        };
        let error = guarded::<()>(|| Err(read)).unwrap_err();
        let StepError::OutOfMemory(cause) = &error else { unreachable!("{error}") };
        assert!(cause.contains("allocating 4096 bytes") && !cause.contains("somewhere"), "{cause}");

        let error = guarded::<()>(|| std::panic::panic_any("can't allocate buffer of size: 7".to_owned()));
        assert!(matches!(error, Err(StepError::OutOfMemory(_))));
        let error = guarded::<()>(|| std::panic::panic_any("an illegal memory access"));
        assert_eq!(error, Err(StepError::Device("an illegal memory access".to_owned())));
        assert_eq!(guarded(|| Ok(7)), Ok(7));
    }
}
