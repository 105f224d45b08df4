//! The JSON files around `tokenizer.json`, as far as they matter here.

use std::{collections::BTreeMap, fs, io, path::Path};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::SpecialTokens;
use crate::error::TokenizerError;

pub(super) const TOKENIZER: &str = "tokenizer.json";
pub(super) const CONFIG: &str = "tokenizer_config.json";
const SPECIAL_TOKENS_MAP: &str = "special_tokens_map.json";
const GENERATION_CONFIG: &str = "generation_config.json";
const MODEL_CONFIG: &str = "config.json";
const CHAT_TEMPLATE: &str = "chat_template.jinja";
const ADDED_TOKENS: &str = "added_tokens.json";
/// Templates by name, one a file.
const NAMED_TEMPLATES: &str = "additional_chat_templates";
/// The template that is used where there are tools.
pub(super) const TOOL_USE: &str = "tool_use";

pub(super) const REPAIR: &str = "copy it again from the model's repository, or remove it";
const ROLES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// The classes of transformers that make a tokenizer anew of the vocabulary and merges in `tokenizer.json`.
const LLAMA_CLASSES: [&str; 2] = ["LlamaTokenizer", "LlamaTokenizerFast"];

/// Which special tokens stand around a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings {
    /// The beginning token, before it.
    pub(super) begins: bool,
    /// The end token, after it.
    pub(super) ends: bool,
}

/// Where a `SentencePiece` vocabulary has a blank put before a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PrefixSpace {
    /// Nowhere.
    Never,
    /// Before the text alone.
    First,
    /// Before every stretch between two added tokens, too.
    Always,
}

/// What the files around `tokenizer.json` say.
#[derive(Debug, Clone, Default)]
pub(super) struct Companions {
    /// `tokenizer_config.json` as read, for writing it out again.
    pub(super) config: Map<String, Value>,
    /// `generation_config.json` as read.
    pub(super) generation_config: Map<String, Value>,
    pub(super) special_tokens: SpecialTokens,
    /// Tokens that are added ones whatever `tokenizer.json` says, by id.
    pub(super) added_tokens: BTreeMap<u32, AddedTokenEntry>,
    /// Special tokens by role, then those without one, as they are to be added where they are not yet.
    pub(super) special: Vec<AddedTokenEntry>,
    /// `added_tokens.json` as read.
    pub(super) added_tokens_file: Map<String, Value>,
    /// Special tokens that are written out in a text are spelt out.
    pub(super) splits_special_tokens: bool,
    pub(super) generation: GenerationIds,
    pub(super) chat_template: Option<String>,
    /// The templates that have a name, the default left out.
    pub(super) named_templates: BTreeMap<String, String>,
}

/// One entry of `added_tokens_decoder`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "the file's own fields")]
pub(super) struct AddedTokenEntry {
    pub(super) content: String,
    pub(super) lstrip: bool,
    pub(super) rstrip: bool,
    pub(super) single_word: bool,
    pub(super) normalized: bool,
    pub(super) special: bool,
}

/// The token ids of `generation_config.json`; what it does not say, `config.json` does.
#[derive(Debug, Clone, Default)]
pub(super) struct GenerationIds {
    pub(super) stop_ids: Vec<u32>,
    pub(super) beginning_id: Option<u32>,
    pub(super) padding_id: Option<u32>,
}

/// One id or several; some checkpoints write -1 for none.
#[derive(Deserialize)]
#[serde(untagged)]
enum Ids {
    One(i64),
    Many(Vec<i64>),
}

impl Ids {
    fn into_vec(self) -> Vec<u32> {
        let ids = match self {
            Self::One(id) => vec![id],
            Self::Many(ids) => ids,
        };
        ids.into_iter().filter_map(|id| u32::try_from(id).ok()).collect()
    }
}

#[derive(Default, Deserialize)]
struct GenerationFile {
    #[serde(rename = "eos_token_id")]
    end: Option<Ids>,
    #[serde(rename = "bos_token_id")]
    beginning: Option<Ids>,
    #[serde(rename = "pad_token_id")]
    padding: Option<Ids>,
}

impl Default for AddedTokenEntry {
    fn default() -> Self {
        Self {
            content: String::new(),
            lstrip: false,
            rstrip: false,
            single_word: false,
            normalized: true,
            special: false,
        }
    }
}

impl AddedTokenEntry {
    /// A special token without flags of its own.
    fn special(content: &str) -> Self {
        Self { content: content.to_owned(), special: true, normalized: false, ..Self::default() }
    }
}

