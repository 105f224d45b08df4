//! The output folder and its checkpoints.
//!
//! A checkpoint is written under another name, by another thread while training goes on, and then renamed:
//! what is called `step-N` is complete.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use still_control::{Exit, Failure, OrExit};
use still_roles::{Background, LearnerSnapshot};

use super::failed;

/// The folder of checkpoints inside the output folder.
const CHECKPOINTS: &str = "checkpoints";
/// Precedes the step in a checkpoint's name.
const STEP: &str = "step-";
/// A checkpoint that is being written.
const PENDING: &str = "pending";

/// The output folder.
pub(super) struct Output {
    pub(super) folder: PathBuf,
    checkpoints: PathBuf,
    /// Newest checkpoints that are kept.
    keep_last: usize,
    writing: Background<Result<(), Failure>>,
}

impl Output {
    /// Opens the folder; with `resume` its checkpoints are gone on from, and without it there must be none.
    pub(super) fn open(folder: &Path, resume: bool, keep_last: usize) -> Result<Self, Failure> {
        let checkpoints = folder.join(CHECKPOINTS);
        let named = |error| format!("`{}`: {error}", checkpoints.display());
        fs::create_dir_all(&checkpoints).map_err(named).or_exit(Exit::Store)?;
        let (folder, keep_last) = (folder.to_owned(), keep_last.max(1));
        let output = Self { folder, checkpoints, keep_last, writing: Background::new("checkpoint") };
        match output.resumable()?.first() {
            Some(newest) if !resume => {
                let found = newest.display();
                let message =
                    format!("there is a checkpoint already, `{found}`: add --resume, or name another folder");
                return Err(Failure::new(Exit::BadInput, message));
            }
            None if resume => eprintln!("there is no checkpoint to go on from: starting afresh"),
            _ => {}
        }
        Ok(output)
    }

    /// Complete checkpoints to go on from, newest first.
    pub(super) fn resumable(&self) -> Result<Vec<PathBuf>, Failure> {
        let newest_first = steps(&self.checkpoints)?.into_iter().rev();
        Ok(newest_first.map(|step| folder_of(&self.checkpoints, step)).collect())
    }

    /// Has a checkpoint written, and those removed that are no longer among the newest. Waits for the one
    /// before.
    pub(super) fn save(&mut self, snapshot: Box<dyn LearnerSnapshot>, step: u64) -> Result<(), Failure> {
        let (checkpoints, keep_last) = (self.checkpoints.clone(), self.keep_last);
        let write = move || write(&*snapshot, &checkpoints, step, keep_last);
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

fn write(
    snapshot: &dyn LearnerSnapshot,
    checkpoints: &Path,
    step: u64,
    keep_last: usize,
) -> Result<(), Failure> {
    let (pending, complete) = (checkpoints.join(PENDING), folder_of(checkpoints, step));
    let named = |error| format!("`{}`: {error}", pending.display());
    remove(&pending).and_then(|()| fs::create_dir(&pending)).map_err(named).or_exit(Exit::Store)?;
    snapshot.write(&pending).map_err(failed)?;
    // one of the same step is damaged, or of a training that diverged
    remove(&complete)
        .and_then(|()| fs::rename(&pending, &complete))
        .and_then(|()| File::open(checkpoints)?.sync_all())
        .map_err(named)
        .or_exit(Exit::Store)?;
    let steps = steps(checkpoints)?;
    for old in steps.iter().take(steps.len().saturating_sub(keep_last)) {
        remove(&folder_of(checkpoints, *old)).map_err(named).or_exit(Exit::Store)?;
    }
    Ok(())
}

fn folder_of(checkpoints: &Path, step: u64) -> PathBuf {
    checkpoints.join(format!("{STEP}{step}"))
}

/// The steps of the complete checkpoints, ascending.
fn steps(checkpoints: &Path) -> Result<Vec<u64>, Failure> {
    let named = |error| format!("`{}`: {error}", checkpoints.display());
    let entries = fs::read_dir(checkpoints).map_err(named).or_exit(Exit::Store)?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut steps: Vec<u64> = names.filter_map(|name| name.strip_prefix(STEP)?.parse().ok()).collect();
    steps.sort_unstable();
    Ok(steps)
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
