//! `[model]`: the base model.

use std::{borrow::Cow, fmt, path::PathBuf, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::findings::Findings;

/// The base model that imitation starts from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelSection {
    /// "embedded" (the tiny model below, freshly drawn from the seed), "hf:owner/name" or
    /// "hf:owner/name@revision" (fetched once from the Hugging Face hub), or a Hugging Face folder.
    pub source: ModelSource,
    /// Never fetch from the hub: use what the cache holds.
    pub offline: bool,
    /// Sizes of the embedded model.
    pub embedded: EmbeddedModel,
}

/// Where the base model comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ModelSource {
    /// The tiny model of the quick start.
    #[default]
    Embedded,
    /// A repository of the Hugging Face hub.
    Hub {
        /// `owner/name`.
        repository: String,
        /// A branch, a tag or a commit; `None` is the main branch.
        revision: Option<String>,
    },
    /// A Hugging Face folder on disk.
    Folder(PathBuf),
}

/// Sizes of the embedded model, a Llama-style decoder with tied embeddings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddedModel {
    /// Width of the residual stream.
    pub width: usize,
    /// Decoder layers.
    pub layers: usize,
    /// Attention heads; they divide the width.
    pub heads: usize,
    /// Width of the feed-forward part.
    pub feed_forward: usize,
    /// Base of the rotary embedding.
    pub rope_base: f64,
    /// Longest sequence, in tokens.
    pub context_tokens: usize,
}

impl Default for EmbeddedModel {
    fn default() -> Self {
        Self { width: 64, layers: 3, heads: 4, feed_forward: 176, rope_base: 10_000.0, context_tokens: 256 }
    }
}

impl ModelSection {
    /// Notes what cannot be built.
    pub fn validate(&self, findings: &mut Findings) {
        let model = &self.embedded;
        for (key, size) in [
            ("model.embedded.width", model.width),
            ("model.embedded.layers", model.layers),
            ("model.embedded.heads", model.heads),
            ("model.embedded.feed_forward", model.feed_forward),
            ("model.embedded.context_tokens", model.context_tokens),
        ] {
            findings.require(size > 0, key, || "must be at least 1".to_owned());
        }
        let even = model.heads > 0
            && model.width.is_multiple_of(model.heads)
            && (model.width / model.heads).is_multiple_of(2);
        findings.require(even, "model.embedded.heads", || {
            format!("{} heads must divide the width {} into even parts", model.heads, model.width)
        });
        findings.require(model.rope_base > 1.0, "model.embedded.rope_base", || {
            format!("must be above 1, not {}", model.rope_base)
        });
    }
}

impl fmt::Display for ModelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::Hub { repository, revision: None } => write!(f, "hf:{repository}"),
            Self::Hub { repository, revision: Some(revision) } => write!(f, "hf:{repository}@{revision}"),
            Self::Folder(path) => path.display().fmt(f),
        }
    }
}

impl FromStr for ModelSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "embedded" {
            return Ok(Self::Embedded);
        }
        let Some(name) = text.strip_prefix("hf:") else {
            return if text.is_empty() {
                Err("name a model: \"embedded\", \"hf:owner/name\" or a folder".to_owned())
            } else {
                Ok(Self::Folder(PathBuf::from(text)))
            };
        };
        let (repository, revision) = match name.split_once('@') {
            Some((repository, revision)) => (repository, Some(revision.to_owned())),
            None => (name, None),
        };
        let is_named = repository
            .split_once('/')
            .is_some_and(|(owner, name)| !owner.is_empty() && !name.is_empty() && !name.contains('/'));
        if !is_named || revision.as_deref() == Some("") {
            return Err(format!(
                "`{text}` is no hub model: write \"hf:owner/name\" or \"hf:owner/name@revision\""
            ));
        }
        Ok(Self::Hub { repository: repository.to_owned(), revision })
    }
}

impl Serialize for ModelSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ModelSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for ModelSource {
    fn schema_name() -> Cow<'static, str> {
        "ModelSource".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_source_survives_its_text_form() {
        for text in ["embedded", "hf:Qwen/Qwen2.5-0.5B-Instruct", "hf:a/b@v1.0", "/models/qwen", "models/q"] {
            assert_eq!(text.parse::<ModelSource>().unwrap().to_string(), text);
        }
        assert_eq!(
            "hf:a/b@c".parse(),
            Ok(ModelSource::Hub { repository: "a/b".to_owned(), revision: Some("c".to_owned()) })
        );
    }

    #[test]
    fn a_hub_name_without_owner_or_revision_is_refused() {
        for text in ["hf:qwen", "hf:/b", "hf:a/", "hf:a/b/c", "hf:a/b@", ""] {
            assert!(text.parse::<ModelSource>().is_err(), "{text}");
        }
    }
}
