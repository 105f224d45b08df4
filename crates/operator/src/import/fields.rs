//! Fields of a line, under the names that data sets give them.

use serde_json::{Map, Value};
use still_control::LineProblem;

/// Of a value, a message shows so many characters.
const SHOWN_CHARACTERS: usize = 80;
/// Of a line's fields, a message names so many.
const SHOWN_FIELDS: usize = 20;
/// Longest name of a record, in bytes.
const MAX_NAME_BYTES: usize = 200;
/// The highest level.
const MAX_LEVEL: f64 = 255.0;

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

/// The fields of a line. Names are found whatever their case, and with `_` for blanks and hyphens.
#[derive(Debug, Clone)]
pub(super) struct Fields {
    map: Map<String, Value>,
}

impl Fields {
    /// The fields of an object.
    pub(super) const fn new(map: Map<String, Value>) -> Self {
        Self { map }
    }

    /// The first field of `names` that is there, with the name that it has on the line; `null` counts as absent, as
    /// do an empty list and an empty object.
    pub(super) fn first(&self, names: &[&str]) -> Option<(&str, &Value)> {
        names.iter().find_map(|name| self.get(name))
    }

    /// One field, as [`Fields::first`] finds it.
    pub(super) fn get(&self, name: &str) -> Option<(&str, &Value)> {
        self.written(name).filter(|(_, value)| !is_absent(value))
    }

    /// One field as it is written, empty or not.
    pub(super) fn written(&self, name: &str) -> Option<(&str, &Value)> {
        let exact = self.map.get_key_value(name);
        let found = exact.or_else(|| self.map.iter().find(|(own, _)| is_spelt(own, name)));
        found.map(|(own, value)| (own.as_str(), value))
    }

    /// The text of the first field of `names` that is there; it must not be blank.
    pub(super) fn text(&self, names: &[&str]) -> Result<Option<(&str, &str)>, FieldProblem> {
        let Some((name, value)) = self.first(names) else { return Ok(None) };
        match value {
            Value::String(text) if text.trim().is_empty() => {
                Err(FieldProblem::new(name, "is empty", "fill it, or remove the line"))
            }
            Value::String(text) => Ok(Some((name, text))),
            other => Err(FieldProblem::new(name, format!("is {}, not text", kind(other)), "write text")),
        }
    }

    /// Nothing of `names` is there: what is missing, what may be added, and what the line does hold.
    pub(super) fn missing(&self, names: &[&str], what: &str) -> FieldProblem {
        let first = names.first().copied().unwrap_or_default();
        let known = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        FieldProblem::new(first, format!("{what} is missing"), format!("add one of {known}{}", self.found()))
    }

    /// `; found: ...`, the fields that the line holds.
    pub(super) fn found(&self) -> String {
        let mut names: Vec<_> = self.map.keys().take(SHOWN_FIELDS).map(|name| shown(name)).collect();
        if self.map.len() > SHOWN_FIELDS {
            names.push(format!("{} more", self.map.len() - SHOWN_FIELDS));
        }
        if names.is_empty() {
            "; the line holds no field".to_owned()
        } else {
            format!("; found: {}", names.join(", "))
        }
    }

    /// Refuses fields that mean something elsewhere and nothing here.
    pub(super) fn refuse(&self, refused: &[Refused]) -> Result<(), FieldProblem> {
        for Refused { names, reason, remedy } in refused {
            if let Some((name, _)) = self.first(names) {
                return Err(FieldProblem::new(name, *reason, *remedy));
            }
        }
        Ok(())
    }

    /// The record's own name, where it has one.
    pub(super) fn name(&self) -> Result<Option<String>, FieldProblem> {
        const NAMES: [&str; 4] = ["id", "unique_id", "problem_id", "uid"];
        let Some((field, value)) = self.first(&NAMES) else { return Ok(None) };
        let name = match value {
            Value::Number(number) => number.to_string(),
            _ => self.text(&NAMES)?.map(|(_, text)| text.trim().to_owned()).unwrap_or_default(),
        };
        if name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
            let reason = format!("is no name: `{}`", shown(&name.replace(char::is_control, "?")));
            let remedy = format!("write at most {MAX_NAME_BYTES} bytes on one line, or leave the field out");
            return Err(FieldProblem::new(field, reason, remedy));
        }
        Ok(Some(name))
    }

    /// The difficulty: a small number, or a text that ends in one (`Level 5`). What it is made of where it is not
    /// what stands there.
    pub(super) fn level(&self) -> (Option<u8>, Option<String>) {
        let Some((name, value)) = self.first(&["level", "difficulty"]) else { return (None, None) };
        let remark = |taken: &str| format!("`{name}` is {}: {taken}", shown(&value.to_string()));
        let number = match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.parse().ok().or_else(|| {
                text.rsplit(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok())
            }),
            _ => None,
        };
        match number {
            Some(number) if (0.0..=MAX_LEVEL).contains(&number) && number.fract() == 0.0 => {
                (Some(number as u8), None)
            }
            Some(number) if (0.0..=MAX_LEVEL).contains(&number) => {
                let level = number.round() as u8;
                (Some(level), Some(remark(&format!("rounded to level {level}"))))
            }
            _ => (None, Some(remark("no number from 0 to 255, and left out"))),
        }
    }
}

/// Fields that mean something elsewhere and nothing here.
pub(super) struct Refused {
    /// Their names.
    pub(super) names: &'static [&'static str],
    /// What they mean.
    pub(super) reason: &'static str,
    /// What helps.
    pub(super) remedy: &'static str,
}

fn is_spelt(own: &str, name: &str) -> bool {
    own.len() == name.len()
        && own.bytes().zip(name.bytes()).all(|(own, name)| match own {
            b' ' | b'-' => name == b'_',
            own => own.eq_ignore_ascii_case(&name),
        })
}

fn is_absent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        let Value::Object(map) = value else { panic!("no object") };
        Fields::new(map)
    }

    #[test]
    fn a_field_is_found_whatever_its_case_and_told_as_it_is_spelt() {
        let line = fields(json!({"Correct Answer": "7", "tags": [], "note": null}));
        assert_eq!(line.first(&["answer", "correct_answer"]), Some(("Correct Answer", &json!("7"))));
        assert!(line.first(&["tags", "note"]).is_none(), "what is empty is absent");
        let missing = line.missing(&["problem"], "the statement").at(3).to_string();
        assert!(missing.contains("found: Correct Answer, tags, note"), "{missing}");
    }

    #[test]
    fn a_level_that_is_not_what_stands_there_is_told() {
        for (value, level, told) in [
            (json!(5), Some(5), None),
            (json!(5.0), Some(5), None),
            (json!("Level 5"), Some(5), None),
            (json!(7.5), Some(8), Some("rounded to level 8")),
            (json!("7.5"), Some(8), Some("rounded")),
            (json!("hard"), None, Some("left out")),
            (json!(300), None, Some("left out")),
            (json!(-1), None, Some("left out")),
        ] {
            let (found, remark) = fields(json!({ "level": value })).level();
            assert_eq!(found, level, "{value}");
            assert_eq!(remark.is_some(), told.is_some(), "{value}");
            assert!(told.is_none_or(|told| remark.unwrap().contains(told)), "{value}");
        }
    }

    #[test]
    fn a_name_is_short_and_on_one_line() {
        assert_eq!(fields(json!({"id": " a b#2 "})).name().unwrap().as_deref(), Some("a b#2"));
        for id in [json!("a\nb"), json!("x".repeat(201)), json!(" "), json!([1])] {
            assert!(fields(json!({ "id": id })).name().is_err(), "{id}");
        }
    }
}
