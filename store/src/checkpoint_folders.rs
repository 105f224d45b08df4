//! The checkpoints of rounds: files in place, then recorded in the store.
//!
//! A checkpoint exists when its manifest is in the store. What a crash leaves before that is a folder
//! without a manifest, which is swept away when the folders are opened.

use std::path::{Path, PathBuf};

use still_domain::{CheckpointId, CheckpointManifest, RoundNumber, TrainingSetId};

use crate::{
    checkpoint_files::{CheckpointFiles, Damage},
    error::StoreError,
    retention::CheckpointsSection,
    store::Store,
};

/// What the name of a checkpoint starts with.
pub(crate) const ID_PREFIX: &str = "round-";

/// The folder that holds a folder for every checkpoint.
#[derive(Debug, Clone)]
pub struct CheckpointFolders {
    files: CheckpointFiles,
    store: Store,
}

/// A checkpoint whose files are written, and which is to exist from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenCheckpoint {
    /// The round that is trained for.
    pub round: RoundNumber,
    /// Optimizer steps taken.
    pub step: u64,
    /// What is trained on.
    pub training_set: TrainingSetId,
    /// Whether training is complete.
    pub is_final: bool,
    /// Training began anew or went back to this step: what the round has beyond it is of training that was given up.
    pub went_back_to: Option<u64>,
    /// Milliseconds since 1970.
    pub now_ms: u64,
}

impl CheckpointFolders {
    /// Opens the folders below `root` and sweeps away what a crash left: folders named as checkpoints are,
    /// finished or pending, that no manifest names. Anything else is left alone.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(root: &Path, store: Store) -> Result<Self, StoreError> {
        let files = CheckpointFiles::open(root)?;
        let known: Vec<_> =
            store.checkpoints()?.into_iter().map(|manifest| manifest.id.to_string()).collect();
        files.sweep(|name, is_pending| {
            name.starts_with(ID_PREFIX) && (is_pending || !known.iter().any(|id| id == name))
        })?;
        Ok(Self { files, store })
    }

    /// Where the files of a checkpoint are.
    pub fn folder(&self, id: &CheckpointId) -> PathBuf {
        self.files.folder(id)
    }

    /// Makes an empty folder for the files of a checkpoint after so many steps of a round's training.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn begin(&self, round: RoundNumber, step: u64) -> Result<PathBuf, StoreError> {
        self.files.begin(&id_of(round, step))
    }

    /// Hashes and syncs the files in the folder that [`CheckpointFolders::begin`] made, renames it into place and
    /// writes the manifest. A checkpoint of
    /// the same round and step is replaced. Where training went back, the manifests of the round's later
    /// steps are removed in the same batch, those of published policies left out. No checkpoint is said to be
    /// older than one committed before it, whatever the clock says.
    ///
    /// # Errors
    /// When the disk fails; then the checkpoint does not exist.
    pub fn commit(&self, written: WrittenCheckpoint) -> Result<CheckpointManifest, StoreError> {
        let WrittenCheckpoint { round, step, training_set, is_final, went_back_to, now_ms } = written;
        let id = id_of(round, step);
        let files = self.files.describe(&id)?;
        // a manifest never names files that are gone: the record goes first
        if let Some(replaced) = self.store.checkpoint(&id)? {
            self.store.remove_manifest(&replaced)?;
        }
        self.files.install(&id)?;
        let known = self.store.checkpoints()?;
        let newest_ms = known.iter().map(|one| one.created_at_ms).max().unwrap_or(0);
        let manifest = CheckpointManifest {
            id,
            round,
            step,
            is_final,
            training_set,
            files,
            created_at_ms: now_ms.max(newest_ms),
        };
        let mut given_up = Vec::new();
        if let Some(step) = went_back_to {
            let policies = self.store.policies()?;
            let is_published =
                |id: &CheckpointId| policies.iter().any(|one| one.checkpoint.as_ref() == Some(id));
            let is_given_up = |one: &CheckpointManifest| {
                one.round == manifest.round
                    && one.step > step
                    && one.id != manifest.id
                    && !is_published(&one.id)
            };
            given_up.extend(known.into_iter().filter(is_given_up));
        }
        self.store.replace_manifests(&given_up, &manifest)?;
        for one in given_up {
            self.files.remove(&one.id)?;
        }
        Ok(manifest)
    }

    /// Whether every file is as its manifest says; if not, what does not fit.
    pub fn check(&self, manifest: &CheckpointManifest) -> Result<(), Damage> {
        self.files.check(manifest)
    }

    /// The checkpoints of a round and training set, newest first. Their files are not looked at.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn newest_first(
        &self,
        round: RoundNumber,
        training_set: &TrainingSetId,
    ) -> Result<Vec<CheckpointManifest>, StoreError> {
        let mut manifests = self.store.checkpoints_of(round)?;
        manifests.sort_by_key(|manifest| manifest.created_at_ms);
        manifests.retain(|manifest| manifest.training_set == *training_set);
        manifests.reverse();
        Ok(manifests)
    }

    /// The checkpoint that a round's training on a set ended with, if its files are as its manifest says. Those of
    /// other checkpoints are not looked at.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn finished(
        &self,
        round: RoundNumber,
        training_set: &TrainingSetId,
    ) -> Result<Option<CheckpointId>, StoreError> {
        let finals = self.newest_first(round, training_set)?.into_iter().filter(|one| one.is_final);
        Ok(finals.map(|one| (self.check(&one), one.id)).find_map(|(check, id)| check.ok().map(|()| id)))
    }

    /// Whether a checkpoint exists and every file of it is as its manifest says.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn is_intact(&self, id: &CheckpointId) -> Result<bool, StoreError> {
        Ok(self.store.checkpoint(id)?.is_some_and(|manifest| self.check(&manifest).is_ok()))
    }

    /// Removes what `retention` does not keep, but never `committed`, the checkpoint just made. Gives what
    /// was removed, the last round and step first.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn retain_by(
        &self,
        retention: &CheckpointsSection,
        committed: &CheckpointId,
    ) -> Result<Vec<CheckpointId>, StoreError> {
        // no policy is published between the look at them and the removal
        let writer = self.store.writer();
        let manifests = self.store.checkpoints()?;
        let mut kept = retention.kept(&manifests, &self.store.policies()?, &self.store.rounds()?);
        kept.insert(committed.clone());
        let mut removed = Vec::new();
        for manifest in manifests.into_iter().rev().filter(|manifest| !kept.contains(&manifest.id)) {
            self.store.remove_manifest(&manifest)?;
            removed.push(manifest.id);
        }
        drop(writer);
        removed.iter().try_for_each(|id| self.files.remove(id))?;
        Ok(removed)
    }
}

/// The name of a round's checkpoint after so many steps.
fn id_of(round: RoundNumber, step: u64) -> CheckpointId {
    CheckpointId::new(format!("{ID_PREFIX}{round}-step-{step}"))
}
