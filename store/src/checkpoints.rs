//! Checkpoint manifests: the records that make checkpoints exist.

use still_domain::{CheckpointId, CheckpointManifest, RoundNumber};

use crate::{
    engine::Change,
    error::StoreError,
    key::{Key, Kind},
    store::Store,
};

impl Store {
    /// Makes a checkpoint exist, and others no more: the manifest is written after every file is synced.
    pub(crate) fn replace_manifests(
        &self,
        removed: &[CheckpointManifest],
        manifest: &CheckpointManifest,
    ) -> Result<(), StoreError> {
        let mut batch: Vec<_> = removed.iter().map(|one| Change::remove(&manifest_key(one))).collect();
        batch.push(self.put(&manifest_key(manifest), manifest)?);
        self.commit(batch)
    }

    /// Makes a checkpoint exist no more: the manifest goes before the files.
    pub(crate) fn remove_manifest(&self, manifest: &CheckpointManifest) -> Result<(), StoreError> {
        self.commit(vec![Change::remove(&manifest_key(manifest))])
    }

    /// Every checkpoint, by round and step.
    pub fn checkpoints(&self) -> Result<Vec<CheckpointManifest>, StoreError> {
        self.all(Key::of(Kind::Checkpoint))
    }

    /// The checkpoints of a round, by step.
    pub fn checkpoints_of(&self, round: RoundNumber) -> Result<Vec<CheckpointManifest>, StoreError> {
        self.all(Key::of(Kind::Checkpoint).number(u64::from(round.0)))
    }

    /// One checkpoint.
    pub fn checkpoint(&self, id: &CheckpointId) -> Result<Option<CheckpointManifest>, StoreError> {
        Ok(self.checkpoints()?.into_iter().find(|manifest| manifest.id == *id))
    }
}

fn manifest_key(manifest: &CheckpointManifest) -> Key {
    Key::of(Kind::Checkpoint).number(u64::from(manifest.round.0)).number(manifest.step)
}
