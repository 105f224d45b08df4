//! JSON as Python's `json.dumps` writes it: `", "` and `": "` between, optional indent and ASCII escapes.

use std::fmt::Write as _;

use serde_json::Value;

/// The keyword arguments of `json.dumps` that templates use.
#[derive(Debug, Clone)]
pub(super) struct Style {
    pub(super) ascii: bool,
    pub(super) indent: Option<usize>,
    pub(super) sort_keys: bool,
    pub(super) item_separator: String,
    pub(super) key_separator: String,
}

pub(super) fn write(value: &Value, style: &Style) -> String {
    let mut output = String::new();
    write_value(value, style, 0, &mut output);
    output
}

fn write_value(value: &Value, style: &Style, depth: usize, output: &mut String) {
    match value {
        Value::String(text) => write_string(text, style.ascii, output),
        Value::Array(items) if !items.is_empty() => {
            output.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(index, style, depth + 1, output);
                write_value(item, style, depth + 1, output);
            }
            break_line(style, depth, output);
            output.push(']');
        }
        Value::Object(map) if !map.is_empty() => {
            output.push('{');
            let mut entries: Vec<_> = map.iter().collect();
            if style.sort_keys {
                entries.sort_by_key(|(key, _)| *key);
            }
            for (index, (key, item)) in entries.into_iter().enumerate() {
                separate(index, style, depth + 1, output);
                write_string(key, style.ascii, output);
                output.push_str(&style.key_separator);
                write_value(item, style, depth + 1, output);
            }
            break_line(style, depth, output);
            output.push('}');
        }
        other => output.push_str(&other.to_string()),
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
