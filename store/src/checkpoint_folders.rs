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
const ID_PREFIX: &str = "round-";

/// The folder that holds a folder for every checkpoint.
#[derive(Debug, Clone)]
pub struct CheckpointFolders {
    files: CheckpointFiles,
    store: Store,
}

/// A checkpoint whose files are being written.
#[derive(Debug)]
pub struct PendingCheckpoint {
    id: CheckpointId,
    round: RoundNumber,
    step: u64,
    folder: PathBuf,
    /// The step that training goes on from; what the round has beyond it is of training that was given up.
    went_back_to: Option<u64>,
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

    /// Makes an empty folder for a checkpoint's files.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn begin(&self, round: RoundNumber, step: u64) -> Result<PendingCheckpoint, StoreError> {
        self.files.begin(&id_of(round, step))?;
        Ok(self.written(round, step))
    }

    /// The checkpoint that [`CheckpointFolders::begin`] made an empty folder for, whose files are written by now.
    pub fn written(&self, round: RoundNumber, step: u64) -> PendingCheckpoint {
        let id = id_of(round, step);
        let folder = self.files.pending(&id);
        PendingCheckpoint { id, round, step, folder, went_back_to: None }
    }

    /// Hashes and syncs the files, renames the folder into place and writes the manifest. A checkpoint of
    /// the same round and step is replaced. Where training went back, the manifests of the round's later
    /// steps are removed in the same batch, those of published policies left out. No checkpoint is said to be
    /// older than one committed before it, whatever the clock says.
    ///
    /// # Errors
    /// When the disk fails; then the checkpoint does not exist.
    pub fn commit(
        &self,
        pending: PendingCheckpoint,
        training_set: TrainingSetId,
        is_final: bool,
        now_ms: u64,
    ) -> Result<CheckpointManifest, StoreError> {
        let files = self.files.describe(&pending.id)?;
        // a manifest never names files that are gone: the record goes first
        if let Some(replaced) = self.store.checkpoint(&pending.id)? {
            self.store.remove_manifest(&replaced)?;
        }
        self.files.install(&pending.id)?;
        let known = self.store.checkpoints()?;
        let newest_ms = known.iter().map(|one| one.created_at_ms).max().unwrap_or(0);
        let manifest = CheckpointManifest {
            id: pending.id,
            round: pending.round,
            step: pending.step,
            is_final,
            training_set,
            files,
            created_at_ms: now_ms.max(newest_ms),
        };
        let mut given_up = Vec::new();
        if let Some(step) = pending.went_back_to {
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

    /// The intact checkpoints of a round and training set, newest first, and the damaged ones.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn intact(
        &self,
        round: RoundNumber,
        training_set: &TrainingSetId,
    ) -> Result<(Vec<CheckpointManifest>, Vec<Damage>), StoreError> {
        let (mut intact, mut damages) = (Vec::new(), Vec::new());
        let mut manifests = self.store.checkpoints_of(round)?;
        manifests.sort_by_key(|manifest| manifest.created_at_ms);
        manifests.retain(|manifest| manifest.training_set == *training_set);
        for manifest in manifests.into_iter().rev() {
            match self.check(&manifest) {
                Ok(()) => intact.push(manifest),
                Err(damage) => damages.push(damage),
            }
        }
        Ok((intact, damages))
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

impl PendingCheckpoint {
    /// Where the files go.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Training began anew or went back to `step`: the commit removes the round's checkpoints of later steps.
    #[must_use]
    pub const fn going_back_to(mut self, step: u64) -> Self {
        self.went_back_to = Some(step);
        self
    }

    /// The name that the checkpoint will have.
    pub const fn id(&self) -> &CheckpointId {
        &self.id
    }
}

/// The name of a round's checkpoint after so many steps.
fn id_of(round: RoundNumber, step: u64) -> CheckpointId {
    CheckpointId::new(format!("{ID_PREFIX}{round}-step-{step}"))
}
