//! A round's checkpoints, as its training run finds and leaves them: in the store's folders, recorded last.

use std::path::PathBuf;

use still_domain::{CheckpointId, RoundNumber, TrainingSetId};
use still_roles::{CheckpointStore, SavedCheckpoint, TrainingFailure};
use still_store::{CheckpointsSection, StoreError, WrittenCheckpoint};

use crate::ground::{observe::Observer, store_access::StoreAccess};

/// The checkpoints of one round and its sealed set.
pub(crate) struct RoundCheckpoints {
    pub(crate) access: StoreAccess,
    pub(crate) observer: Observer,
    pub(crate) retention: CheckpointsSection,
    pub(crate) round: RoundNumber,
    pub(crate) training_set: TrainingSetId,
}

impl CheckpointStore for RoundCheckpoints {
    fn newest_first(&self) -> Result<Vec<CheckpointId>, TrainingFailure> {
        let known = self.access.checkpoints.newest_first(self.round, &self.training_set);
        Ok(known.map_err(|error| failed(&error))?.into_iter().map(|manifest| manifest.id).collect())
    }

    fn damage(&self, id: &CheckpointId) -> Result<Option<String>, TrainingFailure> {
        let Some(manifest) = self.access.store.checkpoint(id).map_err(|error| failed(&error))? else {
            return Ok(Some("it is gone".to_owned()));
        };
        Ok(self.access.checkpoints.check(&manifest).err().map(|damage| damage.reason))
    }

    fn begin(&self, step: u64) -> Result<PathBuf, TrainingFailure> {
        self.access.checkpoints.begin(self.round, step).map_err(|error| failed(&error))
    }

    fn commit(&self, saved: SavedCheckpoint) -> Result<CheckpointId, TrainingFailure> {
        let SavedCheckpoint { step, is_final, went_back_to, began, stall } = saved;
        let checkpoints = &self.access.checkpoints;
        let written = WrittenCheckpoint {
            round: self.round,
            step,
            training_set: self.training_set.clone(),
            is_final,
            went_back_to,
            now_ms: self.observer.now_ms(),
        };
        let manifest = checkpoints.commit(written).map_err(|error| failed(&error))?;
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
