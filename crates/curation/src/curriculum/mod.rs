//! Which problem gets the next attempt: hard and unsolved first, solved ones retired, hopeless ones parked.
//!
//! The curriculum is rebuilt from recorded attempts and never saved: the same facts, in any order, give the
//! same state, and the same state gives the same next attempt. What runs when a process dies is asked for
//! again under the same name. A run that wants the same attempts bit for bit (lockstep) replays the facts
//! of the earlier rounds, takes the round's attempts from [`Curriculum::next_attempt`], and only then
//! records what the round has brought so far.

mod counts;
mod progress;
mod rates;

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_domain::{AttemptId, AttemptNumber, Outcome, PolicyVersion, ProblemId, Revival};

use self::{
    progress::Progress,
    rates::{Evidence, LevelRates},
};

pub use self::{
    counts::CurriculumCounts,
    progress::{AttemptTally, ProblemState},
    rates::PassRate,
};

/// Which of the problems that may be attempted comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CurriculumOrder {
    /// Unsolved before solved, then the highest level, then the least attempted. A level is compared within its
    /// source alone: across sources counts how many problems of its source are easier. Problems without a level
    /// stand in the middle of theirs.
    #[default]
    Hardest,
    /// The problem whose expected share of right answers is nearest to one half, where attempts teach most: known
    /// from its own attempts, before that from its level's; then the least attempted.
    Frontier,
    /// As supplied.
    Supplied,
}

/// How attempts are shared out, in the words of `[exploration]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurriculumConfig {
    /// Which problem comes first.
    pub order: CurriculumOrder,
    /// Attempts at one problem, over all policies, and as many more that are cut off or that the verifier fails to
    /// judge; at least 1.
    pub attempts_per_problem: u32,
    /// Attempts at one problem under one policy, in whole visits; then it waits for another one. At least 1.
    pub attempts_per_policy: u32,
    /// Attempts that a new policy makes at a problem that older ones have exhausted; 0 leaves it exhausted.
    pub revive_attempts: u32,
    /// Attempts given out together, at least 1; a visit that was begun is completed.
    pub attempts_per_visit: u32,
    /// Right answers after which a problem gets no further visit; at least 1.
    pub stop_after_correct: u32,
    /// Attempts without a right answer under the newest policy, cut-off ones not counted, after which a never solved
    /// problem waits for a better one; 0 never parks.
    pub park_after: u32,
    /// Cut-off attempts under the newest policy after which a problem that it has not solved waits for another one; 0
    /// never parks.
    pub park_after_truncated: u32,
}

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptResult {
    /// The verifier's finding.
    pub outcome: Outcome,
    /// The oldest policy in the trajectory.
    pub version: PolicyVersion,
    /// Whether the response was cut off.
    pub is_truncated: bool,
}

/// What became of a recorded attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// A new fact.
    New,
    /// Recorded before: nothing changed.
    Known,
    /// No problem of that name was added: nothing changed.
    UnknownProblem,
}

/// Which problem gets the next attempt.
#[derive(Debug, Clone)]
pub struct Curriculum {
    config: CurriculumConfig,
    newest: PolicyVersion,
    problems: Vec<Progress>,
    index: HashMap<ProblemId, usize>,
    entries: Vec<Entry>,
    sources: Vec<Source>,
    queues: BTreeMap<Class, BTreeSet<Rank>>,
    rates: LevelRates,
    counts: CurriculumCounts,
}

/// Where problems come from.
#[derive(Debug, Clone)]
struct Source {
    name: String,
    /// Problems of each level.
    levels: BTreeMap<Option<u8>, u32>,
}

/// Problems that nothing but their rank tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Class {
    source: usize,
    level: Option<u8>,
    /// What is known of each of them; nothing where the order does not ask for it.
    evidence: Evidence,
}

/// Where a problem is filed.
#[derive(Debug, Clone, Copy)]
struct Entry {
    state: ProblemState,
    queue: Option<(Class, Rank)>,
}

/// The order of the problems of one class; smaller comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    begins_visit: bool,
    is_solved: bool,
    attempts: usize,
    index: usize,
}

impl Curriculum {
    /// A curriculum without problems. Counts of zero in `config` are read as one.
    pub fn new(config: CurriculumConfig) -> Self {
        let config = CurriculumConfig {
            attempts_per_problem: config.attempts_per_problem.max(1),
            attempts_per_policy: config.attempts_per_policy.max(1),
            attempts_per_visit: config.attempts_per_visit.max(1),
            ..config
        };
        Self {
            config,
            newest: PolicyVersion::default(),
            problems: Vec::new(),
            index: HashMap::new(),
            entries: Vec::new(),
            sources: Vec::new(),
            queues: BTreeMap::new(),
            rates: LevelRates::default(),
            counts: CurriculumCounts::default(),
        }
    }