impl Companions {
    pub(super) fn load(folder: &Path) -> Result<Self, TokenizerError> {
        let config: Map<String, Value> = read_json(&folder.join(CONFIG))?.unwrap_or_default();
        let map: Map<String, Value> = read_json(&folder.join(SPECIAL_TOKENS_MAP))?.unwrap_or_default();
        let generation_path = folder.join(GENERATION_CONFIG);
        let generation_config: Map<String, Value> = read_json(&generation_path)?.unwrap_or_default();
        let generation: GenerationFile = convert(Value::Object(generation_config.clone()), &generation_path)?;
        let added_tokens_file: Map<String, Value> =
            read_json(&folder.join(ADDED_TOKENS))?.unwrap_or_default();
        let mut special_tokens = special_tokens(&map);
        special_tokens.extend(self::special_tokens(&config));
        let listed = config.get("added_tokens_decoder");
        // where the configuration lists the added tokens the older files are not read
        let sources: &[&Map<String, Value>] = if listed.is_some() { &[&config] } else { &[&map, &config] };
        let special = special_entries(&special_tokens, sources);
        let added_tokens = match listed {
            Some(entries) => convert(entries.clone(), &folder.join(CONFIG))?,
            None => added_entries(&added_tokens_file, &special),
        };
        let templates = config.get("chat_template");
        let mut named_templates = named_templates(templates);
        named_templates.extend(read_templates(&folder.join(NAMED_TEMPLATES))?);
        let chat_template = match read_text(&folder.join(CHAT_TEMPLATE))? {
            Some(text) => Some(text),
            None => named_templates
                .get("default")
                .cloned()
                .or_else(|| templates.and_then(Value::as_str).map(str::to_owned)),
        };
        named_templates.remove("default");
        let splits_special_tokens = config.get("split_special_tokens") == Some(&Value::Bool(true));
        let model: GenerationFile = read_json(&folder.join(MODEL_CONFIG))?.unwrap_or_default();
        let either =
            |ids: Option<Ids>, other: Option<Ids>| ids.or(other).map(Ids::into_vec).unwrap_or_default();
        let generation = GenerationIds {
            stop_ids: either(generation.end, model.end),
            beginning_id: either(generation.beginning, model.beginning).first().copied(),
            padding_id: either(generation.padding, model.padding).first().copied(),
        };
        Ok(Self {
            config,
            generation_config,
            special_tokens,
            added_tokens,
            special,
            added_tokens_file,
            splits_special_tokens,
            generation,
            chat_template,
            named_templates,
        })
    }

    /// A hash of what was read of `tokenizer.json` and of all else here that tokens and prompts depend on.
    pub(super) fn fingerprint(&self, read: &[u8]) -> String {
        let mut config = self.config.clone();
        // these say where a tokenizer came from, and not what it is
        for name in ["name_or_path", "model_max_length", "transformers_version"] {
            config.remove(name);
        }
        let parts = json!({
            "config": config,
            "special_tokens": self.special_tokens,
            "added_tokens": self.added_tokens_file,
            "stop_ids": self.generation.stop_ids,
            "chat_template": self.chat_template,
            "named_templates": self.named_templates,
        });
        let mut hasher = blake3::Hasher::new();
        hasher.update(read);
        hasher.update(parts.to_string().as_bytes());
        hasher.finalize().to_hex().to_string()
    }

    /// Which tokens stand around a text where the tokenizer's class decides that; transformers' defaults.
    pub(super) fn llama_surroundings(&self) -> Option<Surroundings> {
        let flag = |name, default| self.config.get(name).map_or(default, |value| *value == true);
        self.is_of_llama()
            .then(|| Surroundings { begins: flag("add_bos_token", true), ends: flag("add_eos_token", false) })
    }

    /// Where a blank is put before a text where the tokenizer's class decides that; transformers' defaults.
    pub(super) fn llama_prefix_space(&self) -> Option<PrefixSpace> {
        let flag = |name| self.config.get(name).and_then(Value::as_bool);
        self.is_of_llama().then(|| match (flag("add_prefix_space"), flag("legacy")) {
            (Some(false), _) => PrefixSpace::Never,
            (_, Some(true)) => PrefixSpace::Always,
            _ => PrefixSpace::First,
        })
    }

    fn is_of_llama(&self) -> bool {
        let class = self.config.get("tokenizer_class").and_then(Value::as_str);
        class.is_some_and(|class| LLAMA_CLASSES.contains(&class))
    }

    /// Writes every companion file that has content.
    pub(super) fn save(&self, folder: &Path) -> Result<(), TokenizerError> {
        write_json(&folder.join(CONFIG), &json!(self.config))?;
        write_json(&folder.join(SPECIAL_TOKENS_MAP), &json!(self.special_tokens))?;
        if !self.generation_config.is_empty() {
            write_json(&folder.join(GENERATION_CONFIG), &json!(self.generation_config))?;
        }
        if !self.added_tokens_file.is_empty() {
            write_json(&folder.join(ADDED_TOKENS), &json!(self.added_tokens_file))?;
        }
        if !self.named_templates.is_empty() {
            let named = folder.join(NAMED_TEMPLATES);
            fs::create_dir_all(&named)
                .map_err(|source| TokenizerError::Write { path: named.clone(), source })?;
            for (name, template) in &self.named_templates {
                write(&named.join(format!("{name}.jinja")), template)?;
            }
        }
        match &self.chat_template {
            Some(template) => write(&folder.join(CHAT_TEMPLATE), template),
            None => Ok(()),
        }
    }
}

