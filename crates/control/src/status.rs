//! How the daemon stands.

use std::fmt;

use serde::{Deserialize, Serialize};
use still_domain::{Estimate, LogProbabilityGap, PolicyVersion, RoundNumber, RoundPhase};

use crate::event::RoundReport;

/// How the daemon stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Process id of the daemon.
    pub pid: u32,
    /// The data directory.
    pub data_dir: String,
    /// Address of the page of metrics; `None` when it is off.
    pub metrics: Option<String>,
    /// Seconds since the daemon started.
    pub uptime_seconds: f64,
    /// The round at work.
    pub round: RoundNumber,
    /// How far it has come.
    pub phase: RoundPhase,
    /// Rounds after which the daemon ends; 0 has no end.
    pub rounds_wanted: u32,
    /// The published policy; `None` before the base model is loaded.
    pub policy: Option<PolicyVersion>,
    /// Exploration waits on an operator's word.
    pub exploration_paused: bool,
    /// Training waits on an operator's word.
    pub training_paused: bool,
    /// The daemon is finishing its work in flight and will end.
    pub draining: bool,
    /// Judged in this round.
    pub judged: u64,
    /// Judgements that the round waits for; 0 when it has no quota.
    pub quota: u64,
    /// Newly selected in this round.
    pub selected: u64,
    /// Trajectories in the pool, right and wrong.
    pub pool: u64,
    /// Optimizer steps taken in this round.
    pub step: u64,
    /// Optimizer steps of this round's training; 0 before it begins.
    pub total_steps: u64,
    /// Steps left out since the start because loss or gradient was not finite.
    #[serde(default)]
    pub skipped_steps: u64,
    /// Times since the start that training diverged and went back, on with a lower rate.
    #[serde(default)]
    pub training_rollbacks: u64,
    /// Times since the start that the learner ran out of memory and took a step in smaller parts.
    #[serde(default)]
    pub memory_shortages: u64,
    /// Tokens drawn a second, over the last seconds.
    pub rollout_tokens_per_second: f64,
    /// Tokens trained on a second, over the last seconds.
    pub training_tokens_per_second: f64,
    /// Every actor, in start order.
    pub actors: Vec<ActorStatus>,
    /// Every device and server, by name.
    #[serde(default)]
    pub devices: Vec<DeviceStatus>,
    /// Who waits for whom.
    #[serde(default)]
    pub waits: Vec<Wait>,
    /// The last round that ended.
    pub last_round: Option<RoundReport>,
    /// The base model's accuracy on the held-out problems; `None` before it is scored.
    #[serde(default)]
    pub base_accuracy: Option<Estimate>,
    /// How far the engines' log-probabilities are from the learner's, measured last; `None` before that.
    #[serde(default)]
    pub gap: Option<LogProbabilityGap>,
}

/// One actor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActorStatus {
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: ActorState,
    /// Messages and work items that wait for it.
    pub queued: u64,
    /// Work items it is at.
    pub in_flight: u64,
    /// Seconds since it last got something done.
    pub idle_seconds: f64,
    /// How often it was restarted.
    pub restarts: u64,
}

/// One device or server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceStatus {
    /// Its name.
    pub name: String,
    /// The actor that holds it.
    pub actor: String,
    /// How it stands.
    pub state: DeviceState,
    /// Work items it is at.
    pub in_flight: u64,
    /// Work items it can usefully hold.
    pub capacity: u64,
    /// Seconds since it reported anything.
    pub silent_seconds: f64,
    /// How often it was opened again.
    pub restarts: u64,
    /// Why it failed last.
    pub last_failure: Option<String>,
}

/// How a device stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceState {
    /// Being opened.
    Starting,
    /// At work, or ready for it.
    Up,
    /// Failed; it is opened again in a moment.
    BackingOff,
    /// Failed too often; it is tried again much later.
    LeftOut,
}

impl DeviceState {
    /// The name used in JSON and in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Up => "up",
            Self::BackingOff => "backing_off",
            Self::LeftOut => "left_out",
        }
    }
}

/// Who waits for whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    /// The actor that waits.
    pub who: String,
    /// Whom it waits for: an actor, a device, or the operator.
    pub waits_for: String,
    /// What for.
    pub reason: String,
    /// Seconds since whoever is waited for last did something; `None` where it waits for an operator's word.
    pub silent_seconds: Option<f64>,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { who, waits_for, reason, silent_seconds } = self;
        write!(f, "{who} waits for {waits_for} ({reason}")?;
        match silent_seconds {
            Some(seconds) => write!(f, ", last heard of {seconds:.0} s ago)"),
            None => write!(f, ")"),
        }
    }
}

/// What an actor is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorState {
    /// Coming up.
    Starting,
    /// At work.
    Running,
    /// Waiting on an operator's word.
    Paused,
    /// Waiting before it is started again.
    Restarting,
    /// Ended.
    Stopped,
}

impl ActorState {
    /// Every state, in the order of an actor's life.
    pub const ALL: [Self; 5] = [Self::Starting, Self::Running, Self::Paused, Self::Restarting, Self::Stopped];

    /// The name used in JSON and in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Stopped => "stopped",
        }
    }
}
