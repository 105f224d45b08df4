//! What the daemon does while a program runs: feeds it, reads it, and ends it at the first limit.

use std::{
    fs,
    io::{self, PipeReader, Read, Write},
    os::fd::AsFd,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    param::clock_ticks_per_second,
    process::Pid,
};

use crate::{
    error::SandboxError,
    execution::{Exceeded, Execution, Finish},
    launch::Running,
    limits::Limits,
};

/// How often the memory and the processor time of all processes are added up.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);
/// How much is read at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// Runs a started program to its end.
pub(crate) fn watch(mut running: Running, input: &[u8], limits: &Limits) -> Result<Execution, SandboxError> {
    let started = Instant::now();
    let deadline = started + limits.wall();
    let mut streams = Streams::new(&mut running, input, limits.output_bytes)?;
    let mut exceeded = None;
    let mut peak_memory_bytes = 0;
    loop {
        let now = Instant::now();
        let pause = deadline.saturating_duration_since(now).min(LOOK_INTERVAL);
        let has_ended = streams.wait(&mut running, pause)?;
        if has_ended {
            break;
        }
        let processes = processes_below(running.id);
        let memory = memory_bytes(&processes, limits.memory_bytes);
        peak_memory_bytes = memory.max(peak_memory_bytes).max(high_water_bytes(running.id));
        exceeded = if streams.is_full() {
            Some(Exceeded::Output)
        } else if memory > limits.memory_bytes {
            Some(Exceeded::Memory)
        } else if processor_time(&processes) >= limits.cpu() {
            Some(Exceeded::CpuTime)
        } else if Instant::now() >= deadline {
            Some(Exceeded::WallTime)
        } else {
            None
        };
        if exceeded.is_some() {
            running.kill();
            break;
        }
    }
    let Streams { output, error, .. } = &mut streams;
    let (mut output, mut error) = (std::mem::take(output), std::mem::take(error));
    let leftovers = Leftovers { output: running.output.try_clone()?, error: running.error.try_clone()? };
    let ending = running.finish()?;
    let wall = started.elapsed();
    // Every writer is dead: what the pipes still hold is all there will ever be.
    let is_cut = leftovers.read(&mut output, &mut error, limits.output_bytes)?;
    if exceeded.is_none() && is_cut {
        exceeded = Some(Exceeded::Output);
    }
    let finish = match exceeded {
        Some(exceeded) => Finish::Exceeded(exceeded),
        None => Finish::of_status(ending.status, ending.cpu, limits).ok_or(SandboxError::Killed)?,
    };
    Ok(Execution { finish, output, error, wall, cpu: ending.cpu, peak_memory_bytes })
}

/// The three streams of a running program.
#[derive(Debug)]
struct Streams<'input> {
    input: &'input [u8],
    output: Vec<u8>,
    error: Vec<u8>,
    output_is_open: bool,
    error_is_open: bool,
    left: u64,
}

impl<'input> Streams<'input> {
    fn new(running: &mut Running, input: &'input [u8], output_bytes: u64) -> io::Result<Self> {
        if let Some(pipe) = &running.input {
            fcntl_setfl(pipe, fcntl_getfl(pipe)? | OFlags::NONBLOCK)?;
        }
        for pipe in [&running.output, &running.error] {
            fcntl_setfl(pipe, fcntl_getfl(pipe)? | OFlags::NONBLOCK)?;
        }
        if input.is_empty() {
            running.input = None;
        }
        Ok(Self {
            input,
            output: Vec::new(),
            error: Vec::new(),
            output_is_open: true,
            error_is_open: true,
            left: output_bytes,
        })
    }

    fn is_full(&self) -> bool {
        self.left == 0
    }

