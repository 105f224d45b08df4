//! How far one problem has come: a state machine over its recorded and its running attempts.
//!
//! Attempts are given out in visits. A visit that was begun is always completed, so what a problem is asked
//! depends on the outcomes of whole visits and never on which attempt of a visit came back first.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use still_domain::{AttemptNumber, Outcome, PolicyVersion, ProblemId};

use super::{AttemptResult, CurriculumConfig, rates::Evidence};

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
    /// Failed, cut off or attempted too often under the newest policy, and waits for another one; or no device takes it.
    Parked,
    /// Attempted as often as is allowed in the run.
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

/// What attempts at a problem came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AttemptTally {
    /// Right answers.
    pub correct: u32,
    /// Responses that ended by themselves without a right answer.
    pub failed: u32,
    /// Responses without a right answer that were cut off: they say that the room is too small, and little of the
    /// problem.
    pub truncated: u32,
    /// Attempts that the verifier failed to judge.
    pub errors: u32,
}

impl AttemptTally {
    fn count(&mut self, result: AttemptResult) {
        let count = match result.outcome {
            Outcome::Correct => &mut self.correct,
            Outcome::Error => &mut self.errors,
            _ if result.is_truncated => &mut self.truncated,
            _ => &mut self.failed,
        };
        *count += 1;
    }

    /// All of them.
    pub const fn attempts(&self) -> u32 {
        self.correct + self.failed + self.truncated + self.errors
    }

    /// Those that say nothing about whether the policy can solve the problem.
    const fn empty(&self) -> u32 {
        self.truncated + self.errors
    }
}

/// One problem's attempts.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    pub(super) id: ProblemId,
    /// The number of its source.
    pub(super) source: usize,
    pub(super) level: Option<u8>,
    recorded: BTreeSet<AttemptNumber>,
    running: BTreeSet<AttemptNumber>,
    by_version: BTreeMap<PolicyVersion, AttemptTally>,
    /// Attempts that are made whatever the limits say.
    revived: Range<u32>,
    /// No further attempt is made.
    is_aside: bool,
}

/// What the next attempt at a problem would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) number: AttemptNumber,
    /// Whether it completes a visit that was begun.
    pub(super) completes_visit: bool,
}

impl Progress {
    pub(super) fn new(id: ProblemId, source: usize, level: Option<u8>) -> Self {
        let (recorded, running) = (BTreeSet::new(), BTreeSet::new());
        Self {
            id,
            source,
            level,
            recorded,
            running,
            by_version: BTreeMap::new(),
            revived: 0..0,
            is_aside: false,
        }
    }

    pub(super) fn attempts(&self) -> usize {
        self.recorded.len()
    }

    pub(super) fn correct(&self) -> u32 {
        self.by_version.values().map(|tally| tally.correct).sum()
    }

    /// What the attempts by policies of `versions` came to.
    pub(super) fn tally(&self, versions: impl std::ops::RangeBounds<PolicyVersion>) -> AttemptTally {
        self.by_version.range(versions).fold(AttemptTally::default(), |sum, (_, tally)| AttemptTally {
            correct: sum.correct + tally.correct,
            failed: sum.failed + tally.failed,
            truncated: sum.truncated + tally.truncated,
            errors: sum.errors + tally.errors,
        })
    }

    /// What the attempts say about the newest policy.
    pub(super) fn evidence(&self, newest: PolicyVersion) -> Evidence {
        Evidence::of(newest, self.by_version.iter().map(|(version, tally)| (*version, *tally)))
    }

    /// Takes a fact in; false when the attempt was recorded before.
    pub(super) fn record(&mut self, number: AttemptNumber, result: AttemptResult) -> bool {
        self.running.remove(&number);
        let is_new = self.recorded.insert(number);
        if is_new {
            self.by_version.entry(result.version).or_default().count(result);
        }
        is_new
    }

    /// Allows further attempts whatever the limits say.
    pub(super) fn revive(&mut self, attempts: Range<u32>) {
        (self.revived, self.is_aside) = (attempts, false);
    }

    /// Makes no further attempt, until it is revived.
    pub(super) const fn set_aside(&mut self) {
        self.is_aside = true;
    }

