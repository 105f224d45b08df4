//! Layers of the configuration, merged key by key; every value remembers where it comes from.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use super::{
    Config,
    error::{ConfigError, KeyProblem},
    keys::{Found, Key, find, nearest},
    origin::Origin,
};

/// What environment variables of the configuration begin with.
const ENVIRONMENT_PREFIX: &str = "STILL__";

/// The layers over the defaults, weakest first within each kind.
#[derive(Debug, Clone, Default)]
pub struct ConfigLayers {
    texts: Vec<(PathBuf, String)>,
    environment: Vec<(String, String)>,
    sets: Vec<String>,
    options: Vec<(String, Value, String)>,
}

/// A merged, sound configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedConfig {
    /// The configuration.
    pub config: Config,
    pub(super) origins: BTreeMap<String, Origin>,
}

/// One value on its way into the configuration.
struct Entry {
    path: Vec<String>,
    value: Value,
    origin: Origin,
}

impl ConfigLayers {
    /// The defaults alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn file(self, path: &Path) -> Result<Self, ConfigError> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(self.text(path, &text)),
            Err(source) => Err(ConfigError::Read { path: path.to_owned(), source }),
        }
    }

    /// Adds TOML text under the name of a file.
    #[must_use]
    pub fn text(mut self, path: impl Into<PathBuf>, text: &str) -> Self {
        self.texts.push((path.into(), text.to_owned()));
        self
    }

    /// Adds the environment's `STILL__SECTION__KEY` variables; others are passed over.
    #[must_use]
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.environment
            .extend(variables.into_iter().filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX)));
        self.environment.sort();
        self
    }

    /// Adds a `--set section.key=value`.
    #[must_use]
    pub fn set(mut self, assignment: &str) -> Self {
        self.sets.push(assignment.to_owned());
        self
    }

    /// Adds an option of the command line that stands for a key, for example `--rounds 5`.
    #[must_use]
    pub fn option(mut self, key: &str, value: impl Into<Value>, as_written: &str) -> Self {
        self.options.push((key.to_owned(), value.into(), as_written.to_owned()));
        self
    }

    /// Merges the layers and checks the result.
    ///
    /// # Errors
    /// Names every unknown key, and every value that cannot be used, with its origin.
    pub fn load(self) -> Result<LoadedConfig, ConfigError> {
        let keys = Key::all_of::<Config>();
        let mut entries = Vec::new();
        let mut problems = Vec::new();
        for (path, text) in &self.texts {
            read_file(&keys, path, text, &mut entries, &mut problems)?;
        }
        for (name, text) in &self.environment {
            let key = name[ENVIRONMENT_PREFIX.len()..].to_lowercase().replace("__", ".");
            assign(&keys, &key, text, Origin::Environment(name.clone()), &mut entries, &mut problems);
        }
        for assignment in &self.sets {
            let (key, text) =
                assignment.split_once('=').ok_or_else(|| ConfigError::Assignment(assignment.clone()))?;
            let origin = Origin::CommandLine(format!("--set {assignment}"));
            assign(&keys, key.trim(), text.trim(), origin, &mut entries, &mut problems);
        }
        for (key, value, as_written) in self.options {
            let origin = Origin::CommandLine(as_written);
            entries.push(Entry { path: key.split('.').map(str::to_owned).collect(), value, origin });
        }
        if !problems.is_empty() {
            return Err(ConfigError::Keys(problems));
        }
        merge(entries)
    }
}

impl LoadedConfig {
    /// Where the value of a dotted key comes from.
    pub fn origin(&self, key: &str) -> Origin {
        origin_of(&self.origins, key)
    }
}

/// The origin of a key, of what it lies in, or of the first value set inside it.
fn origin_of(origins: &BTreeMap<String, Origin>, key: &str) -> Origin {
    let ancestors = std::iter::successors(Some(key), |key| key.rsplit_once('.').map(|(parent, _)| parent));
    let inside = format!("{key}.");
    ancestors
        .filter_map(|key| origins.get(key))
        .chain(origins.iter().filter(|(known, _)| known.starts_with(&inside)).map(|(_, origin)| origin))
        .next()
        .cloned()
        .unwrap_or(Origin::Default)
}

fn merge(entries: Vec<Entry>) -> Result<LoadedConfig, ConfigError> {
    let mut tree = serde_json::to_value(Config::default()).unwrap_or_default();
    let mut origins = BTreeMap::new();
    for Entry { path, value, origin } in entries {
        put(&mut tree, &path, value);
        origins.insert(path.join("."), origin);
    }
    let config: Config = serde_path_to_error::deserialize(tree).map_err(|error| {
        let key = error.path().to_string();
        let problem = KeyProblem {
            origin: origin_of(&origins, &key.replace('[', ".[")),
            reason: error.into_inner().to_string(),
            key,
        };
        ConfigError::Keys(vec![problem])
    })?;
    let findings = config.validate().into_vec();
    if findings.is_empty() {
        return Ok(LoadedConfig { config, origins });
    }
    let problem = |finding: still_settings::Finding| KeyProblem {
        origin: origin_of(&origins, &finding.key),
        key: finding.key,
        reason: finding.reason,
    };
    Err(ConfigError::Keys(findings.into_iter().map(problem).collect()))
}

