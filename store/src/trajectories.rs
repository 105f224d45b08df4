//! Judged trajectories: the pool.

use std::collections::{BTreeSet, HashSet};

use still_domain::{AttemptFact, AttemptId, JudgedTrajectory, ProblemId};

use crate::{
    engine::Change,
    error::StoreError,
    key::{Key, Kind},
    scan::Records,
    store::Store,
};

/// What a commit of trajectories brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitReport {
    /// Attempts that were not there before.
    pub new: u64,
    /// Attempts that were there, by their index in what was to be committed: the first commit stands.
    pub already_there: BTreeSet<usize>,
    /// Bytes of keys and values made durable.
    pub bytes: u64,
}

impl Store {
    /// Makes judged trajectories durable in one batch, each with its [`AttemptFact`]. An attempt that is
    /// there already stays as it is.
    ///
    /// # Errors
    /// When the disk fails; then none of them is there.
    pub fn commit_trajectories(&self, judged: &[JudgedTrajectory]) -> Result<CommitReport, StoreError> {
        let _writer = self.writer();
        let mut sequence = self.last_sequence()?;
        let mut report = CommitReport::default();
        let mut batch = Vec::with_capacity(2 * judged.len());
        let mut seen = HashSet::new();
        for (index, trajectory) in judged.iter().enumerate() {
            let key = trajectory_key(trajectory.id());
            if !seen.insert(trajectory.id()) || self.has(&key)? {
                report.already_there.insert(index);
            } else {
                sequence += 1;
                batch.push(self.put(&key, trajectory)?);
                batch.push(self.put_fact(&AttemptFact::of(trajectory, sequence))?);
                report.new += 1;
            }
        }
        report.bytes = batch.iter().map(Change::bytes).sum();
        self.commit(batch)?;
        Ok(report)
    }

    /// One trajectory.
    pub fn trajectory(&self, id: &AttemptId) -> Result<Option<JudgedTrajectory>, StoreError> {
        self.get(&trajectory_key(id))
    }

    /// Every trajectory, by problem and attempt.
    pub fn trajectories(&self) -> Records<JudgedTrajectory> {
        self.records(Key::of(Kind::Trajectory))
    }

    /// The trajectories of a problem, by attempt.
    pub fn trajectories_of(&self, problem: &ProblemId) -> Result<Vec<JudgedTrajectory>, StoreError> {
        self.all(Key::of(Kind::Trajectory).text(problem.as_str()))
    }
}

pub(crate) fn trajectory_key(id: &AttemptId) -> Key {
    Key::of(Kind::Trajectory).text(id.problem.as_str()).number(u64::from(id.number.0))
}
