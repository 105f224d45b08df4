//! Values as Python writes them: `str()` for what a template prints, `repr()` for what lies within a list or a mapping.

use minijinja::{Value, value::ValueKind};

/// A text that was made of another value: markup where that is markup.
pub(super) fn as_markup_of(value: &Value, text: String) -> Value {
    if value.is_safe() { Value::from_safe_string(text) } else { Value::from(text) }
}

/// What `str()` of a value gives.
pub(super) fn text(value: &Value) -> String {
    match value.kind() {
        ValueKind::Number => number(value),
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => repr(value),
        _ => value.to_string(),
    }
}

/// What `repr()` of a value gives.
pub(super) fn repr(value: &Value) -> String {
    match value.kind() {
        ValueKind::Number => number(value),
        ValueKind::Undefined => "Undefined".to_owned(),
        ValueKind::String => quoted(value.as_str().unwrap_or_default()),
        _ if is_list(value) => {
            let items: Vec<String> = items(value).iter().map(repr).collect();
            match (value.is_tuple(), items.as_slice()) {
                (true, [only]) => format!("({only},)"),
                (true, _) => format!("({})", items.join(", ")),
                (false, _) => format!("[{}]", items.join(", ")),
            }
        }
        ValueKind::Map if is_plain(value) => {
            let entry = |key: &Value| {
                let item = value.get_item(key).unwrap_or_default();
                format!("{}: {}", repr(key), repr(&item))
            };
            let entries: Vec<String> = items(value).iter().map(entry).collect();
            format!("{{{}}}", entries.join(", "))
        }
        _ => format!("{value:?}"),
    }
}

/// What `ascii()` of a value gives.
pub(super) fn ascii(value: &Value) -> String {
    let mut output = String::new();
    for character in repr(value).chars() {
        if character.is_ascii() {
            output.push(character);
        } else {
            output.push_str(&escaped(character));
        }
    }
    output
}

/// In single quotes, or in double ones where there are single ones and no double ones within.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut output = String::from(quote);
    for character in text.chars() {
        match character {
            '\n' => output.push_str("\\n"),
            '\r' => output.push_str("\\r"),
            '\t' => output.push_str("\\t"),
            '\\' => output.push_str("\\\\"),
            _ if character == quote => output.extend(['\\', quote]),
            _ if is_printable(character) => output.push(character),
            _ => output.push_str(&escaped(character)),
        }
    }
    output.push(quote);
    output
}

/// As `str.isprintable` has it: no control and no white space but the blank.
fn is_printable(character: char) -> bool {
    // behind a letter only what cannot be printed is escaped; alone, an accent would be, too
    let behind_a_letter = format!("a{character}");
    matches!(character, '"' | '\'' | '\\') || behind_a_letter.escape_debug().nth(1) == Some(character)
}

fn escaped(character: char) -> String {
    match u32::from(character) {
        code @ 0..=0xff => format!("\\x{code:02x}"),
        code @ 0x100..=0xffff => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    }
}

/// Whether a value is a list or a tuple of data, as two lists in one are; what goes through values once, and other
/// objects, write themselves.
pub(super) fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable) && is_plain(value)
}

/// Whether a list or mapping is one of data: other objects (namespaces, loops) write themselves.
fn is_plain(value: &Value) -> bool {
    let shown = value.to_string();
    shown.starts_with(['[', '(', '{'])
}

/// The items of a list, the keys of a mapping.
pub(super) fn items(value: &Value) -> Vec<Value> {
    value.try_iter().map(Iterator::collect).unwrap_or_default()
}

fn number(value: &Value) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    f64::try_from(value.clone()).map_or_else(|_| value.to_string(), float)
}

/// A float as Python writes it: the shortest digits that give it again, with an exponent below 1e-4 and from 1e16 on.
pub(super) fn float(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((scientific.as_str(), "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value == 0.0 || (-4..16).contains(&exponent) {
        let fixed = value.to_string();
        return if fixed.contains('.') { fixed } else { fixed + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_python_writes_them() {
        for (value, written) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1e-5, "1e-05"),
            (1e-7, "1e-07"),
            (0.0001, "0.0001"),
            (1.5e-5, "1.5e-05"),
            (3.0, "3.0"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.25e22, "1.25e+22"),
            (5e-324, "5e-324"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(float(value), written);
        }
    }
}
