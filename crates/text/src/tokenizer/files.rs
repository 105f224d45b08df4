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

pub(super) const REPAIR: &str = "copy it again from the model's repository, or remove it";
const ROLES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// The classes of transformers that put tokens around a text whatever `tokenizer.json` says.
const LLAMA_CLASSES: [&str; 2] = ["LlamaTokenizer", "LlamaTokenizerFast"];

/// Which special tokens stand around a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings {
    /// The beginning token, before it.
    pub(super) begins: bool,
    /// The end token, after it.
    pub(super) ends: bool,
}

/// What the files around `tokenizer.json` say.
#[derive(Debug, Clone, Default)]
pub(super) struct Companions {
    /// `tokenizer_config.json` as read, for writing it out again.
    pub(super) config: Map<String, Value>,
    /// `generation_config.json` as read.
    pub(super) generation_config: Map<String, Value>,
    pub(super) special_tokens: SpecialTokens,
    pub(super) added_tokens: BTreeMap<u32, AddedTokenEntry>,
    pub(super) generation: GenerationIds,
    pub(super) chat_template: Option<String>,
}

/// One entry of `added_tokens_decoder`.
#[derive(Debug, Clone, Deserialize)]
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

impl Companions {
    pub(super) fn load(folder: &Path) -> Result<Self, TokenizerError> {
        let config: Map<String, Value> = read_json(&folder.join(CONFIG))?.unwrap_or_default();
        let map: Map<String, Value> = read_json(&folder.join(SPECIAL_TOKENS_MAP))?.unwrap_or_default();
        let generation_path = folder.join(GENERATION_CONFIG);
        let generation_config: Map<String, Value> = read_json(&generation_path)?.unwrap_or_default();
        let generation: GenerationFile = convert(Value::Object(generation_config.clone()), &generation_path)?;
        let added_tokens = match config.get("added_tokens_decoder") {
            Some(entries) => convert(entries.clone(), &folder.join(CONFIG))?,
            None => BTreeMap::new(),
        };
        let mut special_tokens = special_tokens(&map);
        special_tokens.extend(self::special_tokens(&config));
        let chat_template = match read_text(&folder.join(CHAT_TEMPLATE))? {
            Some(text) => Some(text),
            None => default_template(config.get("chat_template")),
        };
        let model: GenerationFile = read_json(&folder.join(MODEL_CONFIG))?.unwrap_or_default();
        let either =
            |ids: Option<Ids>, other: Option<Ids>| ids.or(other).map(Ids::into_vec).unwrap_or_default();
        let generation = GenerationIds {
            stop_ids: either(generation.end, model.end),
            beginning_id: either(generation.beginning, model.beginning).first().copied(),
            padding_id: either(generation.padding, model.padding).first().copied(),
        };
        Ok(Self { config, generation_config, special_tokens, added_tokens, generation, chat_template })
    }

    /// Which tokens stand around a text where the tokenizer's class decides that; transformers' defaults.
    pub(super) fn llama_surroundings(&self) -> Option<Surroundings> {
        let class = self.config.get("tokenizer_class")?.as_str()?;
        let flag = |name, default| self.config.get(name).map_or(default, |value| *value == true);
        LLAMA_CLASSES
            .contains(&class)
            .then(|| Surroundings { begins: flag("add_bos_token", true), ends: flag("add_eos_token", false) })
    }

    /// Writes every companion file that has content.
    pub(super) fn save(&self, folder: &Path) -> Result<(), TokenizerError> {
        write_json(&folder.join(CONFIG), &json!(self.config))?;
        write_json(&folder.join(SPECIAL_TOKENS_MAP), &json!(self.special_tokens))?;
        if !self.generation_config.is_empty() {
            write_json(&folder.join(GENERATION_CONFIG), &json!(self.generation_config))?;
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

/// The template itself, or the one named `default` in a list of `{name, template}`.
fn default_template(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(template) => Some(template.clone()),
        Value::Array(templates) => templates
            .iter()
            .find(|entry| entry.get("name").and_then(Value::as_str) == Some("default"))
            .and_then(|entry| entry.get("template")?.as_str().map(str::to_owned)),
        _ => None,
    }
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
