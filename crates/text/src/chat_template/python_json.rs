//! JSON as Python's `json.dumps` writes it: `", "` and `": "` between, optional indent and ASCII escapes.

use std::fmt::Write as _;

use minijinja::{Error, ErrorKind, Value, value::ValueKind};

use super::python_value;

/// The keyword arguments of `json.dumps` that templates use.
#[derive(Debug, Clone)]
pub(super) struct Style {
    pub(super) ascii: bool,
    pub(super) indent: Option<usize>,
    pub(super) sort_keys: bool,
    pub(super) item_separator: String,
    pub(super) key_separator: String,
}

/// # Errors
/// Of what Python has no JSON for: something undefined, a function, an iterator.
pub(super) fn write(value: &Value, style: &Style) -> Result<String, Error> {
    let mut output = String::new();
    write_value(value, style, 0, &mut output)?;
    Ok(output)
}

fn write_value(value: &Value, style: &Style, depth: usize, output: &mut String) -> Result<(), Error> {
    match value.kind() {
        ValueKind::String => write_string(value.as_str().unwrap_or_default(), style.ascii, output),
        ValueKind::None | ValueKind::Bool | ValueKind::Number => output.push_str(&scalar(value)),
        _ if python_value::is_list(value) => {
            let items = python_value::items(value);
            output.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(index, style, depth + 1, output);
                write_value(item, style, depth + 1, output)?;
            }
            if !items.is_empty() {
                break_line(style, depth, output);
            }
            output.push(']');
        }
        ValueKind::Map => {
            let mut entries = Vec::new();
            for key in python_value::items(value) {
                let item = value.get_item(&key)?;
                entries.push((name(&key)?, item));
            }
            if style.sort_keys {
                entries.sort_by(|(one, _), (other, _)| one.cmp(other));
            }
            output.push('{');
            for (index, (key, item)) in entries.iter().enumerate() {
                separate(index, style, depth + 1, output);
                write_string(key, style.ascii, output);
                output.push_str(&style.key_separator);
                write_value(item, style, depth + 1, output)?;
            }
            if !entries.is_empty() {
                break_line(style, depth, output);
            }
            output.push('}');
        }
        other => {
            let message = format!("a value that is {other} cannot be written as JSON");
            return Err(Error::new(ErrorKind::InvalidOperation, message));
        }
    }
    Ok(())
}

/// `null`, a truth value or a number.
fn scalar(value: &Value) -> String {
    match (value.kind(), python_value::text(value).as_str()) {
        (ValueKind::None, _) => "null".to_owned(),
        (ValueKind::Bool, _) => value.is_true().to_string(),
        (_, "nan") => "NaN".to_owned(),
        (_, "inf") => "Infinity".to_owned(),
        (_, "-inf") => "-Infinity".to_owned(),
        (_, number) => number.to_owned(),
    }
}

/// A key, which is text or a scalar.
fn name(key: &Value) -> Result<String, Error> {
    match key.kind() {
        ValueKind::String => Ok(key.as_str().unwrap_or_default().to_owned()),
        ValueKind::None | ValueKind::Bool | ValueKind::Number => Ok(scalar(key)),
        other => {
            let message = format!("a key that is {other} cannot be written as JSON");
            Err(Error::new(ErrorKind::InvalidOperation, message))
        }
    }
}

fn separate(index: usize, style: &Style, depth: usize, output: &mut String) {
    if index > 0 {
        output.push_str(&style.item_separator);
    }
    break_line(style, depth, output);
}

fn break_line(style: &Style, depth: usize, output: &mut String) {
    if let Some(indent) = style.indent {
        output.push('\n');
        output.extend(std::iter::repeat_n(' ', indent * depth));
    }
}

fn write_string(text: &str, ascii: bool, output: &mut String) {
    output.push('"');
    for character in text.chars() {
        match character {
            '"' => output.push_str("\\\""),
            '\\' => output.push_str("\\\\"),
            '\n' => output.push_str("\\n"),
            '\r' => output.push_str("\\r"),
            '\t' => output.push_str("\\t"),
            '\u{8}' => output.push_str("\\b"),
            '\u{c}' => output.push_str("\\f"),
            character if character < ' ' || (ascii && !(' '..='~').contains(&character)) => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    // writing to a string cannot fail
                    let _ = write!(output, "\\u{unit:04x}");
                }
            }
            character => output.push(character),
        }
    }
    output.push('"');
}
