//! A trainer and everything that it starts, as one.
//!
//! Launchers start their workers in sessions of their own, so that no process group holds all of them. What does is a
//! variable of the environment, which every process hands on to those that it starts: it is looked for in `/proc`. The
//! trainer's own process is killed by the kernel when the daemon ends, however that ends; what it started ends by itself,
//! or is found by the next daemon before it starts anew.

#![expect(unsafe_code, reason = "only between fork and exec a child can ask to be killed with its parent")]

use std::{
    ffi::OsString,
    fs,
    io::{self, Read},
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStringExt, process::CommandExt},
    },
    path::Path,
    process::{self, Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam::channel::{Receiver, Sender, unbounded};
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{
        Pid, PidfdFlags, Signal, getppid, pidfd_open, pidfd_send_signal, set_parent_process_death_signal,
    },
};

use crate::{
    log::{TrainerLog, lines},
    protocol::TrainerLine,
};

/// Names the job's folder in the environment of a trainer.
pub(crate) const JOB_VARIABLE: &str = "STILL_JOB";
/// Names the start, so that one start is not taken for another.
const RUN_VARIABLE: &str = "STILL_RUN";

/// Longest wait for the end of what was killed.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// Starts of this process.
static STARTS: AtomicU64 = AtomicU64::new(0);

/// What is heard of a trainer.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A line that means to be read.
    Line(Result<TrainerLine, String>),
    /// It has ended, and everything that it started; nothing more is heard.
    Ended(io::Result<ExitStatus>),
}

/// A trainer that runs. Dropping it kills it with everything that it started, and waits for that.
#[derive(Debug)]
pub(crate) struct TrainerProcess {
    mark: Mark,
    heard: Receiver<Heard>,
    waiter: JoinHandle<()>,
}

/// A variable by which processes are found.
#[derive(Debug, Clone)]
struct Mark(Arc<[u8]>);

impl TrainerProcess {
    /// Starts the command in a process group of its own.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(mut command: Command, job: &Path, log: &Arc<TrainerLog>) -> io::Result<Self> {
        let run = format!("{}-{}", process::id(), STARTS.fetch_add(1, Ordering::Relaxed));
        command.env(JOB_VARIABLE, job).env(RUN_VARIABLE, &run);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let daemon = Pid::from_raw(process::id().cast_signed());
        // SAFETY: what runs between fork and exec makes two system calls and takes no lock and no memory.
        unsafe {
            command.pre_exec(move || {
                set_parent_process_death_signal(Some(Signal::KILL))?;
                // a daemon that was gone before the call is never told of
                if getppid() == daemon { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
            });
        }
        let mut child = command.spawn()?;
        let (tell, heard) = unbounded();
        let mark = Mark::new(RUN_VARIABLE, run.into());
        let streams = [
            child.stdout.take().map(|stream| read(stream, log, Some(tell.clone()))),
            child.stderr.take().map(|stream| read(stream, log, None)),
        ];
        let left = mark.clone();
        let waiter = thread::Builder::new()
            .name("trainer-wait".to_owned())
            .spawn(move || wait(child, &left, streams.into_iter().flatten().collect(), &tell))?;
        Ok(Self { mark, heard, waiter })
    }

    /// What is heard of it, in order.
    pub(crate) const fn heard(&self) -> &Receiver<Heard> {
        &self.heard
    }

    /// Asks it, and everything that it started, to end.
    pub(crate) fn terminate(&self) {
        self.mark.signal(Signal::TERM);
        // what is stopped hears of it when it goes on
        self.mark.signal(Signal::CONT);
    }

    /// Ends it, and everything that it started.
    pub(crate) fn kill(&self) {
        self.mark.signal(Signal::KILL);
    }

    /// Takes all processors away from it, or gives them back.
    pub(crate) fn pause(&self, is_paused: bool) {
        self.mark.signal(if is_paused { Signal::STOP } else { Signal::CONT });
    }
}

impl Drop for TrainerProcess {
    fn drop(&mut self) {
        if !self.waiter.is_finished() {
            self.kill();
            // the last word comes at once, unless the kernel itself hangs: then nobody is helped by waiting
            let until = Instant::now() + KILL_PATIENCE;
            while let Ok(word) = self.heard.recv_deadline(until) {
                if matches!(word, Heard::Ended(_)) {
                    return;
                }
            }
        }
    }
}

/// Kills what an earlier daemon's trainers of a job have left, and waits until it is gone.
pub(crate) fn sweep(job: &Path) -> usize {
    Mark::new(JOB_VARIABLE, job.as_os_str().to_owned()).end_all()
}

/// Waits for the trainer, ends what it leaves behind, and tells once everything that it said is told.
fn wait(mut child: Child, left: &Mark, streams: Vec<io::Result<JoinHandle<()>>>, tell: &Sender<Heard>) {
    let ended = child.wait();
    // whoever holds its streams open would be waited for
    left.end_all();
    for stream in streams.into_iter().flatten() {
        let _read = stream.join();
    }
    let _nobody_listens = tell.send(Heard::Ended(ended));
}

/// Reads a stream on a thread: lines that mean to be read are told, all others are the log's.
fn read(
    stream: impl Read + Send + 'static,
    log: &Arc<TrainerLog>,
    tell: Option<Sender<Heard>>,
) -> io::Result<JoinHandle<()>> {
    let log = Arc::clone(log);
    thread::Builder::new().name("trainer-output".to_owned()).spawn(move || {
        lines(stream, |line| match tell.as_ref().zip(TrainerLine::read(line)) {
            Some((tell, read)) => {
                let _nobody_listens = tell.send(Heard::Line(read));
            }
            None => log.add(line),
        });
    })
}

impl Mark {
    fn new(variable: &str, value: OsString) -> Self {
        Self([variable.as_bytes(), b"=", &value.into_vec()].concat().into())
    }

    /// Handles of all processes that have the variable, but this one. A handle is taken before the environment is
    /// looked at, so that it is of that very process.
    fn members(&self) -> Vec<OwnedFd> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let others = ids.filter(|id| id.cast_unsigned() != process::id());
        others
            .filter_map(|id| {
                let handle = pidfd_open(Pid::from_raw(id)?, PidfdFlags::empty()).ok()?;
                let environment = fs::read(format!("/proc/{id}/environ")).ok()?;
                environment.split(|byte| *byte == 0).any(|one| *one == *self.0).then_some(handle)
            })
            .collect()
    }

    fn signal(&self, signal: Signal) {
        for member in self.members() {
            // one that has ended meanwhile needs no signal
            let _ = pidfd_send_signal(&member, signal);
        }
    }

    /// Kills all of them, again and again until none is left, and gives how many there were.
    fn end_all(&self) -> usize {
        let mut count = 0;
        loop {
            let members = self.members();
            if members.is_empty() {
                return count;
            }
            for member in members {
                count += 1;
                if pidfd_send_signal(&member, Signal::KILL).is_ok() {
                    let mut ended = [PollFd::new(&member, PollFlags::IN)];
                    let _readable_once_it_has_ended = poll(&mut ended, None);
                }
            }
        }
    }
}
