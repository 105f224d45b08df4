//! Downloads against a server on this machine that speaks the hub's protocol.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Output},
    sync::{Arc, Mutex},
    thread,
};

use still_hub::{Hub, HubConfig, HubError, ModelSource};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Names the model to the process of one case.
const CHILD: &str = "STILL_TEST_HUB_MODEL";

/// A hub with one repository, `owner/tiny`, that counts what it is asked for.
struct FakeHub {
    endpoint: String,
    requests: Arc<Mutex<Vec<Asked>>>,
}

/// A request.
#[derive(Debug, Clone)]
struct Asked {
    path: String,
    authorization: Option<String>,
}

impl FakeHub {
    fn start(files: &[(&str, &str)]) -> Self {
        let files: BTreeMap<String, String> =
            files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (files, seen) = (files.clone(), Arc::clone(&seen));
                thread::spawn(move || serve(stream, &files, &seen));
            }
        });
        Self { endpoint, requests }
    }

    fn hub(&self, cache: &Path, offline: bool) -> Hub {
        Hub::new(HubConfig {
            cache_dir: Some(cache.to_owned()),
            endpoint: Some(self.endpoint.clone()),
            offline,
        })
    }

    fn request_count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

fn serve(mut stream: TcpStream, files: &BTreeMap<String, String>, seen: &Mutex<Vec<Asked>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while let Some(Ok(request)) = lines.next() {
        let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
        let (mut range, mut authorization) = (None, None);
        for line in lines.by_ref() {
            let line = line.unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("authorization: ") {
                authorization = Some(value.to_owned());
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
                range = value
                    .split_once('-')
                    .map(|(a, b)| (a.parse::<usize>().unwrap(), b.parse::<usize>().ok()));
            }
            if line.is_empty() {
                break;
            }
        }
        seen.lock().unwrap().push(Asked { path: path.clone(), authorization });
        let (status, headers, body) = answer(&path, range, files);
        let length = body.len();
        write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}").unwrap();
    }
}

fn answer(
    path: &str,
    range: Option<(usize, Option<usize>)>,
    files: &BTreeMap<String, String>,
) -> (String, String, String) {
    if path.starts_with("/api/models/owner/tiny") {
        let siblings: Vec<String> =
            files.keys().map(|name| format!("{{\"rfilename\":\"{name}\"}}")).collect();
        let body = format!("{{\"sha\":\"{COMMIT}\",\"siblings\":[{}]}}", siblings.join(","));
        return ("200 OK".into(), "content-type: application/json\r\n".into(), body);
    }
    let name = path.strip_prefix(&format!("/owner/tiny/resolve/{COMMIT}/"));
    let Some((name, text)) = name.and_then(|name| files.get_key_value(name)) else {
        return ("404 Not Found".into(), String::new(), String::new());
    };
    let (start, end) = range.unwrap_or((0, None));
    let end = end.map_or(text.len(), |end| (end + 1).min(text.len()));
    let headers = format!(
        "etag: \"{name}-1\"\r\nx-repo-commit: {COMMIT}\r\ncontent-range: bytes {start}-{}/{}\r\n",
        end.saturating_sub(1),
        text.len()
    );
    ("206 Partial Content".into(), headers, text[start..end].to_owned())
}

const SHARDED: &[(&str, &str)] = &[
    ("config.json", "{}"),
    ("tokenizer.json", "{\"t\":1}"),
    (
        "model.safetensors.index.json",
        r#"{"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors"}}"#,
    ),
    ("model-1.safetensors", "first shard"),
    ("model-2.safetensors", "second shard"),
    ("pytorch_model.bin", "never fetched"),
];

fn source(text: &str) -> ModelSource {
    text.parse().unwrap()
}

#[test]
fn a_sharded_model_is_fetched_once_and_found_again_offline() {
    let cache = tempfile::tempdir().unwrap();
    let server = FakeHub::start(SHARDED);
    let folder = server.hub(cache.path(), false).resolve(&source("hf:owner/tiny")).unwrap();
    assert_eq!(std::fs::read_to_string(folder.join("model-2.safetensors")).unwrap(), "second shard");
    assert_eq!(std::fs::read_to_string(folder.join("tokenizer.json")).unwrap(), "{\"t\":1}");
    assert!(!folder.join("pytorch_model.bin").exists());

    let before = server.request_count();
    let again = server.hub(cache.path(), true).resolve(&source("hf:owner/tiny@main")).unwrap();
    assert_eq!(again, folder);
    assert_eq!(server.request_count(), before, "offline asks nothing");
}

