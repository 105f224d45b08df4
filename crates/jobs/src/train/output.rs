//! The output folder and its checkpoints.
//!
//! Their files are kept as the daemon keeps its own ([`CheckpointFiles`]): a checkpoint is written under another
//! name, by another thread while training goes on, synced, hashed and renamed, so that what is called `step-N` is
//! whole. Its manifest, which the daemon has in its store, is a file among the others. Checkpoints of programs
//! that wrote none are gone on from as well: nothing tells their hashes, only the learner looks at them.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use still_control::{Exit, Failure, OrExit};
use still_domain::{CheckpointId, CheckpointManifest, RoundNumber, TrainingSetId};
use still_roles::{Background, LearnerSnapshot};
use still_store::{CheckpointFiles, Damage, Retention, StoreError};

use super::failed;

/// The folder of checkpoints inside the output folder.
const CHECKPOINTS: &str = "checkpoints";
/// Precedes the step in a checkpoint's name.
const STEP: &str = "step-";
/// The manifest inside a checkpoint's folder.
const MANIFEST: &str = "manifest.json";
/// What programs that wrote no manifest called a checkpoint that was being written.
const OLD_PENDING: &str = "pending";

/// The output folder.
pub(super) struct Output {
    pub(super) folder: PathBuf,
    checkpoints: Checkpoints,
    writing: Background<Result<(), Failure>>,
}

impl Output {
    /// Opens the folder; with `resume` its checkpoints are gone on from, and without it there must be none.
    pub(super) fn open(folder: &Path, resume: bool, keep_last: usize) -> Result<Self, Failure> {
        let checkpoints = Checkpoints::open(&folder.join(CHECKPOINTS), keep_last).or_exit(Exit::Store)?;
        let output = Self { folder: folder.to_owned(), checkpoints, writing: Background::new("checkpoint") };
        match output.resumable()?.first() {
            Some(newest) if !resume => {
                let found = newest.folder.display();
                let message =
                    format!("there is a checkpoint already, `{found}`: add --resume, or name another folder");
                return Err(Failure::new(Exit::BadInput, message));
            }
            None if resume => eprintln!("there is no checkpoint to go on from: starting afresh"),
            _ => {}
        }
        // not before it is known that no other training is at home here
        output.checkpoints.sweep().or_exit(Exit::Store)?;
        Ok(output)
    }

    /// Checkpoints to go on from, newest first.
    pub(super) fn resumable(&self) -> Result<Vec<Resumable>, Failure> {
        self.checkpoints.resumable().or_exit(Exit::Store)
    }

    /// Has a checkpoint written, and those removed that are no longer among the newest or of a training that was
    /// given up. Waits for the one before.
    pub(super) fn save(
        &mut self,
        snapshot: Box<dyn LearnerSnapshot>,
        training_set: &TrainingSetId,
        step: u64,
        is_final: bool,
    ) -> Result<(), Failure> {
        let (checkpoints, training_set) = (self.checkpoints.clone(), training_set.clone());
        let write = move || {
            let pending = checkpoints.begin(step).or_exit(Exit::Store)?;
            snapshot.write(&pending).map_err(failed)?;
            checkpoints.commit(step, training_set, is_final).or_exit(Exit::Store)
        };
        self.writing.begin(write).or_exit(Exit::Internal)?.transpose()?;
        Ok(())
    }

    /// Tells of a checkpoint that could not be written, without waiting.
    pub(super) fn check(&mut self) -> Result<(), Failure> {
        self.writing.take_finished().transpose().map(drop)
    }

    /// Waits until every checkpoint is written.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        self.writing.wait().transpose().map(drop)
    }
}

/// A checkpoint in place.
#[derive(Debug)]
pub(super) struct Resumable {
    pub(super) folder: PathBuf,
    files: CheckpointFiles,
    manifest: CheckpointManifest,
}

impl Resumable {
    /// Whether every file is as its manifest says; if not, what does not fit.
    pub(super) fn check(&self) -> Result<(), Damage> {
        self.files.check(&self.manifest)
    }
}

/// The checkpoints of one training, each with its manifest among its files.
#[derive(Debug, Clone)]
struct Checkpoints {
    files: CheckpointFiles,
    retention: Retention,
}

impl Checkpoints {
    fn open(root: &Path, keep_last: usize) -> Result<Self, StoreError> {
        let retention = Retention { last: keep_last, best: 0, every_rounds: 0, published: 0 };
        Ok(Self { files: CheckpointFiles::open(root)?, retention })
    }

