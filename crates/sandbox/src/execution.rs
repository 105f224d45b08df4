//! How one run of a program went.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::limits::Limits;

/// How far the kernel's two clocks of processor time may be apart.
const CPU_SLACK: Duration = Duration::from_millis(500);

/// The limit at which a program was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exceeded {
    /// Time by the clock on the wall.
    WallTime,
    /// Processor time of all processes together.
    CpuTime,
    /// Memory of all processes together.
    Memory,
    /// Standard output and standard error together.
    Output,
}

/// How a program came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// It ended itself, with this status.
    Exited(i32),
    /// It died of this signal.
    Signalled(i32),
    /// It was ended at a limit.
    Exceeded(Exceeded),
}

/// What came of one run. Whatever was written before the end is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// How it ended.
    pub finish: Finish,
    /// Standard output.
    pub output: Vec<u8>,
    /// Standard error.
    pub error: Vec<u8>,
    /// Time by the clock on the wall, from the start of the program to the end of the last process.
    pub wall: Duration,
    /// Processor time, of the processes that it waited for.
    pub cpu: Duration,
    /// The most memory seen, in bytes; looked at every ten milliseconds, so zero of a shorter run.
    pub peak_memory_bytes: u64,
}

impl Exceeded {
    /// The name used in JSON and as a metric label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WallTime => "wall_time",
            Self::CpuTime => "cpu_time",
            Self::Memory => "memory",
            Self::Output => "output",
        }
    }
}

impl Finish {
    /// Whether it ended itself and found everything well.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Exited(0))
    }

    /// Reads the status that the kernel gives; `None` when somebody outside killed the program.
    ///
    /// Nobody inside can kill the first process, and nobody inside can lower its limit of processor time: a
    /// kill that is neither the daemon's nor the kernel's at that limit came from an operator or from a host
    /// short of memory, and says nothing about the program.
    pub(crate) fn of_status(status: i32, cpu: Duration, limits: &Limits) -> Option<Self> {
        if libc::WIFEXITED(status) {
            return Some(Self::Exited(libc::WEXITSTATUS(status)));
        }
        match libc::WTERMSIG(status) {
            libc::SIGXCPU => Some(Self::Exceeded(Exceeded::CpuTime)),
            libc::SIGKILL if cpu + CPU_SLACK >= limits.cpu() => Some(Self::Exceeded(Exceeded::CpuTime)),
            libc::SIGKILL => None,
            signal => Some(Self::Signalled(signal)),
        }
    }
}

impl fmt::Display for Finish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exited with status {status}"),
            Self::Signalled(signal) => write!(f, "died of signal {signal}"),
            Self::Exceeded(exceeded) => write!(f, "ended at its limit of {}", exceeded.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_as_the_kernel_means_it() {
        let limits = Limits { cpu_seconds: 2, ..Limits::default() };
        let finish = |status, seconds| Finish::of_status(status, Duration::from_secs(seconds), &limits);
        assert_eq!(finish(3 << 8, 0), Some(Finish::Exited(3)));
        assert_eq!(finish(libc::SIGSEGV, 0), Some(Finish::Signalled(libc::SIGSEGV)));
        assert_eq!(finish(libc::SIGKILL, 2), Some(Finish::Exceeded(Exceeded::CpuTime)));
        assert_eq!(finish(libc::SIGKILL, 0), None);
        assert_eq!(Finish::Exited(3).to_string(), "exited with status 3");
    }
}
