//! The output folder and its checkpoints.
//!
//! Their files are kept as the daemon keeps its own ([`CheckpointFiles`]): a checkpoint is written under another
//! name, by another thread while training goes on, synced, hashed and renamed, so that what is called `step-N` is
//! whole. Its manifest, which the daemon has in its store, is a file among the others. Checkpoints of programs
//! that wrote none are gone on from as well: nothing tells their hashes, only the learner looks at them.

use std::{
    cmp::Reverse,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use still_control::{Exit, Failure, OrExit};
use still_domain::{CheckpointId, CheckpointManifest, RoundNumber, TrainingSetId};
use still_roles::{CheckpointStore, SavedCheckpoint, TrainingFailure};
use still_store::{CheckpointFiles, CheckpointsSection, StoreError};

/// The folder of checkpoints inside the output folder.
const CHECKPOINTS: &str = "checkpoints";
/// Precedes the step in a checkpoint's name.
const STEP: &str = "step-";
/// The manifest inside a checkpoint's folder.
const MANIFEST: &str = "manifest.json";
/// What programs that wrote no manifest called a checkpoint that was being written.
const OLD_PENDING: &str = "pending";

/// The checkpoints of one training, each with its manifest among its files.
#[derive(Debug, Clone)]
pub(super) struct Checkpoints {
    files: CheckpointFiles,
    retention: CheckpointsSection,
    training_set: TrainingSetId,
}

impl Checkpoints {
    /// Opens those of an output folder; with `resume` they are gone on from, and without it there must be none.
    pub(super) fn open(folder: &Path, resume: bool, keep_last: usize) -> Result<Self, Failure> {
        let root = folder.join(CHECKPOINTS);
        let retention = CheckpointsSection {
            keep_last,
            keep_best: 0,
            keep_every_rounds: 0,
            keep_published: 0,
            ..CheckpointsSection::default()
        };
        let training_set = TrainingSetId::new("");
        let files = CheckpointFiles::open(&root).or_exit(Exit::Store)?;
        let checkpoints = Self { files, retention, training_set };
        match checkpoints.by_age().or_exit(Exit::Store)?.first() {
            Some(newest) if !resume => {
                let found = checkpoints.files.folder(&newest.id);
                let message = format!(
                    "there is a checkpoint already, `{}`: add --resume, or name another folder",
                    found.display()
                );
                return Err(Failure::new(Exit::BadInput, message));
            }
            None if resume => eprintln!("there is no checkpoint to go on from: starting afresh"),
            _ => {}
        }
        // not before it is known that this training may be at home here
        checkpoints.sweep().or_exit(Exit::Store)?;
        Ok(checkpoints)
    }

    /// The same for checkpoints of that set.
    pub(super) fn of(self, training_set: TrainingSetId) -> Self {
        Self { training_set, ..self }
    }

    /// Sweeps away what a crash left half written.
    fn sweep(&self) -> Result<(), StoreError> {
        self.files.sweep(|name, is_pending| (is_pending && step_of(name).is_some()) || name == OLD_PENDING)
    }

    /// Makes what was written since [`CheckpointStore::begin`] a checkpoint. Those of later steps are of a training
    /// that was given up, by going back or by a damaged checkpoint passed over.
    fn install(&self, step: u64, is_final: bool) -> Result<CheckpointId, StoreError> {
        let id = id(step);
        let files = self.files.describe(&id)?;
        let mut known = self.manifests()?;
        known.retain(|manifest| manifest.id != id);
        let newest_ms = known.iter().map(|manifest| manifest.created_at_ms).max().unwrap_or(0);
        let manifest = CheckpointManifest {
            id: id.clone(),
            round: RoundNumber(0),
            step,
            is_final,
            training_set: self.training_set.clone(),
            files,
            created_at_ms: now_ms().max(newest_ms),
        };
        write_manifest(&self.files.pending(&id), &manifest)?;
        self.files.install(&id)?;
        known.push(manifest);
        let (mut left, given_up): (Vec<_>, Vec<_>) =
            known.into_iter().partition(|manifest| manifest.step <= step);
        let kept = self.retention.kept(&left, &[], &[]);
        left.retain(|manifest| !kept.contains(&manifest.id));
        given_up.iter().chain(&left).try_for_each(|manifest| self.files.remove(&manifest.id))?;
        Ok(id)
    }

    /// The same, newest first.
    fn by_age(&self) -> Result<Vec<CheckpointManifest>, StoreError> {
        let mut manifests = self.manifests()?;
        manifests.sort_by_key(|manifest| Reverse((manifest.created_at_ms, manifest.step)));
        Ok(manifests)
    }

    /// The manifests of what is in place, in no order.
    fn manifests(&self) -> Result<Vec<CheckpointManifest>, StoreError> {
        let names = self.files.names()?;
        Ok(names.iter().filter_map(|name| step_of(name)).map(|step| self.manifest(step)).collect())
    }

    /// A checkpoint's manifest. Of one whose manifest is not there or cannot be read, no more is known than its
    /// folder's name.
    fn manifest(&self, step: u64) -> CheckpointManifest {
        let id = id(step);
        let text = fs::read(self.files.folder(&id).join(MANIFEST)).unwrap_or_default();
        serde_json::from_slice(&text)
            .ok()
            .filter(|manifest: &CheckpointManifest| manifest.id == id)
            .unwrap_or(CheckpointManifest {
                id,
                round: RoundNumber(0),
                step,
                is_final: false,
                training_set: TrainingSetId::new(""),
                files: Vec::new(),
                created_at_ms: 0,
            })
    }
}

impl CheckpointStore for Checkpoints {
    fn newest_first(&self) -> Result<Vec<CheckpointId>, TrainingFailure> {
        let known = self.by_age().map_err(|error| unusable(&error))?;
        Ok(known.into_iter().map(|manifest| manifest.id).collect())
    }

    fn damage(&self, id: &CheckpointId) -> Result<Option<String>, TrainingFailure> {
        let Some(step) = step_of(id.as_str()) else {
            return Ok(Some("it is none of this training's".to_owned()));
        };
        Ok(self.files.check(&self.manifest(step)).err().map(|damage| damage.reason))
    }

    fn begin(&self, step: u64) -> Result<PathBuf, TrainingFailure> {
        self.files.begin(&id(step)).map_err(|error| unusable(&error))
    }

    fn commit(&self, saved: SavedCheckpoint) -> Result<CheckpointId, TrainingFailure> {
        self.install(saved.step, saved.is_final).map_err(|error| unusable(&error))
    }

    fn folder(&self, id: &CheckpointId) -> PathBuf {
        self.files.folder(id)
    }

    fn begins_anew(&self) -> bool {
        false
    }
}

fn unusable(error: &StoreError) -> TrainingFailure {
    TrainingFailure::Disk(error.to_string())
}

fn write_manifest(folder: &Path, manifest: &CheckpointManifest) -> Result<(), StoreError> {
    let path = folder.join(MANIFEST);
    let write = || -> io::Result<()> {
        let mut file = File::create(&path)?;
        file.write_all(&serde_json::to_vec_pretty(manifest)?)?;
        file.sync_all()?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|source| StoreError::File { path: path.clone(), source })
}

fn id(step: u64) -> CheckpointId {
    CheckpointId::new(format!("{STEP}{step}"))
}

fn step_of(name: &str) -> Option<u64> {
    name.strip_prefix(STEP)?.parse().ok()
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn open(folder: &Path) -> Checkpoints {
        Checkpoints::open(folder, true, 2).unwrap()
    }

    fn commit(checkpoints: &Checkpoints, step: u64) {
        let folder = checkpoints.begin(step).unwrap();
        fs::write(folder.join("learner"), format!("at {step}")).unwrap();
        let (began, stall) = (Instant::now(), Duration::ZERO);
        let saved = SavedCheckpoint { step, is_final: false, went_back_to: None, began, stall };
        checkpoints.commit(saved).unwrap();
    }

    fn names(checkpoints: &Checkpoints) -> Vec<String> {
        let known = checkpoints.newest_first().unwrap();
        let intact = known.iter().filter(|id| checkpoints.damage(id).unwrap().is_none());
        intact.map(ToString::to_string).collect()
    }

    #[test]
    fn the_newest_are_kept_and_what_was_given_up_goes() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = open(folder.path());
        for step in [2, 4, 6, 10] {
            commit(&checkpoints, step);
        }
        assert_eq!(names(&checkpoints), ["step-10", "step-6"]);
        // training went on from step 6
        commit(&checkpoints, 8);
        assert_eq!(names(&checkpoints), ["step-8", "step-6"]);
        assert!(Checkpoints::open(folder.path(), false, 2).unwrap_err().message.contains("--resume"));
    }

    #[test]
    fn a_damaged_checkpoint_is_passed_over_and_a_half_written_one_swept_away() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = open(folder.path());
        commit(&checkpoints, 2);
        commit(&checkpoints, 4);
        fs::write(checkpoints.begin(6).unwrap().join("learner"), "half").unwrap();
        let root = folder.path().join(CHECKPOINTS);
        fs::write(root.join("step-4/learner"), "at 5").unwrap();
        let checkpoints = open(folder.path());
        assert_eq!(names(&checkpoints), ["step-2"]);
        assert_eq!(fs::read_dir(&root).unwrap().count(), 2);
        fs::write(root.join("step-2/learner"), "at 3").unwrap();
        assert!(names(&checkpoints).is_empty());
    }

    #[test]
    fn checkpoints_of_the_version_without_manifests_are_found_and_give_way_to_new_ones() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join(CHECKPOINTS);
        for name in ["step-9", "step-10", "pending"] {
            fs::create_dir_all(root.join(name)).unwrap();
            fs::write(root.join(name).join("learner"), name).unwrap();
        }
        let checkpoints = open(folder.path());
        assert_eq!(names(&checkpoints), ["step-10", "step-9"]);
        assert!(!root.join("pending").exists());
        commit(&checkpoints, 12);
        assert_eq!(names(&checkpoints), ["step-12", "step-10"]);
    }
}
