//! Bare system calls of a child that shares the daemon's memory: no allocation, no locks, no unwinding.

#![expect(unsafe_code, reason = "files are written and messages sent by bare system calls")]

use std::{ffi::CStr, os::fd::RawFd};

use crate::step::Step;

/// A step that failed, and the kernel's error number.
pub(crate) type Failure = (Step, i32);

/// Writes a file whole; gives the kernel's error number.
pub(crate) fn write_file(path: &CStr, mut bytes: &[u8], flags: libc::c_int) -> Result<(), i32> {
    // SAFETY: the path is a C string; the buffer is valid for its length.
    unsafe {
        let file = libc::open(path.as_ptr(), flags | libc::O_CLOEXEC, 0o644 as libc::c_uint);
        if file < 0 {
            return Err(last_error());
        }
        while !bytes.is_empty() {
            let written = libc::write(file, bytes.as_ptr().cast(), bytes.len());
            let Some(rest) = usize::try_from(written).ok().and_then(|written| bytes.get(written..)) else {
                return Err(last_error());
            };
            bytes = rest;
        }
        libc::close(file);
    }
    Ok(())
}

/// Writes a message of a number and a value to the daemon.
pub(crate) fn send(report: RawFd, kind: u32, value: i32) {
    let mut message = [0_u8; 8];
    message[..4].copy_from_slice(&kind.to_ne_bytes());
    message[4..].copy_from_slice(&value.to_ne_bytes());
    // SAFETY: the message is valid for its length. Pipes take eight bytes whole or not at all.
    unsafe { libc::write(report, message.as_ptr().cast(), message.len()) };
}

/// The step's failure where a call returned less than zero.
pub(crate) fn check(step: Step, result: libc::c_int) -> Result<(), Failure> {
    if result < 0 { Err((step, last_error())) } else { Ok(()) }
}

/// The same for calls that return a long number.
pub(crate) fn check_long(step: Step, result: libc::c_long) -> Result<(), Failure> {
    if result < 0 { Err((step, last_error())) } else { Ok(()) }
}

/// The error number of the last call that failed.
pub(crate) fn last_error() -> i32 {
    // SAFETY: the C library's error number of this thread.
    unsafe { *libc::__errno_location() }
}
