//! How trajectories are drawn: by which engine, in which arithmetic, after which prompts. Told once, and named by a hash
//! that every trajectory carries.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{fingerprint::NamedFields, ids::ProvenanceId};

/// Hexadecimal digits of a provenance's name.
const DIGITS: usize = 32;

/// What trajectories have in common that the same engine drew after the same kind of prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// What kind of engine: `embedded`, `vllm`, `sglang`, `openai`; `import` for what was drawn elsewhere.
    pub engine: String,
    /// Which one of that kind: a device, a server's address, a file.
    pub name: String,
    /// The engine's version; `None` where it does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it calculates in: `f32`, `bf16`; `None` where it does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
    /// Names what asks: style, texts, format, tokenizer and chat template.
    pub prompt: String,
    /// The engine told text, and the tokens were made of it here: they may not be those that it drew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_retokenized: bool,
}

impl Provenance {
    /// Its name: a hash of all that it says.
    pub fn id(&self) -> ProvenanceId {
        let Self { engine, name, version, precision, prompt, is_retokenized } = self;
        let mut fields = NamedFields::new("still provenance 1").text("engine", engine).text("name", name);
        for (name, value) in [("version", version), ("precision", precision)] {
            if let Some(value) = value {
                fields = fields.text(name, value);
            }
        }
        fields = fields.text("prompt", prompt);
        if *is_retokenized {
            fields = fields.number("retokenized", 1);
        }
        let mut digits = fields.finish();
        digits.truncate(DIGITS);
        ProvenanceId::new(digits)
    }
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.engine)?;
        if let Some(version) = &self.version {
            write!(f, " {version}")?;
        }
        write!(f, " on {}", self.name)?;
        if let Some(precision) = &self.precision {
            write!(f, " in {precision}")?;
        }
        write!(f, ", prompt {}", self.prompt)?;
        if self.is_retokenized { f.write_str(", tokens made of its text") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provenance() -> Provenance {
        Provenance {
            engine: "vllm".to_owned(),
            name: "http://node-1:8000".to_owned(),
            version: Some("0.32.0".to_owned()),
            precision: Some("f32".to_owned()),
            prompt: "0123456789abcdef".to_owned(),
            is_retokenized: false,
        }
    }

    #[test]
    fn every_field_changes_the_name_and_the_name_never_changes() {
        let known = provenance();
        // stored in every trajectory: it may never change
        assert_eq!(known.id().as_str(), "ae796812cf3c889400eb454abd0734c8");
        let text = |text: &str| text.to_owned();
        for other in [
            Provenance { engine: text("sglang"), ..known.clone() },
            Provenance { name: text("http://node-2:8000"), ..known.clone() },
            Provenance { version: None, ..known.clone() },
            Provenance { precision: Some(text("bf16")), ..known.clone() },
            Provenance { prompt: text("0"), ..known.clone() },
            Provenance { is_retokenized: true, ..known.clone() },
        ] {
            assert_ne!(other.id(), known.id(), "{other}");
        }
    }
}
