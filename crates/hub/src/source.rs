//! How a model is named, and what can be wrong with a name.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use thiserror::Error;

/// Marks a name on the hub.
const HUB_PREFIX: &str = "hf:";
/// The revision meant when none is written.
const DEFAULT_REVISION: &str = "main";

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSource {
    /// A Hugging Face folder on this machine.
    Folder(PathBuf),
    /// A repository of the hub.
    Hub {
        /// `owner/name`, or the name alone of a repository that has no owner (`gpt2`).
        repository: String,
        /// A branch, a tag or a commit.
        revision: String,
    },
}

/// Why a model cannot be had.
#[derive(Debug, Error)]
pub enum HubError {
    /// The name is not of the form that the hub uses.
    #[error("`{0}` names no model: write a folder, `hf:owner/name` or `hf:owner/name@revision`")]
    Name(String),
    /// The folder is not there.
    #[error("model folder `{}` {}", .0.display(), what_is_wrong(.0))]
    NoFolder(PathBuf),
    /// The repository holds nothing that can be loaded.
    #[error("{model} has no `{file}`: only repositories with safetensors weights can be loaded")]
    Incomplete {
        /// The model asked for.
        model: String,
        /// What is missing.
        file: String,
    },
    /// Offline, and the cache does not have it.
    #[error(
        "{model} is not in the cache `{cache}` and the hub may not be asked: go online once, or copy the folder"
    )]
    Offline {
        /// The model asked for.
        model: String,
        /// The cache looked into.
        cache: PathBuf,
    },
    /// The hub did not answer as it should.
    #[error(
        "{model}: {action} failed: {reason}{}", token(.reason)
    )]
    Hub {
        /// The model asked for.
        model: String,
        /// What was tried.
        action: String,
        /// What went wrong.
        reason: String,
    },
    /// A file of the cache cannot be read or written.
    #[error("cache file `{path}`: {source}")]
    Cache {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Why a path is no model folder, and what may have been meant.
fn what_is_wrong(path: &Path) -> String {
    if path.is_file() {
        return "is a file: name the folder that it lies in".to_owned();
    }
    let name = path.to_string_lossy();
    let is_repository = !name.starts_with(['/', '.']) && name.split('/').count() == 2;
    if is_repository {
        format!("does not exist; of the hub it is `{HUB_PREFIX}{name}`")
    } else {
        "does not exist".to_owned()
    }
}

/// What helps where the hub wants to know who asks.
fn token(reason: &str) -> &'static str {
    if reason.contains("401") || reason.contains("403") {
        " (a gated model needs a token: set HF_TOKEN, or use `huggingface-cli login`)"
    } else {
        ""
    }
}

impl FromStr for ModelSource {
    type Err = HubError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let Some(rest) = name.strip_prefix(HUB_PREFIX) else {
            if name.is_empty() {
                return Err(HubError::Name(name.to_owned()));
            }
            return Ok(Self::Folder(PathBuf::from(name)));
        };
        let (repository, revision) = rest.split_once('@').unwrap_or((rest, DEFAULT_REVISION));
        let is_plain = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        let is_repository = repository.split('/').count() <= 2 && repository.split('/').all(is_plain);
        if !is_repository || !revision.split('/').all(is_plain) {
            return Err(HubError::Name(name.to_owned()));
        }
        Ok(Self::Hub { repository: repository.to_owned(), revision: revision.to_owned() })
    }
}

impl fmt::Display for ModelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::Hub { repository, revision } => write!(f, "{HUB_PREFIX}{repository}@{revision}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_leave_the_cache_are_refused() {
        for name in ["hf:", "hf:a/b/c", "hf:../x", "hf:a/..", "hf:a/b@../c", "hf:a b/c", ""] {
            let error = name.parse::<ModelSource>().unwrap_err();
            assert!(error.to_string().contains("hf:owner/name"), "{name}: {error}");
        }
    }

    #[test]
    fn what_is_no_folder_is_told_with_what_may_be_meant() {
        let told = |path: &str| HubError::NoFolder(path.into()).to_string();
        assert!(told("Qwen/Qwen2.5-7B").contains("`hf:Qwen/Qwen2.5-7B`"), "{}", told("Qwen/Qwen2.5-7B"));
        assert!(told("./models/mine").ends_with("does not exist"));
        assert!(told("/proc/self/status").contains("is a file"));
        let failed = |reason: &str| HubError::Hub {
            model: "m".to_owned(),
            action: "a".to_owned(),
            reason: reason.to_owned(),
        };
        assert!(failed("status code 401").to_string().contains("HF_TOKEN"));
        assert!(!failed("dns error").to_string().contains("HF_TOKEN"));
    }

    #[test]
    fn a_revision_defaults_to_main() {
        let source: ModelSource = "hf:gpt2".parse().unwrap();
        assert_eq!(source, ModelSource::Hub { repository: "gpt2".into(), revision: "main".into() });
    }
}
