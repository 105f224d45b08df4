//! Trajectories that are judged or inspected anew after their commit: by maintenance, never by a run.
//!
//! A revision goes through the pool in the order of arrival. What it has changed is durable together with how far it
//! has come, so one that was interrupted goes on where it stopped.

use serde::{Deserialize, Serialize};
use still_domain::{AttemptFact, JudgedTrajectory};

use crate::{
    engine::Change,
    error::StoreError,
    key::{Key, Kind},
    store::Store,
};

/// How far a revision has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionProgress {
    /// What is done, with the settings it is done by: another one begins anew.
    pub work: String,
    /// The place, in the order of arrival, of the last trajectory looked at.
    pub after: u64,
}

impl Store {
    /// The revision that was begun and not ended.
    pub fn revision(&self) -> Result<Option<RevisionProgress>, StoreError> {
        self.get(&revision_key())
    }

    /// Puts trajectories in the place of those of the same names, each with its place in the order of arrival, and
    /// writes down how far the revision has come; `None` when it is done. One batch, flushed.
    ///
    /// # Errors
    /// When the disk fails; then nothing has changed. [`StoreError::Conflict`] when a trajectory was never committed.
    pub fn revise_trajectories(
        &self,
        revised: &[(u64, JudgedTrajectory)],
        progress: Option<&RevisionProgress>,
    ) -> Result<(), StoreError> {
        let _writer = self.writer();
        let mut batch = Vec::with_capacity(2 * revised.len() + 1);
        for (sequence, judged) in revised {
            let key = crate::trajectories::trajectory_key(judged.id());
            if !self.has(&key)? {
                let message =
                    format!("attempt {} was never committed: there is nothing to revise", judged.id());
                return Err(StoreError::Conflict(message));
            }
            batch.push(self.put(&key, judged)?);
            batch.push(self.put_fact(&AttemptFact::of(judged, *sequence))?);
        }
        batch.push(match progress {
            Some(progress) => self.put(&revision_key(), progress)?,
            None => Change::remove(&revision_key()),
        });
        self.commit(batch)
    }
}

fn revision_key() -> Key {
    Key::of(Kind::Meta).text("revision")
}
