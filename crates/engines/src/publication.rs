//! A policy as a folder that servers read: nothing but the policy, and there for as long as anybody names it.
//!
//! A checkpoint's folder holds the learner's state beside the policy, which an engine would take for weights, and it is
//! removed when it is old. So servers are named a folder of links to the policy's own files; it is made under another
//! name, and complete before it has its own.

mod head;
mod tensor_file;

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::Value;

use self::tensor_file::TensorFile;

/// The files of an adapter.
const ADAPTER_CONFIG: &str = "adapter_config.json";
const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";
/// How the names of files of tensors end.
const TENSORS: &str = "safetensors";

/// A folder that servers are named. It goes with the last who holds it.
#[derive(Debug)]
pub(crate) struct Publication {
    folder: PathBuf,
}

impl Publication {
    /// Links the policy that a folder holds to `root/name`.
    ///
    /// # Errors
    /// When the folder holds no model, or the links cannot be made.
    pub(crate) fn make(root: &Path, name: &str, policy: &Path) -> Result<Self, String> {
        Self::filled(root, name, |pending| link(policy, pending))
    }

    /// Links the adapter that a folder holds, in the layout of PEFT, to `root/name`. Gives its rank too.
    ///
    /// # Errors
    /// When the folder holds no adapter, or the links cannot be made.
    pub(crate) fn make_adapter(root: &Path, name: &str, adapter: &Path) -> Result<(Self, u64), String> {
        let path = adapter.join(ADAPTER_CONFIG);
        let damaged = |reason: &dyn ToString| format!("`{}`: {}", path.display(), reason.to_string());
        let text = fs::read(&path).map_err(|error| damaged(&error))?;
        let config: Value = serde_json::from_slice(&text).map_err(|error| damaged(&error))?;
        let rank = config["r"].as_u64().ok_or_else(|| damaged(&"it tells no rank `r`"))?;
        let made = Self::filled(root, name, |pending| {
            link_file(&path, &pending.join(ADAPTER_CONFIG))?;
            let weights = adapter.join(ADAPTER_WEIGHTS);
            TensorFile::read(&weights)?;
            link_file(&weights, &pending.join(ADAPTER_WEIGHTS))
        });
        Ok((made?, rank))
    }

    fn filled(
        root: &Path,
        name: &str,
        fill: impl FnOnce(&Path) -> Result<(), String>,
    ) -> Result<Self, String> {
        let failed = |path: &Path, error: &io::Error| format!("`{}`: {error}", path.display());
        let (folder, pending) = (root.join(name), root.join(format!("{name}.pending")));
        for old in [&folder, &pending] {
            match fs::remove_dir_all(old) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(old, &error)),
                _ => {}
            }
        }
        fs::create_dir_all(&pending).map_err(|error| failed(&pending, &error))?;
        let made = fill(&pending)
            .and_then(|()| fs::rename(&pending, &folder).map_err(|error| failed(&folder, &error)));
        if let Err(error) = made {
            let _what_is_left_is_swept_away_by_the_next = fs::remove_dir_all(&pending);
            return Err(error);
        }
        Ok(Self { folder })
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        // what is left is swept away at the next start
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Sweeps away what an earlier run published.
pub(crate) fn sweep(root: &Path) -> Result<(), String> {
    match fs::remove_dir_all(root) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(format!("`{}`: {error}", root.display()))
        }
        _ => Ok(()),
    }
}

/// Whether a file of a model's folder is part of the model.
fn is_of_model(names: &[String], name: &str) -> bool {
    // the learner's own state lies beside the policy
    let is_single = names.iter().any(|name| name == "model.safetensors");
    match Path::new(name).extension().and_then(OsStr::to_str) {
        Some(TENSORS) if is_single => name == "model.safetensors",
        Some(TENSORS) => name.starts_with("model-"),
        Some("json") => !name.starts_with("learner") && name != "external.json" && name != "complete.json",
        Some("txt" | "model" | "jinja" | "tiktoken") => true,
        _ => false,
    }
}

fn link_file(from: &Path, to: &Path) -> Result<(), String> {
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    // another disk, or one without hard links: then the file lives as long as the checkpoint does
    let linked = fs::canonicalize(from).and_then(|from| std::os::unix::fs::symlink(from, to));
    linked.map_err(|error| format!("`{}`: {error}", to.display()))
}

fn link(policy: &Path, into: &Path) -> Result<(), String> {
    let failed = |path: &Path, error: &io::Error| format!("`{}`: {error}", path.display());
    let entries = fs::read_dir(policy).map_err(|error| failed(policy, &error))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| failed(policy, &error))?;
        if let Ok(name) = entry.file_name().into_string() {
            names.push(name);
        }
    }
    let mut tensors = Vec::new();
    for name in names.iter().filter(|name| is_of_model(&names, name)) {
        // the hub's cache holds links to its blobs: it is the file that is linked
        let from = fs::canonicalize(policy.join(name)).map_err(|error| failed(&policy.join(name), &error))?;
        if !from.is_file() {
            continue;
        }
        if name.ends_with(TENSORS) {
            tensors.push(TensorFile::read(&from)?);
        }
        link_file(&from, &into.join(name))?;
    }
    if tensors.is_empty() || !into.join("config.json").exists() {
        return Err(format!(
            "`{}` holds no model that a server can load: config.json and model.safetensors are wanted",
            policy.display()
        ));
    }
    head::add(&tensors, into)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensors(values: &[f32]) -> Vec<u8> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![values.len()], &bytes)
            .unwrap();
        safetensors::serialize([("w", view)], None).unwrap()
    }

    fn checkpoint(folder: &Path) -> PathBuf {
        let policy = folder.join("checkpoint");
        fs::create_dir_all(policy.join("adapter")).unwrap();
        for name in ["config.json", "tokenizer.json", "learner.json", "external.json", "notes.md"] {
            fs::write(policy.join(name), "{}").unwrap();
        }
        fs::write(policy.join("model.safetensors"), tensors(&[1.0])).unwrap();
        fs::write(policy.join("learner.safetensors"), tensors(&[2.0])).unwrap();
        policy
    }

    #[test]
    fn the_policy_alone_is_linked_and_outlives_its_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let (policy, root) = (checkpoint(folder.path()), folder.path().join("served"));
        let publication = Publication::make(&root, "v1", &policy).unwrap();
        fs::remove_dir_all(&policy).unwrap();
        let mut names: Vec<_> = fs::read_dir(publication.folder())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["config.json", "model.safetensors", "tokenizer.json"]);
        assert_eq!(fs::read(publication.folder().join("model.safetensors")).unwrap(), tensors(&[1.0]));
        let path = publication.folder().to_owned();
        drop(publication);
        assert!(!path.exists());
    }

    #[test]
    fn what_no_server_can_load_is_refused_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (policy, root) = (checkpoint(folder.path()), folder.path().join("served"));
        let refused = || Publication::make(&root, "v1", &policy).unwrap_err();
        let whole = tensors(&[1.0, 2.0, 3.0]);
        for (bytes, part) in [
            (&whole[..whole.len() - 4], "bytes of"),
            (&whole[..4], "damaged"),
            (&[255; 64], "longer than the file"),
        ] {
            fs::write(policy.join("model.safetensors"), bytes).unwrap();
            assert!(refused().contains(part), "{}", refused());
            assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
        }
        fs::remove_file(policy.join("model.safetensors")).unwrap();
        assert!(refused().contains("holds no model"), "{}", refused());
    }
}