/// Replaces the value at `path`, making the maps on the way.
fn put(tree: &mut Value, path: &[String], value: Value) {
    match path.split_first() {
        None => *tree = value,
        Some((first, rest)) => {
            if !tree.is_object() {
                *tree = Value::Object(Map::new());
            }
            put(&mut tree[first.as_str()], rest, value);
        }
    }
}

/// Takes one `key = text` of the environment or of `--set`.
fn assign(
    keys: &[Key],
    key: &str,
    text: &str,
    origin: Origin,
    entries: &mut Vec<Entry>,
    problems: &mut Vec<KeyProblem>,
) {
    let path: Vec<&str> = key.split('.').collect();
    let value = match find(keys, &path) {
        None => return problems.push(unknown(keys, key, origin)),
        Some(Found::Section) => {
            let reason = format!("is a section: name one of its keys, `{key}.<key>`");
            return problems.push(KeyProblem { key: key.to_owned(), origin, reason });
        }
        Some(Found::Value { is_text: true }) if !text.starts_with(['"', '\'']) => Value::from(text),
        Some(Found::Value { .. } | Found::MapEntry) => toml_value(text),
    };
    entries.push(Entry { path: path.into_iter().map(str::to_owned).collect(), value, origin });
}

/// `text` as a TOML value, or as the text that it is.
fn toml_value(text: &str) -> Value {
    let table: Option<toml::Table> = format!("value = {text}").parse().ok();
    table.and_then(|mut table| table.remove("value")).map_or_else(|| Value::from(text), to_json)
}

fn to_json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::from(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => Value::from(number),
        toml::Value::Boolean(truth) => Value::from(truth),
        toml::Value::Datetime(time) => Value::from(time.to_string()),
        toml::Value::Array(items) => items.into_iter().map(to_json).collect(),
        toml::Value::Table(table) => table.into_iter().map(|(key, value)| (key, to_json(value))).collect(),
    }
}

/// Takes the values of a file, each with its line.
fn read_file(
    keys: &[Key],
    path: &Path,
    text: &str,
    entries: &mut Vec<Entry>,
    problems: &mut Vec<KeyProblem>,
) -> Result<(), ConfigError> {
    let syntax = |error: toml::de::Error| {
        let offset = error.span().map_or(0, |span| span.start);
        let before = text.get(..offset).unwrap_or(text);
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        let reason = error.message().to_owned();
        ConfigError::Syntax { path: path.to_owned(), line: line_of(text, offset), column, reason }
    };
    let spans = DeTable::parse(text).map_err(syntax)?;
    let values: toml::Table = text.parse().map_err(syntax)?;
    let mut reader = FileReader { keys, path, text, entries, problems };
    reader.section(&mut Vec::new(), spans.get_ref(), values);
    Ok(())
}

struct FileReader<'file> {
    keys: &'file [Key],
    path: &'file Path,
    text: &'file str,
    entries: &'file mut Vec<Entry>,
    problems: &'file mut Vec<KeyProblem>,
}

impl FileReader<'_> {
    fn section(&mut self, parents: &mut Vec<String>, spans: &DeTable<'_>, mut values: toml::Table) {
        for (name, inner) in spans {
            let Some(value) = values.remove(name.get_ref().as_ref()) else { continue };
            let line = line_of(self.text, name.span().start);
            let origin = Origin::File { path: self.path.to_owned(), line };
            parents.push(name.get_ref().to_string());
            let path: Vec<&str> = parents.iter().map(String::as_str).collect();
            match (find(self.keys, &path), inner.get_ref(), value) {
                (None, _, _) => self.problems.push(unknown(self.keys, &path.join("."), origin)),
                (Some(Found::Section), DeValue::Table(spans), toml::Value::Table(values)) => {
                    self.section(parents, spans, values);
                }
                (Some(Found::Section), _, value) => {
                    let reason = format!("is a section `[{}]`, not {}", path.join("."), value.type_str());
                    self.problems.push(KeyProblem { key: path.join("."), origin, reason });
                }
                (Some(_), _, value) => {
                    self.entries.push(Entry { path: parents.clone(), value: to_json(value), origin });
                }
            }
            parents.pop();
        }
    }
}

fn unknown(keys: &[Key], key: &str, origin: Origin) -> KeyProblem {
    let reason = match nearest(keys, key) {
        Some(meant) => format!("is no known key; did you mean `{meant}`?"),
        None => "is no known key; `stilld config show` lists all".to_owned(),
    };
    KeyProblem { key: key.to_owned(), origin, reason }
}

/// The line of a byte offset, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}
