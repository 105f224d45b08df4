//! The output folder: one training at a time, and nobody's files but its own.
//!
//! A folder is a training's own when it is empty, or holds checkpoints of a training beside whatever that wrote. In
//! any other folder somebody else's files would be replaced or removed at the end, the base model's perhaps.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use still_control::{Exit, Failure, OrExit};

use super::TRAINING;

/// Held while a training writes; holds its process id.
const LOCK: &str = "train.lock";
/// What a training that never came to a checkpoint may have left; nothing of somebody else's is replaced by these names.
const HARMLESS: [&str; 5] = [LOCK, CHECKPOINTS, TRAINING, "loss.jsonl", "loss.svg"];
const CHECKPOINTS: &str = "checkpoints";
/// Foreign files that a refusal names.
const MAX_NAMED: usize = 3;

/// The output folder, held. What is empty of it goes when it is let go.
#[derive(Debug)]
pub(super) struct OutputFolder {
    path: PathBuf,
    lock: File,
}

impl OutputFolder {
    /// Takes the folder; it is made where it is missing.
    ///
    /// # Errors
    /// When another training writes there, or the files in it are somebody else's.
    pub(super) fn take(path: &Path) -> Result<Self, Failure> {
        let named = |error: std::io::Error| format!("`{}` (--out): {error}", path.display());
        refuse_foreign(path)?;
        fs::create_dir_all(path).map_err(named).or_exit(Exit::Store)?;
        let file = path.join(LOCK);
        let mut options = OpenOptions::new();
        let mut lock = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&file)
            .map_err(named)
            .or_exit(Exit::Store)?;
        match lock.try_lock() {
            // one that was removed in between holds nothing
            Ok(()) if is_at(&file, &lock) => {}
            Ok(()) | Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // whoever holds it may not have written its number yet
                let _unknown = lock.read_to_string(&mut holder);
                let message = format!(
                    "another training (process {}) writes to `{}`: wait for it, or name another folder",
                    holder.trim(),
                    path.display()
                );
                return Err(Failure::new(Exit::Store, message));
            }
            Err(TryLockError::Error(error)) => return Err(Failure::new(Exit::Store, named(error))),
        }
        let written = lock
            .set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| write!(lock, "{}", std::process::id()));
        written.map_err(named).or_exit(Exit::Store)?;
        Ok(Self { path: path.to_owned(), lock })
    }
}

impl Drop for OutputFolder {
    fn drop(&mut self) {
        // no other training has it: the lock is still held
        let _ = fs::remove_file(self.path.join(LOCK));
        let _ = self.lock.unlock();
        // a training that came to nothing leaves nothing: only empty folders can be removed so
        let _ = fs::remove_dir(self.path.join(CHECKPOINTS));
        let _ = fs::remove_dir(&self.path);
    }
}

/// Whether a file that is open is still the one of that name.
fn is_at(path: &Path, file: &File) -> bool {
    let named = fs::metadata(path).map(|metadata| metadata.ino());
    named.is_ok_and(|named| file.metadata().is_ok_and(|open| open.ino() == named))
}

/// Refuses a folder with files that no training here wrote.
fn refuse_foreign(path: &Path) -> Result<(), Failure> {
    let has_checkpoints =
        fs::read_dir(path.join(CHECKPOINTS)).is_ok_and(|mut entries| entries.next().is_some());
    let Ok(entries) = fs::read_dir(path) else { return Ok(()) };
    let names = entries.filter_map(Result::ok).map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut foreign: Vec<String> = names.filter(|name| !HARMLESS.contains(&name.as_str())).collect();
    if has_checkpoints || foreign.is_empty() {
        return Ok(());
    }
    foreign.sort_unstable();
    let shown: Vec<_> = foreign.iter().take(MAX_NAMED).map(|name| format!("`{name}`")).collect();
    let more = if foreign.len() > MAX_NAMED { ", ..." } else { "" };
    let message = format!(
        "`{}` holds files that no training here wrote ({}{more}), and they would be replaced: name a new or an empty \
         folder for --out",
        path.display(),
        shown.join(", ")
    );
    Err(Failure::new(Exit::BadInput, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_somebody_elses_is_refused_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.json"), "precious").unwrap();
        let refused = OutputFolder::take(folder.path()).unwrap_err();
        assert_eq!(refused.exit, Exit::BadInput);
        assert!(refused.message.contains("`config.json`"), "{}", refused.message);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was written");
        fs::create_dir_all(folder.path().join("checkpoints/step-2")).unwrap();
        OutputFolder::take(folder.path()).unwrap();
    }

    #[test]
    fn what_a_command_was_given_before_its_first_checkpoint_is_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("training/round-1-a")).unwrap();
        fs::create_dir(folder.path().join("checkpoints")).unwrap();
        drop(OutputFolder::take(folder.path()).unwrap());
        assert!(folder.path().join("training/round-1-a").is_dir());
    }

    #[test]
    fn one_training_writes_to_a_folder_at_a_time() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("out");
        let held = OutputFolder::take(&folder).unwrap();
        let refused = OutputFolder::take(&folder).unwrap_err();
        assert_eq!(refused.exit, Exit::Store);
        assert!(refused.message.contains(&std::process::id().to_string()), "{}", refused.message);
        drop(held);
        assert!(!folder.exists(), "what came to nothing leaves nothing");
        OutputFolder::take(&folder).unwrap();
    }
}
