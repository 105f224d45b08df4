//! `[teacher]`: a server whose answers are imitated.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use still_domain::SamplingSettings;
use still_settings::Findings;

use crate::{http::Address, settings::read_key};

/// A server that speaks as `OpenAI`'s do, whose answers `stilld distill` makes demonstrations of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TeacherSection {
    /// Where it is, with what its paths begin with, for example `https://api.example.com/v1`; several serve the same model.
    pub addresses: Vec<String>,
    /// The model's name there; where it is empty, the only one that is served.
    pub model: String,
    /// How it is asked.
    pub api: TextApi,
    /// A file that holds its key, which is never shown.
    pub key_file: Option<PathBuf>,
    /// A variable of the environment that holds its key.
    pub key_variable: Option<String>,
    /// A file of certificates in PEM: authorities that vouch for it beside those that browsers trust.
    pub certificate_file: Option<PathBuf>,
    /// Questions that a server holds at once, at most.
    pub max_in_flight: usize,
    /// How long an answer may take, in seconds.
    pub max_answer_seconds: u64,
    /// How often a question is asked again that came to nothing: a broken connection, a server that is full or failed.
    pub retries: u32,
    /// Answers to a problem, at most.
    pub samples: u32,
    /// Right answers to a problem at which it is asked no more, and which become demonstrations.
    pub keep: u32,
    /// The longest answer, in tokens.
    pub max_new_tokens: u32,
    /// What the longest answer is called there: `max_tokens`, or `max_completion_tokens`.
    pub longest_name: String,
    /// Divides the logits; 0 takes the likeliest token.
    pub temperature: f64,
    /// Keeps the smallest set of tokens whose probability reaches this.
    pub top_p: f64,
    /// More fields of every question, for example `{ chat_template_kwargs = { enable_thinking = true } }`.
    pub extra: Map<String, Value>,
}

/// How a server is asked for text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TextApi {
    /// As a conversation: `/chat/completions`.
    #[default]
    Chat,
    /// As a text to go on with: `/completions`.
    Completions,
}

impl TextApi {
    /// What follows the address.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Completions => "/completions",
        }
    }
}

impl Default for TeacherSection {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            model: String::new(),
            api: TextApi::Chat,
            key_file: None,
            key_variable: None,
            certificate_file: None,
            max_in_flight: 32,
            max_answer_seconds: 3_600,
            retries: 8,
            samples: 4,
            keep: 1,
            max_new_tokens: 16_384,
            longest_name: "max_tokens".to_owned(),
            temperature: 0.6,
            top_p: 0.95,
            extra: Map::new(),
        }
    }
}

impl TeacherSection {
    /// Notes what cannot be used.
    pub fn validate(&self, findings: &mut Findings) {
        for address in &self.addresses {
            if let Err(reason) = Address::with_path(address) {
                findings.note("teacher.addresses", reason);
            }
        }
        findings.require(self.key_file.is_none() || self.key_variable.is_none(), "teacher.key_file", || {
            "the key is in a file or in a variable: leave out one of `teacher.key_file` and `teacher.key_variable`"
                .to_owned()
        });
        for (name, value, least, most) in [
            ("max_in_flight", self.max_in_flight as u64, 1, 100_000),
            ("max_answer_seconds", self.max_answer_seconds, 1, 1_000_000),
            ("samples", u64::from(self.samples), 1, 1_000_000),
            ("keep", u64::from(self.keep), 1, u64::from(self.samples.max(1))),
            ("max_new_tokens", u64::from(self.max_new_tokens), 1, 10_000_000),
        ] {
            findings.require((least..=most).contains(&value), &format!("teacher.{name}"), || {
                format!("must be from {least} to {most}")
            });
        }
        findings.require(
            self.temperature.is_finite() && self.temperature >= 0.0,
            "teacher.temperature",
            || "must be 0 or above".to_owned(),
        );
        let is_repeated = self.samples > 1 && self.temperature == 0.0;
        findings.require(!is_repeated, "teacher.temperature", || {
            "at 0 all answers to a problem are the same: give a temperature above 0, or `teacher.samples = 1`".to_owned()
        });
        findings.require(self.top_p > 0.0 && self.top_p <= 1.0, "teacher.top_p", || {
            "must be above 0 and at most 1".to_owned()
        });
        findings.require(
            ["max_tokens", "max_completion_tokens"].contains(&self.longest_name.as_str()),
            "teacher.longest_name",
            || "write max_tokens or max_completion_tokens".to_owned(),
        );
    }

    /// How tokens are drawn.
    pub fn sampling(&self) -> SamplingSettings {
        SamplingSettings {
            temperature: self.temperature as f32,
            top_p: self.top_p as f32,
            max_new_tokens: self.max_new_tokens,
            ..SamplingSettings::default()
        }
    }

    /// The key, if it has one.
    pub(crate) fn key(&self) -> Result<Option<String>, String> {
        read_key("teacher", self.key_file.as_deref(), self.key_variable.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(section: &TeacherSection) -> Vec<String> {
        let mut findings = Findings::default();
        section.validate(&mut findings);
        findings.into_vec().into_iter().map(|finding| finding.key).collect()
    }

    #[test]
    fn what_no_teacher_can_be_asked_by_is_named() {
        let sound = TeacherSection {
            addresses: vec!["https://api.example.com/v1".to_owned()],
            ..TeacherSection::default()
        };
        assert!(found(&sound).is_empty());
        for (section, key) in [
            (
                TeacherSection { addresses: vec!["api.example.com".to_owned()], ..sound.clone() },
                "teacher.addresses",
            ),
            (TeacherSection { keep: 5, ..sound.clone() }, "teacher.keep"),
            (TeacherSection { temperature: 0.0, ..sound.clone() }, "teacher.temperature"),
            (TeacherSection { longest_name: "length".to_owned(), ..sound.clone() }, "teacher.longest_name"),
            (TeacherSection { max_in_flight: 0, ..sound }, "teacher.max_in_flight"),
        ] {
            assert_eq!(found(&section), [key]);
        }
    }
}