/// The special tokens of a configuration: each a string, or an object with its `content`.
fn special_tokens(config: &Map<String, Value>) -> SpecialTokens {
    let text = |value: &Value| match value {
        Value::String(token) => Some(token.clone()),
        Value::Object(token) => token.get("content").and_then(Value::as_str).map(str::to_owned),
        _ => None,
    };
    ROLES.iter().filter_map(|&role| Some((role.to_owned(), config.get(role).and_then(text)?))).collect()
}

/// The special tokens as added ones: those that have a role, then those of the lists and the roles that only this model
/// has. Each has the flags that it is given with, or those of a special token.
fn special_entries(roles: &SpecialTokens, sources: &[&Map<String, Value>]) -> Vec<AddedTokenEntry> {
    let entry = |value: &Value| match value {
        Value::String(content) => Some(AddedTokenEntry::special(content)),
        Value::Object(_) => serde_json::from_value(value.clone())
            .ok()
            .map(|entry: AddedTokenEntry| AddedTokenEntry { special: true, ..entry }),
        _ => None,
    };
    let given = |role: &str| sources.iter().find_map(|source| source.get(role).and_then(entry));
    let with_role = roles.iter().map(|(role, content)| {
        given(role).filter(|entry| entry.content == *content).unwrap_or(AddedTokenEntry::special(content))
    });
    let more = sources.iter().flat_map(|source| source.iter()).flat_map(|(name, value)| match value {
        Value::Array(tokens) if is_list_of_tokens(name) => tokens.iter().filter_map(entry).collect(),
        Value::Object(tokens) if is_list_of_tokens(name) => tokens.values().filter_map(entry).collect(),
        _ if name.ends_with("_token") && !ROLES.contains(&name.as_str()) => {
            entry(value).into_iter().collect()
        }
        _ => Vec::new(),
    });
    with_role.chain(more).filter(|entry| !entry.content.is_empty()).collect()
}

fn is_list_of_tokens(name: &str) -> bool {
    ["additional_special_tokens", "extra_special_tokens"].contains(&name)
}

/// The entries of `added_tokens.json`, which gives ids to texts.
fn added_entries(file: &Map<String, Value>, special: &[AddedTokenEntry]) -> BTreeMap<u32, AddedTokenEntry> {
    let entry = |(content, id): (&String, &Value)| {
        let id = u32::try_from(id.as_u64()?).ok()?;
        let special = special.iter().any(|entry| entry.content == *content);
        let content = content.clone();
        Some((id, AddedTokenEntry { content, special, normalized: !special, ..AddedTokenEntry::default() }))
    };
    file.iter().filter_map(entry).collect()
}

/// The templates of a list of `{name, template}`.
fn named_templates(value: Option<&Value>) -> BTreeMap<String, String> {
    let templates = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text = |entry: &Value, part: &str| entry.get(part)?.as_str().map(str::to_owned);
    templates.iter().filter_map(|entry| Some((text(entry, "name")?, text(entry, "template")?))).collect()
}

/// The templates of a folder, each a file named for it.
fn read_templates(folder: &Path) -> Result<BTreeMap<String, String>, TokenizerError> {
    let read = |source| TokenizerError::Read { path: folder.to_owned(), source, remedy: REPAIR };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        entries => entries.map_err(read)?,
    };
    let mut templates = BTreeMap::new();
    for entry in entries {
        let path = entry.map_err(read)?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).map(str::to_owned);
        if let (Some(name), true) = (name, path.extension().is_some_and(|end| end == "jinja"))
            && let Some(template) = read_text(&path)?
        {
            templates.insert(name, template);
        }
    }
    Ok(templates)
}

fn read_text(path: &Path) -> Result<Option<String>, TokenizerError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TokenizerError::Read { path: path.to_owned(), source, remedy: REPAIR }),
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, TokenizerError> {
    let Some(text) = read_text(path)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|error| malformed(path, &error))
}

fn convert<T: DeserializeOwned>(value: Value, path: &Path) -> Result<T, TokenizerError> {
    serde_json::from_value(value).map_err(|error| malformed(path, &error))
}

fn malformed(path: &Path, error: &serde_json::Error) -> TokenizerError {
    TokenizerError::Malformed { path: path.to_owned(), reason: error.to_string(), remedy: REPAIR }
}

fn write_json(path: &Path, value: &Value) -> Result<(), TokenizerError> {
    write(path, &format!("{value:#}\n"))
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), TokenizerError> {
    fs::write(path, text).map_err(|source| TokenizerError::Write { path: path.to_owned(), source })
}
