//! A command and everything that it starts, as one.
//!
//! Launchers start their workers in sessions of their own, so that no process group holds all of them. What does is a
//! variable of the environment, which every process hands on to those that it starts: it is looked for in `/proc`. A process
//! that has overwritten its environment, as one does that gives itself a title, is found by its group. The
//! command's own process is killed by the kernel when the daemon ends, however that ends; what it started ends by itself,
//! or is found by the next daemon before it starts anew.

#![expect(unsafe_code, reason = "only between fork and exec a child can ask to be killed with its parent")]

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::{self, Read},
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStringExt, process::CommandExt},
    },
    process::{self, Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crossbeam::channel::{Receiver, Sender, TryRecvError, bounded};
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{
        Pid, PidfdFlags, Signal, getppid, pidfd_open, pidfd_send_signal, set_parent_process_death_signal,
    },
};

use crate::log::{ProcessLog, lines};

/// Names the start in the environment, so that one start is not taken for another.
const RUN_VARIABLE: &str = "STILL_RUN";
/// Has programs of Python that give themselves a title leave their environment readable.
const TITLES_VARIABLE: &str = "SPT_NOENV";

/// Longest wait for the end of what was killed.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// Starts of this process.
static STARTS: AtomicU64 = AtomicU64::new(0);

/// What is heard of a command.
#[derive(Debug)]
pub enum Heard<L> {
    /// A line of standard output that means to be read.
    Line(L),
    /// It has ended, and everything that it started; nothing more is heard.
    Ended(io::Result<ExitStatus>),
}

/// A command that runs. Dropping it kills it with everything that it started, and waits for that.
#[derive(Debug)]
pub struct ProcessTree {
    mark: Mark,
    id: u32,
    /// Closes once it has ended and that was told.
    over: Receiver<()>,
}

/// What processes are found by.
#[derive(Debug, Clone)]
struct Mark {
    /// A variable with its value.
    variable: Arc<[u8]>,
    /// The group of the command, where it is known.
    group: Option<Pid>,
}

impl ProcessTree {
    /// Starts the command in a process group of its own. What it prints is the log's, but for lines of standard output that
    /// `read` takes for something: they and its end are told, in order. The kernel kills it when the thread that calls this
    /// ends.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start<L: Send + 'static>(
        mut command: Command,
        log: &Arc<ProcessLog>,
        read: fn(&str) -> Option<L>,
        tell: impl Fn(Heard<L>) + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let run = format!("{}-{}", process::id(), STARTS.fetch_add(1, Ordering::Relaxed));
        command.env(RUN_VARIABLE, &run).env(TITLES_VARIABLE, "1");
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
        let id = child.id();
        let mark = Mark { group: Pid::from_raw(id.cast_signed()), ..Mark::new(RUN_VARIABLE, run.into()) };
        let told = tell.clone();
        let streams = [
            child.stdout.take().map(|stream| {
                follow(stream, log, move |line| match read(line) {
                    Some(line) => {
                        told(Heard::Line(line));
                        true
                    }
                    None => false,
                })
            }),
            child.stderr.take().map(|stream| follow(stream, log, |_| false)),
        ];
        let (open, over) = bounded(0);
        let left = mark.clone();
        thread::Builder::new()
            .name("process-wait".to_owned())
            .spawn(move || wait(child, &left, streams.into_iter().flatten().collect(), tell, open))?;
        Ok(Self { mark, id, over })
    }

    /// The number of the command's own process.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Asks it, and everything that it started, to end.
    pub fn terminate(&self) {
        self.mark.signal(Signal::TERM);
        // what is stopped hears of it when it goes on
        self.mark.signal(Signal::CONT);
    }

    /// Ends it, and everything that it started.
    pub fn kill(&self) {
        self.mark.signal(Signal::KILL);
    }

    /// Takes all processors away from it, or gives them back.
    pub fn pause(&self, is_paused: bool) {
        self.mark.signal(if is_paused { Signal::STOP } else { Signal::CONT });
    }
}

