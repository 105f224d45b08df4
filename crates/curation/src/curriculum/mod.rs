//! Which problem gets the next attempt: hard and unsolved first, solved ones retired, hopeless ones parked.
//!
//! The curriculum is rebuilt from recorded attempts and never saved: the same facts, in any order, give the
//! same state, and the same state gives the same next attempt. What runs when a process dies is asked for
//! again under the same name. A run that wants the same attempts bit for bit (lockstep) replays the facts
//! of the earlier rounds, takes the round's attempts from [`Curriculum::next_attempt`], and only then
//! records what the round has brought so far.

mod progress;
mod rates;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_domain::{AttemptId, Outcome, PolicyVersion, ProblemId};

use self::{progress::Progress, rates::LevelRates};

pub use self::progress::ProblemState;

/// Which of the problems that may be attempted comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CurriculumOrder {
    /// Unsolved before solved, then the highest level, then the least attempted.
    #[default]
    Hardest,
    /// The level whose expected share of right answers is nearest to one half, where attempts teach most;
    /// within it unsolved before solved, then the least attempted.
    Frontier,
    /// As supplied.
    Supplied,
}

/// How attempts are shared out, in the words of `[exploration]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurriculumConfig {
    /// Which problem comes first.
    pub order: CurriculumOrder,
    /// Attempts at one problem, over all policies, and as many more that the verifier fails to judge; at least 1.
    pub attempts_per_problem: u32,
    /// Attempts given out together, at least 1; a visit that was begun is completed.
    pub attempts_per_visit: u32,
    /// Right answers after which a problem gets no further visit; at least 1.
    pub stop_after_correct: u32,
    /// Attempts without a right answer under the newest policy after which a never solved problem waits
    /// for a better one; 0 never parks.
    pub park_after: u32,
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

/// Problems by state, and attempts being made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CurriculumCounts {
    by_state: [usize; ProblemState::ALL.len()],
    /// Attempts given out and not yet recorded.
    pub running_attempts: usize,
}

impl CurriculumCounts {
    /// Problems in `state`.
    pub fn of(&self, state: ProblemState) -> usize {
        self.by_state[state as usize]
    }

    /// Problems in all states.
    pub fn problems(&self) -> usize {
        self.by_state.iter().sum()
    }

    /// Problems of which an attempt could be given out now.
    pub fn ready(&self) -> usize {
        self.of(ProblemState::Fresh) + self.of(ProblemState::Open)
    }
}

/// Which problem gets the next attempt.
#[derive(Debug, Clone)]
pub struct Curriculum {
    config: CurriculumConfig,
    newest: PolicyVersion,
    problems: Vec<Progress>,
    index: HashMap<ProblemId, usize>,
    places: Vec<Place>,
    queues: BTreeMap<Option<u8>, BTreeSet<Rank>>,
    rates: LevelRates,
    counts: CurriculumCounts,
}

/// Where a problem is filed.
#[derive(Debug, Clone, Copy)]
struct Place {
    state: ProblemState,
    rank: Option<Rank>,
}

/// The order of the problems of one level; smaller comes first.
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
            attempts_per_visit: config.attempts_per_visit.max(1),
            ..config
        };
        Self {
            config,
            newest: PolicyVersion::default(),
            problems: Vec::new(),
            index: HashMap::new(),
            places: Vec::new(),
            queues: BTreeMap::new(),
            rates: LevelRates::default(),
            counts: CurriculumCounts::default(),
        }
    }

    /// Adds a problem; false when one of that name is there already.
    pub fn add(&mut self, problem: ProblemId, level: Option<u8>) -> bool {
        if self.index.contains_key(&problem) {
            return false;
        }
        let index = self.problems.len();
        self.index.insert(problem.clone(), index);
        self.problems.push(Progress::new(problem, level));
        self.places.push(Place { state: ProblemState::Fresh, rank: None });
        self.counts.by_state[ProblemState::Fresh as usize] += 1;
        self.file(index);
        true
    }

    /// Takes the outcome of an attempt in, made by `version` (the oldest policy in the trajectory).
    pub fn record(&mut self, attempt: &AttemptId, outcome: Outcome, version: PolicyVersion) -> Recorded {
        let Some(&index) = self.index.get(&attempt.problem) else { return Recorded::UnknownProblem };
        let progress = &mut self.problems[index];
        self.counts.running_attempts -= usize::from(progress.release(attempt.number));
        let is_new = progress.record(attempt.number, outcome, version);
        if is_new && outcome != Outcome::Error {
            self.rates.record(progress.level, version, outcome == Outcome::Correct);
        }
        self.file(index);
        if is_new { Recorded::New } else { Recorded::Known }
    }

    /// Gives out the next attempt; `None` when no problem may be attempted now.
    pub fn next_attempt(&mut self) -> Option<AttemptId> {
        let index = self.first_rank()?.index;
        let progress = &mut self.problems[index];
        let number = progress.offer(&self.config, self.newest)?.number;
        progress.begin(number);
        let attempt = AttemptId { problem: progress.id.clone(), number };
        self.counts.running_attempts += 1;
        self.file(index);
        Some(attempt)
    }

    /// Forgets that an attempt is being made, so that it is given out again under the same name; false
    /// when it was not being made.
    pub fn release(&mut self, attempt: &AttemptId) -> bool {
        let Some(&index) = self.index.get(&attempt.problem) else { return false };
        let was_running = self.problems[index].release(attempt.number);
        self.counts.running_attempts -= usize::from(was_running);
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

    /// Problems by state, and attempts being made.
    pub fn counts(&self) -> CurriculumCounts {
        self.counts
    }

    /// Where a problem stands; `None` when no problem of that name was added.
    pub fn state(&self, problem: &ProblemId) -> Option<ProblemState> {
        self.index.get(problem).map(|&index| self.places[index].state)
    }

    /// The rank to serve: visits begun are completed first, then the configured order decides.
    fn first_rank(&self) -> Option<Rank> {
        let heads = self.queues.iter().filter_map(|(level, queue)| Some((*level, *queue.first()?)));
        let head = match self.config.order {
            CurriculumOrder::Supplied => heads.min_by_key(|(_, rank)| *rank),
            CurriculumOrder::Hardest => {
                heads.min_by_key(|(level, rank)| (rank.begins_visit, rank.is_solved, Reverse(*level), *rank))
            }
            CurriculumOrder::Frontier => {
                let distance = |level: Option<u8>| (self.rates.rate(level) - 0.5).abs();
                heads.min_by(|(one, first), (two, second)| {
                    (first.begins_visit.cmp(&second.begins_visit))
                        .then(distance(*one).total_cmp(&distance(*two)))
                        .then(two.cmp(one))
                })
            }
        };
        head.map(|(_, rank)| rank)
    }

    /// Files a problem anew after its progress or the newest policy changed.
    fn file(&mut self, index: usize) {
        let progress = &self.problems[index];
        let state = progress.state(&self.config, self.newest);
        let rank = progress.offer(&self.config, self.newest).map(|offer| match self.config.order {
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
        let place = &mut self.places[index];
        if rank != place.rank {
            let queue = self.queues.entry(progress.level).or_default();
            if let Some(old) = place.rank {
                queue.remove(&old);
            }
            if let Some(new) = rank {
                queue.insert(new);
            }
        }
        self.counts.by_state[place.state as usize] -= 1;
        self.counts.by_state[state as usize] += 1;
        *place = Place { state, rank };
    }
}

#[cfg(test)]
mod tests;
