//! A round's checkpoints, as its training run finds and leaves them: in the store's folders, recorded last.

use std::path::PathBuf;

use still_domain::{CheckpointId, CheckpointManifest, RoundNumber, TrainingSetId};
use still_roles::{CheckpointStore, SavedCheckpoint, TrainingFailure};
use still_store::{CheckpointsSection, StoreError};

use crate::ground::{observe::Observer, store_access::StoreAccess};

/// The checkpoints of one round and its sealed set.
pub(crate) struct RoundCheckpoints {
    pub(crate) access: StoreAccess,
    pub(crate) observer: Observer,
    pub(crate) retention: CheckpointsSection,
    pub(crate) round: RoundNumber,
    pub(crate) training_set: TrainingSetId,
}

impl RoundCheckpoints {
    /// What the training ended with, if it is over and intact. Where it is not over no file is read. Blocks.
    pub(crate) fn finished(&self) -> Result<Option<CheckpointId>, StoreError> {
        let known = self.access.store.checkpoints_of(self.round)?;
        if !known.iter().any(|one| one.is_final && one.training_set == self.training_set) {
            return Ok(None);
        }
        let newest = self.intact()?.into_iter().next();
        Ok(newest.filter(|newest| newest.is_final).map(|newest| newest.id))
    }

    /// Newest first, without damaged ones, which are reported. Blocks.
    pub(crate) fn intact(&self) -> Result<Vec<CheckpointManifest>, StoreError> {
        let (checkpoints, damages) = self.access.checkpoints.intact(self.round, &self.training_set)?;
        for damage in damages {
            let (checkpoint, reason) = (damage.checkpoint, damage.reason);
            self.observer.warn(format!("checkpoint {checkpoint} is damaged and passed over: {reason}"));
        }
        Ok(checkpoints)
    }
}

impl CheckpointStore for RoundCheckpoints {
    fn resumable(&self) -> Result<Vec<PathBuf>, TrainingFailure> {
        let intact = self.intact().map_err(|error| failed(&error))?;
        Ok(intact.iter().map(|one| self.access.checkpoints.folder(&one.id)).collect())
    }

    fn begin(&self, step: u64) -> Result<PathBuf, TrainingFailure> {
        let pending = self.access.checkpoints.begin(self.round, step).map_err(|error| failed(&error))?;
        Ok(pending.folder().to_owned())
    }

    fn commit(&self, saved: SavedCheckpoint) -> Result<CheckpointId, TrainingFailure> {
        let SavedCheckpoint { folder: _, step, is_final, went_back_to, began, stall } = saved;
        let checkpoints = &self.access.checkpoints;
        let mut pending = checkpoints.written(self.round, step);
        if let Some(step) = went_back_to {
            pending = pending.going_back_to(step);
        }
        let now_ms = self.observer.now_ms();
        let set = self.training_set.clone();
        let manifest = checkpoints.commit(pending, set, is_final, now_ms).map_err(|error| failed(&error))?;
        self.observer.checkpointed(&manifest, began.elapsed(), stall);
        checkpoints.retain_by(&self.retention, &manifest.id).map_err(|error| failed(&error))?;
        Ok(manifest.id)
    }

    fn folder(&self, id: &CheckpointId) -> PathBuf {
        self.access.checkpoints.folder(id)
    }
}

fn failed(error: &StoreError) -> TrainingFailure {
    TrainingFailure::Disk(error.to_string())
}