#[test]
fn a_commit_that_other_tools_fetched_is_found_offline_without_a_reference() {
    let cache = tempfile::tempdir().unwrap();
    let server = FakeHub::start(SHARDED);
    let pinned = source(&format!("hf:owner/tiny@{COMMIT}"));
    let folder = server.hub(cache.path(), false).resolve(&pinned).unwrap();
    std::fs::remove_dir_all(cache.path().join("models--owner--tiny/refs")).unwrap();
    assert_eq!(server.hub(cache.path(), true).resolve(&pinned).unwrap(), folder);
    let other = source(&format!("hf:owner/tiny@{}", COMMIT.replace('0', "f")));
    assert!(matches!(server.hub(cache.path(), true).resolve(&other), Err(HubError::Offline { .. })));
}

/// Runs this very test in a process of its own, where it resolves a name and prints the folder.
fn resolve_in(environment: &[(&str, &str)]) -> Output {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "the_environment_says_where_and_how", "--nocapture"]);
    for variable in ["HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN"] {
        child.env_remove(variable);
    }
    child.env(CHILD, "hf:owner/tiny").envs(environment.iter().copied()).output().unwrap()
}

#[test]
fn the_environment_says_where_and_how() {
    if let Ok(name) = std::env::var(CHILD) {
        println!("{}", Hub::new(HubConfig::default()).resolve(&source(&name)).unwrap().display());
        return;
    }
    let (home, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (home, cache) = (home.path().to_str().unwrap(), cache.path().to_str().unwrap());
    let server = FakeHub::start(SHARDED);
    let endpoint = ("HF_ENDPOINT", server.endpoint.as_str());
    let folder = |root: &str| format!("{root}/models--owner--tiny/snapshots/{COMMIT}");
    let is_in = |output: &Output, root: &str| {
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains(&folder(root)), "{output:?}");
        assert!(Path::new(&folder(root)).join("model-2.safetensors").exists());
    };
    is_in(&resolve_in(&[endpoint, ("HF_HOME", home)]), &format!("{home}/hub"));
    assert!(server.requests.lock().unwrap().iter().all(|asked| asked.authorization.is_none()));

    let before = server.request_count();
    is_in(
        &resolve_in(&[endpoint, ("HF_HOME", home), ("HF_HUB_CACHE", cache), ("HF_TOKEN", "secret")]),
        cache,
    );
    let asked = server.requests.lock().unwrap().split_off(before);
    assert!(asked.iter().any(|asked| asked.authorization.as_deref() == Some("bearer secret")), "{asked:?}");

    let before = server.request_count();
    is_in(&resolve_in(&[endpoint, ("HF_HUB_CACHE", cache), ("HF_HUB_OFFLINE", "1")]), cache);
    assert_eq!(server.request_count(), before, "offline asks nothing");
}

#[test]
fn an_index_that_names_files_elsewhere_is_refused_before_they_are_fetched() {
    for file in ["../../outside.safetensors", "/outside.safetensors", "sub/model.safetensors", ".."] {
        let index = format!(r#"{{"weight_map":{{"a":"{file}"}}}}"#);
        let files = [("config.json", "{}"), ("model.safetensors.index.json", &*index), (file, "x")];
        let (cache, server) = (tempfile::tempdir().unwrap(), FakeHub::start(&files));
        let error = server.hub(cache.path(), false).resolve(&source("hf:owner/tiny")).unwrap_err();
        let error = format!("{error}: {:?}", std::error::Error::source(&error));
        assert!(error.contains(file) && error.contains("no file name"), "{error}");
        let asked = server.requests.lock().unwrap().clone();
        assert!(
            !asked.iter().any(|asked| asked.path.contains("safetensors") && !asked.path.contains("index")),
            "{asked:?}"
        );
    }
}

#[test]
fn offline_without_a_cache_says_what_to_do() {
    let cache = tempfile::tempdir().unwrap();
    let server = FakeHub::start(SHARDED);
    let error = server.hub(cache.path(), true).resolve(&source("hf:owner/tiny")).unwrap_err();
    assert!(matches!(error, HubError::Offline { .. }), "{error}");
    assert_eq!(server.request_count(), 0);
}

#[test]
fn a_repository_without_safetensors_is_refused_by_name() {
    let cache = tempfile::tempdir().unwrap();
    let server = FakeHub::start(&[("config.json", "{}"), ("pytorch_model.bin", "x")]);
    let error = server.hub(cache.path(), false).resolve(&source("hf:owner/tiny")).unwrap_err();
    assert!(error.to_string().contains("model.safetensors"), "{error}");
}

#[test]
fn an_unknown_repository_names_itself() {
    let cache = tempfile::tempdir().unwrap();
    let server = FakeHub::start(SHARDED);
    let error = server.hub(cache.path(), false).resolve(&source("hf:owner/other")).unwrap_err();
    assert!(error.to_string().contains("hf:owner/other@main"), "{error}");
}
