//! How far one problem has come: a state machine over its recorded and its running attempts.
//!
//! Attempts are given out in visits. A visit that was begun is always completed, so what a problem is asked
//! depends on the outcomes of whole visits and never on which attempt of a visit came back first.

use std::collections::{BTreeMap, BTreeSet};

use still_domain::{AttemptNumber, Outcome, PolicyVersion, ProblemId};

use super::CurriculumConfig;

/// Where a problem stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProblemState {
    /// Never attempted.
    Fresh,
    /// Attempted, and another attempt may be given out now.
    Open,
    /// The attempts of its visit are all being made.
    Running,
    /// Solved often enough.
    Retired,
    /// Failed too often under the newest policy: waits for a better one.
    Parked,
    /// Attempted as often as is allowed.
    Exhausted,
}

impl ProblemState {
    /// Every state, in the order of their definition.
    pub const ALL: [Self; 6] =
        [Self::Fresh, Self::Open, Self::Running, Self::Retired, Self::Parked, Self::Exhausted];

    /// The name used in JSON and as a metric label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Open => "open",
            Self::Running => "running",
            Self::Retired => "retired",
            Self::Parked => "parked",
            Self::Exhausted => "exhausted",
        }
    }
}

/// One recorded attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fact {
    outcome: Outcome,
    version: PolicyVersion,
}

/// One problem's attempts.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    pub(super) id: ProblemId,
    pub(super) level: Option<u8>,
    recorded: BTreeMap<AttemptNumber, Fact>,
    running: BTreeSet<AttemptNumber>,
    correct: u32,
    /// Attempts that the verifier failed to judge.
    errors: u32,
}

/// What the next attempt at a problem would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) number: AttemptNumber,
    /// Whether it completes a visit that was begun.
    pub(super) completes_visit: bool,
}

impl Progress {
    pub(super) fn new(id: ProblemId, level: Option<u8>) -> Self {
        Self { id, level, recorded: BTreeMap::new(), running: BTreeSet::new(), correct: 0, errors: 0 }
    }

    pub(super) fn attempts(&self) -> usize {
        self.recorded.len()
    }

    pub(super) fn correct(&self) -> u32 {
        self.correct
    }

    /// Takes a fact in; false when the attempt was recorded before.
    pub(super) fn record(&mut self, number: AttemptNumber, outcome: Outcome, version: PolicyVersion) -> bool {
        self.running.remove(&number);
        if self.recorded.contains_key(&number) {
            return false;
        }
        self.recorded.insert(number, Fact { outcome, version });
        self.correct += u32::from(outcome == Outcome::Correct);
        self.errors += u32::from(outcome == Outcome::Error);
        true
    }

    /// Marks an attempt as being made.
    pub(super) fn begin(&mut self, number: AttemptNumber) {
        self.running.insert(number);
    }

    /// Forgets that an attempt is being made; false when it was not.
    pub(super) fn release(&mut self, number: AttemptNumber) -> bool {
        self.running.remove(&number)
    }

    pub(super) fn state(&self, config: &CurriculumConfig, newest: PolicyVersion) -> ProblemState {
        if self.recorded.is_empty() && self.running.is_empty() {
            return ProblemState::Fresh;
        }
        if self.gap(config).is_some() {
            ProblemState::Open
        } else if !self.running.is_empty() {
            ProblemState::Running
        } else if self.correct >= config.stop_after_correct {
            ProblemState::Retired
        } else if self.begun_end(config) >= self.cap(config) || self.errors >= config.attempts_per_problem {
            ProblemState::Exhausted
        } else if self.parks(config, newest) {
            ProblemState::Parked
        } else {
            ProblemState::Open
        }
    }

    /// The attempt to give out next; `None` unless the problem is fresh or open.
    pub(super) fn offer(&self, config: &CurriculumConfig, newest: PolicyVersion) -> Option<Offer> {
        if let Some(number) = self.gap(config) {
            return Some(Offer { number, completes_visit: true });
        }
        matches!(self.state(config, newest), ProblemState::Fresh | ProblemState::Open)
            .then(|| Offer { number: AttemptNumber(self.begun_end(config)), completes_visit: false })
    }

    /// Whether it looks hopeless under the newest policy.
    fn parks(&self, config: &CurriculumConfig, newest: PolicyVersion) -> bool {
        self.correct == 0 && config.park_after > 0 && self.failures_under(newest) >= config.park_after
    }

    /// Attempts allowed: the verifier's own failures are left out, as many as there may be attempts. More than
    /// that are no outage but the problem's.
    fn cap(&self, config: &CurriculumConfig) -> u32 {
        config.attempts_per_problem.saturating_add(self.errors.min(config.attempts_per_problem))
    }

    /// The smallest attempt of a begun visit that is neither recorded nor being made.
    fn gap(&self, config: &CurriculumConfig) -> Option<AttemptNumber> {
        (0..self.begun_end(config))
            .map(AttemptNumber)
            .find(|number| !self.recorded.contains_key(number) && !self.running.contains(number))
    }

    /// The number after the last attempt of the visits begun.
    fn begun_end(&self, config: &CurriculumConfig) -> u32 {
        let last_recorded = self.recorded.keys().next_back();
        let last_running = self.running.last();
        last_recorded.max(last_running).map_or(0, |last| {
            let visits = u64::from(last.0) / u64::from(config.attempts_per_visit) + 1;
            let end = visits * u64::from(config.attempts_per_visit);
            u32::try_from(end).unwrap_or(u32::MAX).min(self.cap(config))
        })
    }

    /// Attempts under the newest policy that reached no right answer. The verifier's own failures say
    /// nothing about the policy and do not count.
    fn failures_under(&self, newest: PolicyVersion) -> u32 {
        let failed = |fact: &&Fact| {
            fact.version >= newest && !matches!(fact.outcome, Outcome::Correct | Outcome::Error)
        };
        self.recorded.values().filter(failed).count() as u32
    }
}
