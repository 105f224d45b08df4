//! The daemon's side of a start: pipes, the children, and what they report.

#![expect(unsafe_code, reason = "wait4 is the only call that gives a child's processor time")]

use std::{
    io::{self, PipeReader, PipeWriter, Read},
    os::fd::{AsFd, OwnedFd},
    sync::OnceLock,
    time::Duration,
};

use rustix::process::{
    DumpableBehavior, Pid, PidfdFlags, Signal, dumpable_behavior, pidfd_open, pidfd_send_signal,
    set_dumpable_behavior,
};

use crate::{
    child::{Ends, Prepared},
    error::{SandboxError, Unavailable},
    plan::Plan,
    step::{STARTED, Step},
};

/// A confined program that runs, with the daemon's ends of its streams. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) input: Option<PipeWriter>,
    pub(crate) output: PipeReader,
    pub(crate) error: PipeReader,
    /// Readable once the program has ended.
    pub(crate) ended: OwnedFd,
    /// Its id on the host.
    pub(crate) id: Pid,
    is_reaped: bool,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) status: i32,
    pub(crate) cpu: Duration,
}

impl Running {
    /// Starts what the plan says.
    pub(crate) fn start(plan: &Plan) -> Result<Self, SandboxError> {
        let (inner_input, input) = io::pipe()?;
        let (output, inner_output) = io::pipe()?;
        let (error, inner_error) = io::pipe()?;
        let (report, inner_report) = io::pipe()?;
        let mut prepared = Prepared::new(plan);
        let ends = Ends {
            input: inner_input.as_fd(),
            output: inner_output.as_fd(),
            error: inner_error.as_fd(),
            report: inner_report.as_fd(),
            report_reader: report.as_fd(),
        };
        let first = {
            let _dumpable = Dumpable::keep();
            prepared.start(ends)?
        };
        drop((inner_input, inner_output, inner_error, inner_report));
        let messages = read_messages(report);
        wait(first)?;
        let messages = messages?;

        let second = messages.iter().find(|(kind, _)| *kind == STARTED).map(|(_, id)| *id);
        let failure = messages.iter().find(|(kind, _)| *kind != STARTED);
        let running = match second.and_then(Pid::from_raw) {
            Some(id) => match pidfd_open(id, PidfdFlags::empty()) {
                Ok(ended) => Some(Self { input: Some(input), output, error, ended, id, is_reaped: false }),
                Err(errno) => {
                    // Without a handle it can still be ended by its id, which is ours until it is reaped.
                    let _ = rustix::process::kill_process(id, Signal::KILL);
                    wait(id.as_raw_nonzero().get())?;
                    return Err(Unavailable {
                        feature: "process handles (pidfd_open, Linux 5.3)",
                        remedy: "use a newer kernel",
                        source: errno.into(),
                    }
                    .into());
                }
            },
            None => None,
        };
        match (failure, running) {
            (Some((kind, errno)), _) => Err(failed(plan, *kind, *errno)),
            (None, Some(running)) => Ok(running),
            (None, None) => Err(io::Error::other("the child ended before it started the program").into()),
        }
    }

    /// Kills the program and everything that it started.
    pub(crate) fn kill(&self) {
        // It may have ended by itself: then there is nothing left to kill.
        let _ = pidfd_send_signal(&self.ended, Signal::KILL);
    }

    /// Waits for the end. When it returns, no process of the jail is left: the kernel ends and reaps all
    /// others of the process namespace before its first process counts as ended.
    pub(crate) fn finish(mut self) -> io::Result<Ending> {
        self.is_reaped = true;
        wait(self.id.as_raw_nonzero().get())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_reaped {
            self.kill();
            // The error would be that somebody else has reaped it.
            let _ = wait(self.id.as_raw_nonzero().get());
        }
    }
}

/// Restores what a change of user id takes from the memory that child and daemon share: whether it may be
/// dumped when it crashes, and inspected by its own user.
struct Dumpable(DumpableBehavior);

impl Dumpable {
    fn keep() -> Option<Self> {
        // As it was before the first start: a start in another thread may have changed it by now.
        static BEFORE: OnceLock<Option<DumpableBehavior>> = OnceLock::new();
        BEFORE.get_or_init(|| dumpable_behavior().ok()).map(Self)
    }
}

impl Drop for Dumpable {
    fn drop(&mut self) {
        // Root's read-only setting cannot be set by hand; then nothing was lost.
        let _ = set_dumpable_behavior(self.0);
    }
}

/// Reads the child's messages until the program starts or the child gives up: both close the pipe.
fn read_messages(mut report: PipeReader) -> io::Result<Vec<(u32, i32)>> {
    let mut bytes = Vec::new();
    report.read_to_end(&mut bytes)?;
    let number = |bytes: &[u8]| bytes.try_into().map_or([0; 4], |bytes: [u8; 4]| bytes);
    let message = |chunk: &[u8]| {
        let (kind, value) = chunk.split_at(4);
        (u32::from_ne_bytes(number(kind)), i32::from_ne_bytes(number(value)))
    };
    Ok(bytes.chunks_exact(8).map(message).collect())
}

/// Puts the child's failure into words.
fn failed(plan: &Plan, kind: u32, errno: i32) -> SandboxError {
    let source = io::Error::from_raw_os_error(errno);
    match Step::ALL.into_iter().find(|step| *step as u32 == kind) {
        Some(Step::Execute) => {
            SandboxError::Command { command: plan.executable.to_string_lossy().into_owned(), source }
        }
        Some(step) => {
            let (feature, remedy) = step.feature();
            Unavailable { feature, remedy, source }.into()
        }
        None => io::Error::other(format!("the child reported an unknown step {kind}")).into(),
    }
}

fn wait(id: libc::pid_t) -> io::Result<Ending> {
    let mut status = 0;
    // SAFETY: all zero is a valid `rusage`.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are valid for the call.
        let waited = unsafe { libc::wait4(id, &raw mut status, 0, &raw mut usage) };
        if waited >= 0 {
            let time = |time: libc::timeval| {
                Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
            };
            return Ok(Ending { status, cpu: time(usage.ru_utime) + time(usage.ru_stime) });
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
