//! Downloads against a server on this machine that speaks the hub's protocol.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
    thread,
};

use still_hub::{Hub, HubConfig, HubError, ModelSource};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A hub with one repository, `owner/tiny`, that counts what it is asked for.
struct FakeHub {
    endpoint: String,
    requests: Arc<Mutex<Vec<String>>>,
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

fn serve(mut stream: TcpStream, files: &BTreeMap<String, String>, seen: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while let Some(Ok(request)) = lines.next() {
        let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
        let mut range = None;
        for line in lines.by_ref() {
            let line = line.unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
                range = value
                    .split_once('-')
                    .map(|(a, b)| (a.parse::<usize>().unwrap(), b.parse::<usize>().ok()));
            }
            if line.is_empty() {
                break;
            }
        }
        seen.lock().unwrap().push(path.clone());
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
            !asked.iter().any(|path| path.contains("safetensors") && !path.contains("index")),
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
