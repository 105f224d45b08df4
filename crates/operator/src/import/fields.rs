//! Fields of a line, under the names that data sets give them.

use serde_json::{Map, Value};
use still_control::LineProblem;

/// Of a value, a message shows so many characters.
const SHOWN_CHARACTERS: usize = 80;

/// The start of a value, as messages show it.
pub(super) fn shown(value: &str) -> String {
    let mut characters = value.chars();
    let mut shown: String = characters.by_ref().take(SHOWN_CHARACTERS).collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// What is wrong with a field, before its line is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldProblem {
    field: Option<String>,
    reason: String,
    remedy: String,
}

impl FieldProblem {
    /// A field is wrong.
    pub(super) fn new(field: &str, reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { field: Some(field.to_owned()), reason: reason.into(), remedy: remedy.into() }
    }

    /// The line as a whole is wrong.
    pub(super) fn whole(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { field: None, reason: reason.into(), remedy: remedy.into() }
    }

    /// The problem with its line.
    pub(super) fn at(self, line: u64) -> LineProblem {
        LineProblem { line, field: self.field, reason: self.reason, remedy: self.remedy }
    }
}

/// The first field of `names` that is there, with its name; `null` counts as absent.
pub(super) fn first<'fields>(
    fields: &'fields Map<String, Value>,
    names: &[&'static str],
) -> Option<(&'static str, &'fields Value)> {
    names
        .iter()
        .find_map(|name| fields.get(*name).filter(|value| !value.is_null()).map(|value| (*name, value)))
}

/// The text of the first field of `names` that is there; it must not be blank.
pub(super) fn text<'fields>(
    fields: &'fields Map<String, Value>,
    names: &[&'static str],
) -> Result<Option<(&'static str, &'fields str)>, FieldProblem> {
    let Some((name, value)) = first(fields, names) else { return Ok(None) };
    match value {
        Value::String(text) if text.trim().is_empty() => {
            Err(FieldProblem::new(name, "is empty", "fill it, or remove the line"))
        }
        Value::String(text) => Ok(Some((name, text))),
        other => Err(FieldProblem::new(name, format!("is {}, not text", kind(other)), "write it in quotes")),
    }
}

/// The text of the first field of `names`; one of them must be there.
pub(super) fn required_text<'fields>(
    fields: &'fields Map<String, Value>,
    names: &[&'static str],
    what: &str,
) -> Result<&'fields str, FieldProblem> {
    if let Some((_, text)) = text(fields, names)? {
        return Ok(text);
    }
    let first = names.first().copied().unwrap_or_default();
    let known = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    Err(FieldProblem::new(first, format!("{what} is missing"), format!("add one of {known}")))
}

/// The record's own name, where it has one.
pub(super) fn name(fields: &Map<String, Value>) -> Result<Option<String>, FieldProblem> {
    const NAMES: [&str; 4] = ["id", "unique_id", "problem_id", "uid"];
    match first(fields, &NAMES) {
        Some((_, Value::Number(number))) => Ok(Some(number.to_string())),
        Some(_) => Ok(text(fields, &NAMES)?.map(|(_, text)| text.trim().to_owned())),
        None => Ok(None),
    }
}

/// The difficulty: a small number, or a text that ends in one (`Level 5`); other shapes are passed over.
pub(super) fn level(fields: &Map<String, Value>) -> Option<u8> {
    match first(fields, &["level", "difficulty"])?.1 {
        Value::Number(number) => {
            let number = number.as_f64()?;
            (0.0..=255.0).contains(&number).then(|| number.round() as u8)
        }
        Value::String(text) => text.rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok(),
        _ => None,
    }
}

/// A name made from texts: the same texts give the same name.
pub(super) fn hashed_name(prefix: &str, texts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for text in texts {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    let hash = hasher.finalize().to_hex();
    format!("{prefix}-{}", hash.get(..16).unwrap_or(&hash))
}

/// What a value is, for people.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
