//! Brings a model's files into the cache and gives their folder.

use std::{
    collections::BTreeSet,
    env, fs, io,
    path::{Path, PathBuf},
};

use hf_hub::{
    Cache, CacheRepo, Repo, RepoType,
    api::sync::{Api, ApiBuilder},
};

use crate::source::{HubError, ModelSource};

const CONFIG: &str = "config.json";
const SINGLE_WEIGHTS: &str = "model.safetensors";
const WEIGHTS_INDEX: &str = "model.safetensors.index.json";
/// Files taken along when the repository has them.
const OPTIONAL_FILES: [&str; 8] = [
    "added_tokens.json",
    "chat_template.jinja",
    "generation_config.json",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
];

/// Hugging Face's environment variables.
const CACHE_VARIABLE: &str = "HF_HUB_CACHE";
const OFFLINE_VARIABLE: &str = "HF_HUB_OFFLINE";
const TOKEN_VARIABLE: &str = "HF_TOKEN";
/// Digits of a commit.
const COMMIT_DIGITS: usize = 40;

/// Where the hub is and how it may be used. Unset fields follow Hugging Face's environment variables:
/// `HF_HUB_CACHE` or `HF_HOME` for the cache, `HF_ENDPOINT` for the address, `HF_HUB_OFFLINE` for offline mode. The
/// token for gated models is `HF_TOKEN`, or what lies in the file that `huggingface-cli login` writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HubConfig {
    /// Folder of the cache.
    pub cache_dir: Option<PathBuf>,
    /// Address of the hub.
    pub endpoint: Option<String>,
    /// Never ask the hub: use the cache alone.
    pub offline: bool,
}

/// Resolves model names to folders.
#[derive(Debug, Clone)]
pub struct Hub {
    config: HubConfig,
    cache: Cache,
}

impl Hub {
    /// Takes the configuration and fills it from the environment.
    pub fn new(config: HubConfig) -> Self {
        let cache_dir = config.cache_dir.clone().or_else(|| env::var_os(CACHE_VARIABLE).map(PathBuf::from));
        let cache = cache_dir.map_or_else(Cache::from_env, Cache::new);
        let offline = config.offline || env::var(OFFLINE_VARIABLE).is_ok_and(|value| is_true(&value));
        Self { config: HubConfig { offline, ..config }, cache }
    }

    /// The folder of a model with its configuration, weights and tokenizer, downloaded where necessary.
    ///
    /// # Errors
    /// When the folder or repository is not there, is incomplete, or cannot be fetched.
    pub fn resolve(&self, source: &ModelSource) -> Result<PathBuf, HubError> {
        match source {
            ModelSource::Folder(path) if path.is_dir() => Ok(path.clone()),
            ModelSource::Folder(path) => Err(HubError::NoFolder(path.clone())),
            ModelSource::Hub { repository, revision } => {
                let repo = |revision: &str| {
                    Repo::with_revision(repository.clone(), RepoType::Model, revision.to_owned())
                };
                if self.config.offline {
                    let name = source.to_string();
                    return self.cached(&self.cache.repo(repo(revision)), revision, &name);
                }
                self.fetch(source, repo(revision), repo)
            }
        }
    }

    /// The snapshot folder that the cache already holds, complete.
    fn cached(&self, repo: &CacheRepo, revision: &str, model: &str) -> Result<PathBuf, HubError> {
        let absent = || HubError::Offline { model: model.to_owned(), cache: self.cache.path().clone() };
        // Hugging Face's own tools keep a commit without a reference to it
        let folder = match repo.get(CONFIG) {
            Some(config) => config.parent().ok_or_else(absent)?.to_owned(),
            None if is_commit(revision) => repo.pointer_path(revision),
            None => return Err(absent()),
        };
        if !folder.join(CONFIG).exists() {
            return Err(absent());
        }
        let weights = weight_files(&folder)?;
        if weights.iter().all(|file| folder.join(file).exists()) { Ok(folder) } else { Err(absent()) }
    }

    fn fetch(
        &self,
        source: &ModelSource,
        asked: Repo,
        repo: impl Fn(&str) -> Repo,
    ) -> Result<PathBuf, HubError> {
        let model = source.to_string();
        let failed = |action: &str, error: &dyn ToString| HubError::Hub {
            model: model.clone(),
            action: action.to_owned(),
            reason: error.to_string(),
        };
        let api = self.api().map_err(|error| failed("setting up the client", &error))?;
        let info =
            api.repo(asked.clone()).info().map_err(|error| failed("reading the repository", &error))?;
        let pinned = api.repo(repo(&info.sha));
        let present: BTreeSet<&str> = info.siblings.iter().map(|file| file.rfilename.as_str()).collect();
        let get =
            |file: &str| pinned.get(file).map_err(|error| failed(&format!("downloading `{file}`"), &error));
        if !present.contains(CONFIG) {
            return Err(HubError::Incomplete { model, file: CONFIG.to_owned() });
        }
        let config = get(CONFIG)?;
        for file in OPTIONAL_FILES.iter().filter(|file| present.contains(**file)) {
            get(file)?;
        }
        if present.contains(WEIGHTS_INDEX) {
            get(WEIGHTS_INDEX)?;
        } else if !present.contains(SINGLE_WEIGHTS) {
            return Err(HubError::Incomplete { model, file: SINGLE_WEIGHTS.to_owned() });
        }
        let folder = config.parent().unwrap_or(Path::new(".")).to_owned();
        for file in weight_files(&folder)? {
            get(&file)?;
        }
        // what was asked for by branch is found again by branch when offline
        let cached = self.cache.repo(asked);
        cached.create_ref(&info.sha).map_err(|source| HubError::Cache { path: folder.clone(), source })?;
        Ok(folder)
    }

    fn api(&self) -> Result<Api, hf_hub::api::sync::ApiError> {
        let mut builder = ApiBuilder::from_env().with_progress(false);
        builder = builder.with_cache_dir(self.cache.path().clone());
        if let Ok(token) = env::var(TOKEN_VARIABLE) {
            builder = builder.with_token(Some(token));
        }
        if let Some(endpoint) = &self.config.endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        }
        builder.build()
    }
}

/// The weight files that a snapshot needs: those of its index, or the single one.
fn weight_files(folder: &Path) -> Result<BTreeSet<String>, HubError> {
    let path = folder.join(WEIGHTS_INDEX);
    if !path.exists() {
        return Ok(BTreeSet::from([SINGLE_WEIGHTS.to_owned()]));
    }
    let in_cache = |source| HubError::Cache { path: path.clone(), source };
    let index: serde_json::Value = serde_json::from_slice(&fs::read(&path).map_err(in_cache)?)
        .map_err(|error| in_cache(error.into()))?;
    let map = index.get("weight_map").and_then(serde_json::Value::as_object);
    let files = map.into_iter().flatten().filter_map(|(_, file)| file.as_str());
    files
        .map(|file| {
            // what is fetched is put beside the index: a path must not lead out of there
            if Path::new(file).file_name().is_some_and(|name| name == file) {
                return Ok(file.to_owned());
            }
            Err(in_cache(io::Error::other(format!("the index names `{file}`, which is no file name"))))
        })
        .collect()
}

fn is_commit(revision: &str) -> bool {
    revision.len() == COMMIT_DIGITS && revision.bytes().all(|digit| digit.is_ascii_hexdigit())
}

fn is_true(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on")
}
