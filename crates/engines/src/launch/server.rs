//! One launched server: its process, its port, its log, and how often it failed.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use still_control::{LaunchStatus, ServerState, ServerStatus};
use still_process::{ProcessLog, ProcessTree};
use tokio::task::AbortHandle;

use super::plan::LaunchPlan;
use crate::{
    beginning::Beginning, endpoint::Prepared, fleet::ServerLaunched, http::Address, settings::EngineSection,
};

/// A server that was up for as long is taken to be sound: what fails then is no failure in a row.
const STEADY: Duration = Duration::from_mins(5);
/// The wait before one that failed too often is tried again.
const LATE: Duration = Duration::from_mins(15);

/// What is wanted of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// That it draws.
    Draw,
    /// That it lets its devices go.
    Yield,
    /// That it ends.
    End,
}

/// Where a server is.
pub(super) enum Phase {
    /// It is started at that moment.
    Waiting(Instant),
    /// It is coming up, and has until then.
    Starting(Running, Instant),
    /// It is the fleet's.
    Up(Running),
    /// It is letting its devices go.
    Dozing(Running),
    /// It is there, and its devices are another's.
    Asleep(Running),
    /// It is taking its devices back.
    Waking(Running),
    /// It is asked to end, and killed at that moment.
    Ending(Running, Ending),
    /// It is not there, as its devices are another's or all of it ends.
    Away,
}

/// A process.
pub(super) struct Running {
    pub(super) process: ProcessTree,
    /// What it began with.
    pub(super) beginning: Arc<Beginning>,
    /// What is being asked of it.
    task: Option<AbortHandle>,
}

/// What is ended, and why.
pub(super) struct Ending {
    /// `None` where nothing failed.
    pub(super) reason: Option<String>,
    pub(super) kill_at: Instant,
}

/// One launched server.
pub(super) struct LaunchedServer {
    pub(super) section: Arc<EngineSection>,
    pub(super) key: Option<Arc<str>>,
    pub(super) plan: Arc<LaunchPlan>,
    /// Its number in the plan.
    pub(super) number: usize,
    pub(super) port: u16,
    pub(super) log: Arc<ProcessLog>,
    pub(super) phase: Phase,
    /// Counts its starts: what is told of an earlier one is not listened to.
    pub(super) start: u64,
    /// What its next process begins with; the run's model where there is none.
    pub(super) policy: Option<Arc<Prepared>>,
    failures: u32,
    up_at: Option<Instant>,
    last_failure: Option<String>,
    is_left_out: bool,
}

impl Running {
    pub(super) const fn new(process: ProcessTree, beginning: Arc<Beginning>) -> Self {
        Self { process, beginning, task: None }
    }

    /// Asks for one thing at a time.
    pub(super) fn asked(mut self, task: AbortHandle) -> Self {
        if let Some(earlier) = self.task.replace(task) {
            earlier.abort();
        }
        self
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

impl LaunchedServer {
    pub(super) fn new(
        section: Arc<EngineSection>,
        key: Option<Arc<str>>,
        plan: Arc<LaunchPlan>,
        number: usize,
        port: u16,
        log: ProcessLog,
    ) -> Self {
        Self {
            section,
            key,
            plan,
            number,
            port,
            log: Arc::new(log),
            phase: Phase::Waiting(Instant::now()),
            start: 0,
            policy: None,
            failures: 0,
            up_at: None,
            last_failure: None,
            is_left_out: false,
        }
    }

    /// Where it is, or will be.
    pub(super) fn address(&self) -> Address {
        Address::on_this_machine(self.port)
    }

    /// Takes another port where somebody has this one.
    pub(super) fn settle_port(&mut self) -> Result<(), String> {
        if TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            self.port = free_port()?.1;
        }
        Ok(())
    }

    /// It is up.
    pub(super) fn came_up(&mut self) {
        (self.up_at, self.is_left_out) = (Some(Instant::now()), false);
    }

    /// It is ended for another process that begins with a policy.
    pub(super) fn goes_on_with(&mut self, policy: Arc<Prepared>) {
        (self.policy, self.up_at) = (Some(policy), None);
    }

    /// When something is due for it.
    pub(super) fn due(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Waiting(at) | Phase::Starting(_, at) | Phase::Ending(_, Ending { kill_at: at, .. }) => {
                Some(*at)
            }
            Phase::Up(_) | Phase::Dozing(_) | Phase::Asleep(_) | Phase::Waking(_) | Phase::Away => None,
        }
    }