impl Drop for ProcessTree {
    fn drop(&mut self) {
        if self.over.try_recv() == Err(TryRecvError::Empty) {
            self.kill();
            // the end comes at once, unless the kernel itself hangs: then nobody is helped by waiting
            let _it_closes = self.over.recv_timeout(KILL_PATIENCE);
        }
    }
}

/// Kills whatever has the variable, as what an earlier daemon started has, and waits until it is gone. Gives how many
/// processes there were.
pub fn sweep(variable: &str, value: &OsStr) -> usize {
    Mark::new(variable, value.to_owned()).end_all()
}

/// Waits for the command, ends what it leaves behind, and tells once everything that it said is told.
fn wait<L>(
    mut child: Child,
    left: &Mark,
    streams: Vec<io::Result<JoinHandle<()>>>,
    tell: impl Fn(Heard<L>),
    open: Sender<()>,
) {
    let ended = child.wait();
    // whoever holds its streams open would be waited for
    left.end_all();
    for stream in streams.into_iter().flatten() {
        let _read = stream.join();
    }
    tell(Heard::Ended(ended));
    drop(open);
}

/// Reads a stream on a thread; lines that `takes` leaves are the log's.
fn follow(
    stream: impl Read + Send + 'static,
    log: &Arc<ProcessLog>,
    takes: impl Fn(&str) -> bool + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let log = Arc::clone(log);
    thread::Builder::new().name("process-output".to_owned()).spawn(move || {
        lines(stream, |line| {
            if !takes(line) {
                log.add(line);
            }
        });
    })
}

/// The group of a process that runs; threads of the kernel have none, and what has ended and is not yet taken note of needs
/// no signal any more.
fn group_of(id: i32) -> Option<Pid> {
    let status = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // behind the name, which may hold anything: state, parent, group
    let (_, fields) = status.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let group = fields.next().filter(|state| !["Z", "X"].contains(state)).and_then(|_| fields.nth(1))?;
    Pid::from_raw(group.parse().ok()?)
}

impl Mark {
    fn new(variable: &str, value: OsString) -> Self {
        Self { variable: [variable.as_bytes(), b"=", &value.into_vec()].concat().into(), group: None }
    }

    /// Handles of all processes that have the variable or are of the group, but this one. A handle is taken before the environment is
    /// looked at, so that it is of that very process.
    fn members(&self) -> Vec<OwnedFd> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let others = ids.filter(|id| id.cast_unsigned() != process::id());
        others
            .filter_map(|id| {
                let process = Pid::from_raw(id)?;
                let handle = pidfd_open(process, PidfdFlags::empty()).ok()?;
                let is_of_group = self.group.is_some() && group_of(id) == self.group;
                let is_member = is_of_group || {
                    let environment = fs::read(format!("/proc/{id}/environ")).ok()?;
                    environment.split(|byte| *byte == 0).any(|one| *one == *self.variable)
                };
                is_member.then_some(handle)
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

#[cfg(test)]
mod tests {
    use crossbeam::channel::unbounded;

    use super::*;

    #[test]
    fn what_has_lost_its_environment_ends_with_its_command() {
        let folder = tempfile::tempdir().unwrap();
        let log = Arc::new(ProcessLog::open(&folder.path().join("log")).unwrap());
        let (tell, heard) = unbounded();
        let mut command = Command::new("sh");
        command.args(["-c", "env -i sleep 100000 & echo started; wait"]);
        let read = |line: &str| Some(line.to_owned());
        let tree = ProcessTree::start(command, &log, read, move |heard| tell.send(heard).unwrap()).unwrap();
        assert!(matches!(heard.recv().unwrap(), Heard::Line(line) if line == "started"));
        let own = pidfd_open(Pid::from_raw(tree.id().cast_signed()).unwrap(), PidfdFlags::empty()).unwrap();
        pidfd_send_signal(&own, Signal::KILL).unwrap();
        // the end is told once nobody holds its streams any more
        assert!(matches!(heard.recv().unwrap(), Heard::Ended(Ok(status)) if !status.success()));
        drop(tree);
    }
}