    /// Adds a problem of a source; false when one of that name is there already.
    pub fn add(&mut self, problem: ProblemId, source: &str, level: Option<u8>) -> bool {
        if self.index.contains_key(&problem) {
            return false;
        }
        let known = self.sources.iter().position(|known| known.name == source);
        let number = known.unwrap_or(self.sources.len());
        if known.is_none() {
            self.sources.push(Source { name: source.to_owned(), levels: BTreeMap::new() });
        }
        *self.sources[number].levels.entry(level).or_default() += 1;
        let index = self.problems.len();
        self.index.insert(problem.clone(), index);
        self.problems.push(Progress::new(problem, number, level));
        self.entries.push(Entry { state: ProblemState::Fresh, queue: None });
        self.counts.by_state[ProblemState::Fresh as usize] += 1;
        self.file(index);
        true
    }

    /// Takes the result of an attempt in.
    pub fn record(&mut self, attempt: &AttemptId, result: AttemptResult) -> Recorded {
        let Some(&index) = self.index.get(&attempt.problem) else { return Recorded::UnknownProblem };
        let progress = &mut self.problems[index];
        progress.release(attempt.number);
        let is_new = progress.record(attempt.number, result);
        let is_correct = result.outcome == Outcome::Correct;
        let says_something = is_correct || !(result.is_truncated || result.outcome == Outcome::Error);
        if is_new && says_something {
            self.rates.record(progress.source, progress.level, result.version, is_correct);
        }
        self.file(index);
        if is_new { Recorded::New } else { Recorded::Known }
    }

    /// Gives out the next attempt; `None` when no problem may be attempted now.
    pub fn next_attempt(&mut self) -> Option<AttemptId> {
        let index = self.first_rank()?.index;
        let progress = &mut self.problems[index];
        let number = progress.standing(&self.config, self.newest).1?.number;
        progress.begin(number);
        let attempt = AttemptId { problem: progress.id.clone(), number };
        self.file(index);
        Some(attempt)
    }

    /// Whether the next attempt completes a visit that was begun.
    pub fn has_open_visit(&self) -> bool {
        self.queues.values().filter_map(|queue| queue.first()).any(|rank| !rank.begins_visit)
    }

    /// Forgets that an attempt is being made, so that it is given out again under the same name; false
    /// when it was not being made.
    pub fn release(&mut self, attempt: &AttemptId) -> bool {
        let Some(&index) = self.index.get(&attempt.problem) else { return false };
        let was_running = self.problems[index].release(attempt.number);
        self.file(index);
        was_running
    }

    /// Learns of a newly published policy: parked problems get another chance. Older versions are ignored.
    pub fn policy_promoted(&mut self, version: PolicyVersion) {
        if version > self.newest {
            self.newest = version;
            (0..self.problems.len()).for_each(|index| self.file(index));
        }
    }

    /// Allows further attempts at a problem whatever the limits say; false when no problem of that name was added.
    pub fn revive(&mut self, revival: &Revival) -> bool {
        let Some(&index) = self.index.get(&revival.problem) else { return false };
        let from = revival.from.0;
        self.problems[index].revive(from..from.saturating_add(revival.attempts));
        self.file(index);
        true
    }

    /// Gives out no further attempt at a problem, whatever the policy, until it is revived; false when no problem of that
    /// name was added.
    pub fn set_aside(&mut self, problem: &ProblemId) -> bool {
        let Some(&index) = self.index.get(problem) else { return false };
        self.problems[index].set_aside();
        self.file(index);
        true
    }

    /// The attempt that a revival of a problem begins with; `None` unless it is parked or exhausted.
    pub fn revivable_from(&self, problem: &ProblemId) -> Option<AttemptNumber> {
        let index = *self.index.get(problem)?;
        let is_given_up = matches!(self.entries[index].state, ProblemState::Parked | ProblemState::Exhausted);
        is_given_up.then(|| self.problems[index].next_visit(&self.config, self.newest))
    }

    /// Problems by state.
    pub fn counts(&self) -> CurriculumCounts {
        self.counts
    }

