//! What a trainer can go on from: found where it leaves it, and made durable where every checkpoint of the round is.
//!
//! A checkpoint is a folder inside `checkpoints/` that holds `complete.json` (`{"step": N}`), which is written last. What
//! a crash leaves without it is none. Its files are the trainer's own; `external.json` is put beside them.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use still_domain::CheckpointId;
use still_roles::{CheckpointStore, SavedCheckpoint, TrainingFailure};

use crate::job_folder::{COMPLETE_FILE, FORMAT, JobFolder, remove_folder, replace};

/// Says what a checkpoint is of.
const RECORD_FILE: &str = "external.json";

/// What [`COMPLETE_FILE`] says of a checkpoint.
#[derive(Debug, Deserialize)]
struct Complete {
    step: u64,
}

/// `external.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    format: u32,
    /// The job's fingerprint.
    job: String,
    step: u64,
}

/// A checkpoint of this very job that can be gone on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resumable {
    pub(crate) folder: PathBuf,
    pub(crate) step: u64,
}

/// A checkpoint that became durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Adopted {
    pub(crate) id: CheckpointId,
    pub(crate) step: u64,
}

/// The checkpoints of a job that can be gone on from, newest first; those of other jobs and of other trainers are told
/// to `passed_over`.
///
/// # Errors
/// When they cannot be read.
pub(crate) fn resumable(
    store: &dyn CheckpointStore,
    folder: &JobFolder,
    mut passed_over: impl FnMut(String),
) -> Result<Vec<Resumable>, TrainingFailure> {
    let mut found = Vec::new();
    for id in store.newest_first()? {
        let checkpoint = store.folder(&id);
        match read_record(&checkpoint) {
            Ok(record) if record.job == folder.job() && record.format == FORMAT => match store.damage(&id)? {
                None => found.push(Resumable { folder: checkpoint, step: record.step }),
                Some(damage) => {
                    passed_over(format!("checkpoint `{}` is damaged: {damage}", checkpoint.display()));
                }
            },
            Ok(_) => passed_over(format!(
                "checkpoint `{}` belongs to a job with other data or settings",
                checkpoint.display()
            )),
            Err(error) => passed_over(format!("checkpoint `{}`: {error}", checkpoint.display())),
        }
    }
    Ok(found)
}

/// Makes the complete checkpoints durable that the trainer has left, in the order of their steps. `went_back_to` is taken
/// by the first.
///
/// # Errors
/// When the disk fails.
pub(crate) fn adopt(
    store: &dyn CheckpointStore,
    folder: &JobFolder,
    went_back_to: &mut Option<u64>,
) -> Result<Vec<Adopted>, TrainingFailure> {
    let mut left = complete(folder.checkpoints()).map_err(|error| disk(folder.checkpoints(), &error))?;
    left.sort();
    let mut adopted = Vec::new();
    for (step, path) in left {
        let began = Instant::now();
        let pending = store.begin(step)?;
        // the pending folder is empty: it is replaced
        fs::rename(&path, &pending).map_err(|error| disk(&path, &error))?;
        record(&pending, folder.job(), step).map_err(|error| disk(&pending, &error))?;
        let saved = SavedCheckpoint {
            step,
            is_final: false,
            went_back_to: went_back_to.take(),
            began,
            stall: Duration::ZERO,
        };
        adopted.push(Adopted { id: store.commit(saved)?, step });
    }
    Ok(adopted)
}

/// Removes what is not complete: what is being written when nobody writes.
///
/// # Errors
/// When the disk fails.
pub(crate) fn sweep(folder: &JobFolder) -> io::Result<()> {
    for entry in fs::read_dir(folder.checkpoints())? {
        let path = entry?.path();
        if path.is_dir() && !path.join(COMPLETE_FILE).is_file() {
            remove_folder(&path)?;
        }
    }
    Ok(())
}

/// Writes what a checkpoint is of.
///
/// # Errors
/// When the disk fails.
pub(crate) fn record(folder: &Path, job: &str, step: u64) -> io::Result<()> {
    let json = serde_json::to_vec_pretty(&Record { format: FORMAT, job: job.to_owned(), step })?;
    replace(folder, RECORD_FILE, |out| out.write_all(&json))
}

/// The disk failed at a path.
pub(crate) fn disk(path: &Path, error: &io::Error) -> TrainingFailure {
    TrainingFailure::Disk(format!("`{}`: {error}", path.display()))
}

fn read_record(folder: &Path) -> io::Result<Record> {
    let path = folder.join(RECORD_FILE);
    let unread = |error: io::Error| io::Error::new(error.kind(), format!("{RECORD_FILE}: {error}"));
    let bytes = fs::read(path).map_err(unread)?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// Folders that are said to be complete, with their steps. One that says nothing of use is no checkpoint.
fn complete(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let said = fs::read(path.join(COMPLETE_FILE)).ok();
        let said = said.and_then(|bytes| serde_json::from_slice::<Complete>(&bytes).ok());
        found.extend(said.map(|Complete { step }| (step, path)));
    }
    Ok(found)
}
