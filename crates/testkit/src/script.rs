//! What goes wrong, what waits, and what was seen.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

use still_domain::{AttemptId, RoundNumber, TrainingSetId};

/// Holds threads until it is opened. It starts open.
#[derive(Debug, Default)]
pub struct Gate {
    closed: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    /// Whoever passes now waits.
    pub fn close(&self) {
        *lock(&self.closed) = true;
    }

    /// Whoever waits goes on.
    pub fn open(&self) {
        *lock(&self.closed) = false;
        self.changed.notify_all();
    }

    /// Goes through, or waits until the gate is open.
    pub fn pass(&self) {
        let closed = lock(&self.closed);
        drop(self.changed.wait_while(closed, |closed| *closed).unwrap_or_else(PoisonError::into_inner));
    }
}

/// A training job that was begun.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The round.
    pub round: RoundNumber,
    /// The set.
    pub training_set: TrainingSetId,
    /// Examples given.
    pub examples: usize,
    /// Skill that it started from.
    pub start_skill: f32,
    /// The checkpoint it went on from.
    pub resume: Option<PathBuf>,
    /// Steps taken before.
    pub resumed_step: u64,
}

/// What goes wrong, what waits, and what was seen: shared by the roles of one test.
#[derive(Debug, Default)]
pub struct Script {
    /// Steps of a generator wait here.
    pub generation: Gate,
    /// Steps of the learner wait here.
    pub training: Gate,
    /// Judgements wait here.
    pub judgement: Gate,
    /// So many coming steps of a generator panic.
    pub generator_panics: AtomicU32,
    /// So many coming rollouts are lost, each alone.
    pub rollout_losses: AtomicU32,
    /// So many coming steps of the learner fail.
    pub learner_failures: AtomicU32,
    /// So many coming jobs are refused by the learner.
    pub learner_refusals: AtomicU32,
    /// The learner fails once instead of taking this step of a job; 0 is none.
    pub learner_fails_at_step: AtomicU64,
    /// Training diverges once instead of taking this step of a job, goes back to its start, and closes its
    /// gate; 0 is none.
    pub learner_diverges_at_step: AtomicU64,
    /// Training that diverges has no state in memory to go back to.
    pub learner_keeps_no_state: AtomicBool,
    /// Optimizer steps of every job begun from now on; 0 leaves it to the learner. A checkpoint of a job of
    /// another length cannot be gone on from.
    pub training_steps: AtomicU64,
    /// Parts of a step of the learner, each of which waits at the gate of training; 0 leaves a step whole.
    pub parts_of_a_step: AtomicU64,
    /// So many coming judgements panic.
    pub verifier_panics: AtomicU32,
    /// So many coming judgements fail.
    pub verifier_errors: AtomicU32,
    /// So many coming builds of a learner fail.
    pub learner_build_failures: AtomicU32,
    /// So many coming scores fail, and with each of them its pass.
    pub scorer_failures: AtomicU32,
    /// So many coming scores come to nothing, each alone.
    pub score_losses: AtomicU32,
    /// So many coming comparisons of an engine's log-probabilities with the learner's fail.
    pub gap_failures: AtomicU32,
    /// How far the learner's log-probabilities are below the engine's, in thousandths of a nat.
    pub gap_thousandths: AtomicU32,
    scored: Mutex<Vec<AttemptId>>,
    begun: Mutex<HashMap<AttemptId, Vec<u64>>>,
    jobs: Mutex<Vec<Job>>,
}

impl Script {
    /// Notes that a generator took a rollout in.
    pub fn rollout_begun(&self, id: &AttemptId, seed: u64) {
        lock(&self.begun).entry(id.clone()).or_default().push(seed);
    }

    /// Notes that a trajectory was scored.
    pub fn scored(&self, id: &AttemptId) {
        lock(&self.scored).push(id.clone());
    }

    /// Every trajectory scored, in order: once for each time.
    pub fn scores(&self) -> Vec<AttemptId> {
        lock(&self.scored).clone()
    }

    /// Notes that a learner began a job.
    pub fn job_begun(&self, job: Job) {
        lock(&self.jobs).push(job);
    }

    /// Every rollout taken in, with its seeds: one for each time it was asked for.
    pub fn rollouts(&self) -> HashMap<AttemptId, Vec<u64>> {
        lock(&self.begun).clone()
    }

    /// Every job begun, in order.
    pub fn jobs(&self) -> Vec<Job> {
        lock(&self.jobs).clone()
    }
}

/// Takes one from a count; false when it is zero.
pub fn take_one(count: &AtomicU32) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