    /// The attempt after all visits begun.
    pub(super) fn next_visit(&self, config: &CurriculumConfig, newest: PolicyVersion) -> AttemptNumber {
        AttemptNumber(self.begun_end(config, self.cap(config, newest)))
    }

    /// Marks an attempt as being made.
    pub(super) fn begin(&mut self, number: AttemptNumber) {
        self.running.insert(number);
    }

    /// Forgets that an attempt is being made; false when it was not.
    pub(super) fn release(&mut self, number: AttemptNumber) -> bool {
        self.running.remove(&number)
    }

    /// Where the problem stands, and the attempt to give out next: one where it is fresh or open.
    pub(super) fn standing(
        &self,
        config: &CurriculumConfig,
        newest: PolicyVersion,
    ) -> (ProblemState, Option<Offer>) {
        let cap = self.cap(config, newest);
        if self.is_aside {
            let is_over = self.running.is_empty();
            return (if is_over { ProblemState::Parked } else { ProblemState::Running }, None);
        }
        if let Some(number) = self.gap(config, cap) {
            return (ProblemState::Open, Some(Offer { number, completes_visit: true }));
        }
        let state = self.state_between_visits(config, newest, cap);
        let next = || Offer { number: AttemptNumber(self.begun_end(config, cap)), completes_visit: false };
        (state, matches!(state, ProblemState::Fresh | ProblemState::Open).then(next))
    }

    fn state_between_visits(
        &self,
        config: &CurriculumConfig,
        newest: PolicyVersion,
        cap: u32,
    ) -> ProblemState {
        if self.recorded.is_empty() && self.running.is_empty() {
            ProblemState::Fresh
        } else if !self.running.is_empty() {
            ProblemState::Running
        } else if self.correct() >= config.stop_after_correct {
            ProblemState::Retired
        } else if self.revived.contains(&self.begun_end(config, cap)) {
            ProblemState::Open
        } else if self.begun_end(config, cap) >= cap || self.tally(..).errors >= config.attempts_per_problem {
            ProblemState::Exhausted
        } else if self.is_parked(config, self.tally(newest..)) {
            ProblemState::Parked
        } else {
            ProblemState::Open
        }
    }

    /// Whether the newest policy has had its chances, which came to `now`.
    fn is_parked(&self, config: &CurriculumConfig, now: AttemptTally) -> bool {
        let had_all = now.attempts() - now.errors >= config.attempts_per_policy;
        let is_hopeless = self.correct() == 0 && is_reached(now.failed, config.park_after);
        had_all || is_hopeless || (now.correct == 0 && is_reached(now.truncated, config.park_after_truncated))
    }

    /// Attempts allowed. What says nothing of the problem (cut-off responses, failures of the verifier) is left
    /// out, as many as there may be attempts: more than that are no mishap but the problem's. Whatever older
    /// policies used up, a new one has the attempts that revive a problem, and an operator's word counts.
    fn cap(&self, config: &CurriculumConfig, newest: PolicyVersion) -> u32 {
        let allowed = config
            .attempts_per_problem
            .saturating_add(self.tally(..).empty().min(config.attempts_per_problem));
        let older = self.tally(..newest).attempts();
        let allowed = match config.revive_attempts {
            0 => allowed,
            revival => allowed.max(older.saturating_add(revival)),
        };
        allowed.max(self.revived.end)
    }

    /// The smallest attempt of a begun visit that is neither recorded nor being made.
    fn gap(&self, config: &CurriculumConfig, cap: u32) -> Option<AttemptNumber> {
        (0..self.begun_end(config, cap))
            .map(AttemptNumber)
            .find(|number| !self.recorded.contains(number) && !self.running.contains(number))
    }

    /// The number after the last attempt of the visits begun.
    fn begun_end(&self, config: &CurriculumConfig, cap: u32) -> u32 {
        self.recorded.last().max(self.running.last()).map_or(0, |last| {
            let visits = u64::from(last.0) / u64::from(config.attempts_per_visit) + 1;
            let end = visits * u64::from(config.attempts_per_visit);
            u32::try_from(end).unwrap_or(u32::MAX).min(cap)
        })
    }
}

/// Whether a count has come to its limit; 0 sets none.
const fn is_reached(count: u32, limit: u32) -> bool {
    limit > 0 && count >= limit
}