    /// Whether its devices are free.
    pub(super) const fn has_yielded(&self) -> bool {
        matches!(self.phase, Phase::Asleep(_) | Phase::Away)
    }

    /// It failed: it is started again after a while. Gives what to tell.
    pub(super) fn failed(&mut self, reason: &str) -> String {
        match self.up_at.take() {
            Some(at) if at.elapsed() >= STEADY => self.failures = 0,
            Some(_) => {}
            // it did not come up: it may be the policy's fault
            None => self.policy = None,
        }
        self.failures = self.failures.saturating_add(1);
        let (tail, log, address) = (self.log.tail(), self.log.path().display(), self.address());
        let said = if tail.is_empty() { String::new() } else { format!("; it said: {tail}") };
        let reason = format!("{reason}{said} (its log is `{log}`)");
        let retries = self.section.retries;
        self.is_left_out = self.failures > retries;
        let (wait, text) = if self.is_left_out {
            let times = self.failures;
            let text = format!(
                "server {address} failed {times} times in a row, at last: {reason}; it is left out and tried again in {} min, \
                 and the others go on",
                LATE.as_secs() / 60
            );
            (LATE, text)
        } else {
            let wait = self.section.backoff(self.failures);
            let text = format!(
                "server {address} failed: {reason}; it is started again in {} s, which is try {} of {}",
                wait.as_secs(),
                self.failures + 1,
                retries + 1
            );
            (wait, text)
        };
        self.last_failure = Some(reason);
        self.phase = Phase::Waiting(Instant::now() + wait);
        text
    }

    /// How it stands: in a state of its own, or in the fleet's, which knows better.
    pub(super) fn shown(&self) -> ServerLaunched {
        let (state, process) = match &self.phase {
            Phase::Waiting(_) if self.is_left_out => (Some(ServerState::GivenUp), None),
            Phase::Waiting(_) => (Some(ServerState::Restarting), None),
            Phase::Starting(running, _) => (Some(ServerState::Starting), Some(running)),
            Phase::Up(running) => (None, Some(running)),
            Phase::Dozing(running) | Phase::Asleep(running) => (Some(ServerState::Asleep), Some(running)),
            Phase::Waking(running) => (Some(ServerState::Waking), Some(running)),
            Phase::Ending(running, _) => (Some(ServerState::Ending), Some(running)),
            Phase::Away => (Some(ServerState::Yielded), None),
        };
        let restarts_at = match self.phase {
            Phase::Waiting(at) => Some(at),
            _ => None,
        };
        let launched = LaunchStatus {
            process: process.map(|running| running.process.id()),
            log: self.log.path().display().to_string(),
            devices: self.plan.servers.get(self.number).cloned().unwrap_or_default(),
            restarts_in_seconds: None,
        };
        let (address, engine) = (self.address().to_string(), self.section.kind.name().to_owned());
        let status = ServerStatus {
            last_failure: self.last_failure.clone(),
            launched: Some(launched),
            ..ServerStatus::at(address, engine, state.unwrap_or(ServerState::Starting))
        };
        ServerLaunched { is_in_fleet: state.is_none(), status, restarts_at }
    }
}

/// A port that nobody has, held until the listener is dropped.
pub(super) fn free_port() -> Result<(TcpListener, u16), String> {
    let told = |error| format!("no port of 127.0.0.1 can be had for a server: {error}");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(told)?;
    let port = listener.local_addr().map_err(told)?.port();
    Ok((listener, port))
}

/// The log of a server by its number in the run.
pub(super) fn open_log(folder: &Path, number: usize) -> Result<ProcessLog, String> {
    let path = folder.join(format!("server-{number}.log"));
    ProcessLog::open(&path).map_err(|error| format!("`{}`: {error}", path.display()))
}