    /// Where a problem stands; `None` when no problem of that name was added.
    pub fn state(&self, problem: &ProblemId) -> Option<ProblemState> {
        self.index.get(problem).map(|&index| self.entries[index].state)
    }

    /// What all attempts at a problem came to; `None` when no problem of that name was added.
    pub fn tally(&self, problem: &ProblemId) -> Option<AttemptTally> {
        self.index.get(problem).map(|&index| self.problems[index].tally(..))
    }

    /// How often the newest policy is expected to solve a problem; `None` when no problem of that name was added.
    pub fn pass_rate(&self, problem: &ProblemId) -> Option<PassRate> {
        let progress = &self.problems[*self.index.get(problem)?];
        let rate = self.rates.rate(progress.source, progress.level);
        Some(progress.evidence(self.newest).pass_rate(rate))
    }

    /// Share of a source's problems that a level is above: of those of the same level half.
    fn hardness(&self, class: Class) -> f64 {
        let levels = &self.sources[class.source].levels;
        let leveled =
            || levels.iter().filter_map(|(level, count)| Some((level.as_ref()?, f64::from(*count))));
        let Some(own) = class.level else { return 0.5 };
        let easier: f64 = leveled()
            .map(|(level, count)| match level.cmp(&own) {
                Ordering::Less => count,
                Ordering::Equal => count / 2.0,
                Ordering::Greater => 0.0,
            })
            .sum();
        easier / leveled().map(|(_, count)| count).sum::<f64>()
    }

    /// The rank to serve: visits begun are completed first, then the configured order decides.
    fn first_rank(&self) -> Option<Rank> {
        let heads = self.queues.iter().filter_map(|(class, queue)| Some((*class, *queue.first()?)));
        let head = match self.config.order {
            CurriculumOrder::Supplied => heads.min_by_key(|(_, rank)| *rank),
            CurriculumOrder::Hardest => heads
                .map(|(class, rank)| (self.hardness(class), class, rank))
                .min_by(|(one_hardness, _, one), (two_hardness, _, two)| {
                    (one.begins_visit, one.is_solved)
                        .cmp(&(two.begins_visit, two.is_solved))
                        .then(two_hardness.total_cmp(one_hardness))
                        .then(one.cmp(two))
                })
                .map(|(_, class, rank)| (class, rank)),
            CurriculumOrder::Frontier => {
                let distance = |class: Class| {
                    let rate = self.rates.rate(class.source, class.level);
                    (class.evidence.pass_rate(rate).mean() - 0.5).abs()
                };
                heads
                    .map(|(class, rank)| (distance(class), class, rank))
                    .min_by(|(one_distance, _, one), (two_distance, _, two)| {
                        (one.begins_visit.cmp(&two.begins_visit))
                            .then(one_distance.total_cmp(two_distance))
                            .then(one.cmp(two))
                    })
                    .map(|(_, class, rank)| (class, rank))
            }
        };
        head.map(|(_, rank)| rank)
    }

    /// Files a problem anew after its progress or the newest policy changed.
    fn file(&mut self, index: usize) {
        let progress = &self.problems[index];
        let (state, offer) = progress.standing(&self.config, self.newest);
        let rank = offer.map(|offer| match self.config.order {
            CurriculumOrder::Supplied => {
                Rank { begins_visit: !offer.completes_visit, is_solved: false, attempts: 0, index }
            }
            CurriculumOrder::Hardest | CurriculumOrder::Frontier => Rank {
                begins_visit: !offer.completes_visit,
                is_solved: progress.correct() > 0,
                attempts: progress.attempts(),
                index,
            },
        });
        let evidence = match self.config.order {
            CurriculumOrder::Frontier => progress.evidence(self.newest),
            CurriculumOrder::Hardest | CurriculumOrder::Supplied => Evidence::default(),
        };
        let class = Class { source: progress.source, level: progress.level, evidence };
        let queue = rank.map(|rank| (class, rank));
        let entry = &mut self.entries[index];
        if queue != entry.queue {
            if let Some((class, rank)) = entry.queue
                && let Some(ranks) = self.queues.get_mut(&class)
            {
                ranks.remove(&rank);
                if ranks.is_empty() {
                    self.queues.remove(&class);
                }
            }
            if let Some((class, rank)) = queue {
                self.queues.entry(class).or_default().insert(rank);
            }
        }
        self.counts.by_state[entry.state as usize] -= 1;
        self.counts.by_state[state as usize] += 1;
        *entry = Entry { state, queue };
    }
}

#[cfg(test)]
mod tests;