    /// Sweeps away what a crash left half written.
    fn sweep(&self) -> Result<(), StoreError> {
        self.files.sweep(|name, is_pending| (is_pending && step_of(name).is_some()) || name == OLD_PENDING)
    }

    fn begin(&self, step: u64) -> Result<PathBuf, StoreError> {
        self.files.begin(&id(step))
    }

    /// Makes what was written since [`Self::begin`] a checkpoint. Those of later steps are of a training that was
    /// given up, by going back or by a damaged checkpoint passed over.
    fn commit(&self, step: u64, training_set: TrainingSetId, is_final: bool) -> Result<(), StoreError> {
        let id = id(step);
        let files = self.files.describe(&id)?;
        let known = self.manifests()?;
        let newest_ms = known.iter().map(|manifest| manifest.created_at_ms).max().unwrap_or(0);
        let manifest = CheckpointManifest {
            id: id.clone(),
            round: RoundNumber(0),
            step,
            is_final,
            training_set,
            files,
            created_at_ms: now_ms().max(newest_ms),
        };
        write_manifest(&self.files.pending(&id), &manifest)?;
        self.files.place(&id)?;
        let (mut left, given_up): (Vec<_>, Vec<_>) =
            self.manifests()?.into_iter().partition(|manifest| manifest.step <= step);
        let kept = self.retention.kept(&left, &[], &[]);
        left.retain(|manifest| !kept.contains(&manifest.id));
        given_up.iter().chain(&left).try_for_each(|manifest| self.files.remove(&manifest.id))
    }

    /// Newest first.
    fn resumable(&self) -> Result<Vec<Resumable>, StoreError> {
        let mut manifests = self.manifests()?;
        manifests.sort_by_key(|manifest| manifest.created_at_ms);
        let resumable = |manifest: CheckpointManifest| Resumable {
            folder: self.files.folder(&manifest.id),
            files: self.files.clone(),
            manifest,
        };
        Ok(manifests.into_iter().rev().map(resumable).collect())
    }

    /// The manifests of what is in place, by step.
    fn manifests(&self) -> Result<Vec<CheckpointManifest>, StoreError> {
        let mut steps: Vec<u64> = self.files.names()?.iter().filter_map(|name| step_of(name)).collect();
        steps.sort_unstable();
        Ok(steps.into_iter().map(|step| self.manifest(step)).collect())
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
    use super::*;

    fn commit(checkpoints: &Checkpoints, step: u64) {
        let pending = checkpoints.begin(step).unwrap();
        fs::write(pending.join("learner"), format!("at {step}")).unwrap();
        checkpoints.commit(step, TrainingSetId::new("set"), false).unwrap();
    }

    fn names(checkpoints: &Checkpoints) -> Vec<String> {
        let resumable = checkpoints.resumable().unwrap();
        resumable.iter().map(|one| one.manifest.id.to_string()).collect()
    }

    #[test]
    fn the_newest_are_kept_and_what_was_given_up_goes() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::open(folder.path(), 2).unwrap();
        for step in [2, 4, 6, 10] {
            commit(&checkpoints, step);
        }
        assert_eq!(names(&checkpoints), ["step-10", "step-6"]);
        // training went on from step 6
        commit(&checkpoints, 8);
        assert_eq!(names(&checkpoints), ["step-8", "step-6"]);
    }

    #[test]
    fn a_damaged_checkpoint_is_told_and_a_half_written_one_swept_away() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::open(folder.path(), 2).unwrap();
        commit(&checkpoints, 2);
        commit(&checkpoints, 4);
        fs::write(checkpoints.begin(6).unwrap().join("learner"), "half").unwrap();
        fs::write(folder.path().join("step-4/learner"), "at 5").unwrap();
        checkpoints.sweep().unwrap();
        let resumable = checkpoints.resumable().unwrap();
        let [newest, before] = &resumable[..] else { panic!("{resumable:?}") };
        assert!(newest.check().unwrap_err().reason.contains("learner"));
        assert_eq!(before.check(), Ok(()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn checkpoints_of_the_version_without_manifests_are_found_and_give_way_to_new_ones() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["step-9", "step-10", "pending"] {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("learner"), name).unwrap();
        }
        let checkpoints = Checkpoints::open(folder.path(), 2).unwrap();
        assert_eq!(names(&checkpoints), ["step-10", "step-9"]);
        assert!(checkpoints.resumable().unwrap().iter().all(|one| one.check().is_ok()));
        checkpoints.sweep().unwrap();
        assert!(!folder.path().join("pending").exists());
        commit(&checkpoints, 12);
        assert_eq!(names(&checkpoints), ["step-12", "step-10"]);
    }
}