    /// Waits for something to happen and moves what can be moved; says whether the program has ended.
    fn wait(&mut self, running: &mut Running, pause: Duration) -> io::Result<bool> {
        let ended = {
            let mut watched = vec![PollFd::new(&running.ended, PollFlags::IN)];
            if self.output_is_open {
                watched.push(PollFd::new(&running.output, PollFlags::IN));
            }
            if self.error_is_open {
                watched.push(PollFd::new(&running.error, PollFlags::IN));
            }
            if let Some(input) = &running.input {
                watched.push(PollFd::from_borrowed_fd(input.as_fd(), PollFlags::OUT));
            }
            let timeout =
                Timespec { tv_sec: pause.as_secs() as i64, tv_nsec: i64::from(pause.subsec_nanos()) };
            match poll(&mut watched, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            watched.first().is_some_and(|ended| !ended.revents().is_empty())
        };
        if ended {
            return Ok(true);
        }
        self.feed(running);
        if self.output_is_open {
            self.output_is_open = read_some(&mut running.output, &mut self.output, &mut self.left)?;
        }
        if self.error_is_open {
            self.error_is_open = read_some(&mut running.error, &mut self.error, &mut self.left)?;
        }
        Ok(false)
    }

    /// Writes what the program is ready to read. A program that closed its input reads no more.
    fn feed(&mut self, running: &mut Running) {
        let Some(pipe) = &mut running.input else { return };
        match pipe.write(self.input) {
            Ok(written) => self.input = self.input.get(written..).unwrap_or_default(),
            Err(error) if is_not_ready(&error) => return,
            Err(_) => self.input = &[],
        }
        if self.input.is_empty() {
            running.input = None;
        }
    }
}

/// The program's output pipes, after its end.
struct Leftovers {
    output: PipeReader,
    error: PipeReader,
}

impl Leftovers {
    /// Reads what is left, up to the limit on both together; says whether there was more.
    fn read(mut self, output: &mut Vec<u8>, error: &mut Vec<u8>, output_bytes: u64) -> io::Result<bool> {
        let mut left = output_bytes.saturating_sub((output.len() + error.len()) as u64);
        while left > 0 && read_some(&mut self.output, output, &mut left)? && has_more(&self.output)? {}
        while left > 0 && read_some(&mut self.error, error, &mut left)? && has_more(&self.error)? {}
        Ok(left == 0 && (has_more(&self.output)? || has_more(&self.error)?))
    }
}

/// Whether a pipe holds bytes now.
fn has_more(pipe: &PipeReader) -> io::Result<bool> {
    let mut watched = [PollFd::new(pipe, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut watched, Some(&now))?;
    Ok(watched[0].revents().contains(PollFlags::IN))
}

/// Reads once without waiting, never more than is left; says whether the pipe is still open.
fn read_some(pipe: &mut PipeReader, into: &mut Vec<u8>, left: &mut u64) -> io::Result<bool> {
    let most = usize::try_from(*left).unwrap_or(usize::MAX).min(CHUNK_BYTES);
    if most == 0 {
        return Ok(true);
    }
    let mut chunk = vec![0; most];
    match pipe.read(&mut chunk) {
        Ok(0) => Ok(false),
        Ok(read) => {
            into.extend_from_slice(chunk.get(..read).unwrap_or_default());
            *left -= read as u64;
            Ok(true)
        }
        Err(error) if is_not_ready(&error) => Ok(true),
        Err(error) => Err(error),
    }
}

fn is_not_ready(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// The memory of all these processes. Resident memory counts pages that processes share once for each; only
/// when that sum exceeds the limit is each page's share asked for.
fn memory_bytes(processes: &[i32], limit: u64) -> u64 {
    let resident = processes.iter().map(|id| resident_bytes(*id)).sum();
    if resident <= limit {
        return resident;
    }
    processes.iter().map(|id| proportional_bytes(*id).unwrap_or_else(|| resident_bytes(*id))).sum()
}

/// A process and its descendants, by `/proc/<id>/task/*/children`.
fn processes_below(first: Pid) -> Vec<i32> {
    let mut found = vec![first.as_raw_nonzero().get()];
    let mut next = 0;
    while let Some(id) = found.get(next).copied() {
        next += 1;
        let Ok(threads) = fs::read_dir(format!("/proc/{id}/task")) else { continue };
        for thread in threads.flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|id| id.parse::<i32>().ok()));
        }
    }
    found
}

/// Anonymous and shared memory; the pages of program files belong to the host.
fn resident_bytes(id: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    kibibytes(&status, &["RssAnon:", "RssShmem:"]) << 10
}

/// The processor time of all these processes, and of their children that have ended and were waited for.
fn processor_time(processes: &[i32]) -> Duration {
    let ticks: u64 = processes.iter().map(|id| processor_ticks(*id)).sum();
    Duration::from_secs(ticks) / u32::try_from(clock_ticks_per_second()).unwrap_or(u32::MAX)
}

/// Fields 14 to 17 of `/proc/<id>/stat`, in ticks of the clock: time in the program and in the kernel, its own
/// and its ended children's. The name in field 2 may hold anything, a parenthesis too.
fn processor_ticks(id: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    after_name.split_whitespace().skip(11).take(4).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

/// The most that a process ever held, program files included.
fn high_water_bytes(id: Pid) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", id.as_raw_nonzero())).unwrap_or_default();
    kibibytes(&status, &["VmHWM:"]) << 10
}

fn proportional_bytes(id: i32) -> Option<u64> {
    let maps = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
    Some(kibibytes(&maps, &["Pss_Anon:", "Pss_Shmem:"]) << 10)
}

/// Adds up the lines of a file in `/proc` that begin with one of the names, in KiB.
fn kibibytes(text: &str, names: &[&str]) -> u64 {
    text.lines()
        .filter_map(|line| names.iter().find_map(|name| line.strip_prefix(name)))
        .filter_map(|value| value.split_whitespace().next()?.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_added_up_from_the_lines_that_count() {
        let status =
            "Name:\tx\nVmRSS:\t 900 kB\nRssAnon:\t  100 kB\nRssFile:\t 700 kB\nRssShmem:\t   20 kB\n";
        assert_eq!(kibibytes(status, &["RssAnon:", "RssShmem:"]), 120);
        assert_eq!(kibibytes("", &["RssAnon:"]), 0);
    }

    #[test]
    fn this_process_has_memory_and_its_descendants_begin_with_itself() {
        let own = rustix::process::getpid();
        assert!(resident_bytes(own.as_raw_nonzero().get()) > 0);
        assert_eq!(processes_below(own)[0], own.as_raw_nonzero().get());
    }
}
