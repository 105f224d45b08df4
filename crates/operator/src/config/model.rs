//! `[model]`: the base model.

use std::{borrow::Cow, fmt, path::PathBuf, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use still_settings::Findings;

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

/// The name of the tiny model.
const EMBEDDED: &str = "embedded";

/// Where the base model comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ModelSource {
    /// The tiny model of the quick start.
    #[default]
    Embedded,
    /// A repository of the Hugging Face hub.
    Hub {
        /// `owner/name`, or the name alone of a repository that has no owner (`gpt2`).
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
            Self::Embedded => f.write_str(EMBEDDED),
            Self::Hub { repository, revision: None } => write!(f, "hf:{repository}"),
            Self::Hub { repository, revision: Some(revision) } => write!(f, "hf:{repository}@{revision}"),
            Self::Folder(path) => path.display().fmt(f),
        }
    }
}

impl FromStr for ModelSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == EMBEDDED {
            return Ok(Self::Embedded);
        }
        match text.parse() {
            Ok(still_hub::ModelSource::Folder(path)) => Ok(Self::Folder(path)),
            Ok(still_hub::ModelSource::Hub { repository, revision }) => {
                // the hub fills in the main branch where none is written
                let revision = text.contains('@').then_some(revision);
                Ok(Self::Hub { repository, revision })
            }
            Err(error) => Err(format!("{error}, or `{EMBEDDED}`")),
        }
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
        for text in [
            "embedded",
            "hf:Qwen/Qwen2.5-0.5B-Instruct",
            "hf:gpt2",
            "hf:a/b@v1.0",
            "hf:a/b@refs/pr/1",
            "hf:a/b@main",
            "/models/qwen",
            "models/q",
        ] {
            assert_eq!(text.parse::<ModelSource>().unwrap().to_string(), text);
        }
        assert_eq!(
            "hf:a/b@c".parse(),
            Ok(ModelSource::Hub { repository: "a/b".to_owned(), revision: Some("c".to_owned()) })
        );
    }

    #[test]
    fn what_the_hub_cannot_name_is_refused_at_once() {
        for text in ["hf:", "hf:/b", "hf:a/", "hf:a/b/c", "hf:a/b@", "hf:../b", "hf:a b/c", "hf:a/b@../c", ""]
        {
            let error = text.parse::<ModelSource>().unwrap_err();
            assert!(error.contains("hf:owner/name") && error.contains("embedded"), "{text}: {error}");
        }
    }
}
