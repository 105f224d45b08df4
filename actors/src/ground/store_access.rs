//! The actors' way to the store: never on a runtime worker, and in the words of the loop.

use ractor::ActorProcessingErr;
use still_curation::Candidate;
use still_domain::{JudgedTrajectory, PolicyOrigin, PolicyRecord, PolicyVersion, Problem, Split};
use still_store::{CheckpointFolders, Store, StoreError};

/// The store with its checkpoints; shared by clones.
#[derive(Clone)]
pub(crate) struct StoreAccess {
    pub(crate) store: Store,
    pub(crate) checkpoints: CheckpointFolders,
}

/// What a commit of trajectories left in the store.
#[derive(Debug, Default)]
pub(crate) struct Committed {
    /// What stands there of every trajectory of the group.
    pub(crate) facts: Vec<Candidate>,
    /// Of these, those that were not there before.
    pub(crate) new: Vec<Candidate>,
}

impl StoreAccess {
    /// Does `work` on a blocking thread.
    ///
    /// # Errors
    /// What `work` fails with, the store's failures among them, and its panic.
    pub(crate) async fn run<T, E>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, E> + Send + 'static,
    ) -> Result<T, ActorProcessingErr>
    where
        T: Send + 'static,
        E: Into<ActorProcessingErr> + Send + 'static,
    {
        let access = self.clone();
        match tokio::task::spawn_blocking(move || work(&access)).await {
            Ok(result) => result.map_err(Into::into),
            Err(panic) => Err(panic.into()),
        }
    }

    /// Problems of a split, in their order of import.
    pub(crate) fn problems(&self, split: Split) -> Result<Vec<Problem>, StoreError> {
        let mut problems = self.store.problems()?;
        problems.retain(|problem| problem.split == split);
        Ok(problems)
    }

    /// Problems of every split that policies are scored on, in their order of import.
    pub(crate) fn held_out_problems(&self) -> Result<Vec<Problem>, StoreError> {
        let mut problems = self.store.problems()?;
        problems.retain(|problem| problem.split.is_held_out());
        Ok(problems)
    }

    /// What is to be known of every trajectory in the pool, by problem and attempt; no token is read.
    pub(crate) fn facts(&self) -> Result<Vec<Candidate>, StoreError> {
        Ok(self.store.facts()?.into_iter().map(Candidate::from).collect())
    }

    /// Makes a group of trajectories durable, all or none, and says of each what stands in the store: an
    /// attempt that was committed before stays as it was.
    pub(crate) fn commit(&self, group: &[JudgedTrajectory]) -> Result<Committed, StoreError> {
        let report = self.store.commit_trajectories(group)?;
        let mut committed = Committed::default();
        for (index, judged) in group.iter().enumerate() {
            let is_new = !report.already_there.contains(&index);
            let known = if is_new { None } else { self.store.trajectory(judged.id())? };
            let fact = Candidate::from(known.as_ref().unwrap_or(judged));
            if is_new {
                committed.new.push(fact.clone());
            }
            committed.facts.push(fact);
        }
        Ok(committed)
    }
}

/// The version that a chain of promotions by hand leads back to.
pub(crate) fn effective_version(policies: &[PolicyRecord], record: &PolicyRecord) -> PolicyVersion {
    match record.origin {
        PolicyOrigin::Operator(version) => policies
            .iter()
            .find(|earlier| earlier.version == version && earlier.version < record.version)
            .map_or(version, |earlier| effective_version(policies, earlier)),
        PolicyOrigin::Base | PolicyOrigin::Round(_) => record.version,
    }
}
