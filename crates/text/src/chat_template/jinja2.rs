//! Where `minijinja` is not Jinja2 as transformers sets it up: tests, filters, functions, and how values are printed.
//!
//! `tests/jinja2_values.rs` compares the two, expression by expression.

use minijinja::{
    Environment, Error, ErrorKind, State, Value,
    formatting::FormatStyle,
    value::{Kwargs, Rest, ValueKind, from_args},
};

use super::{python_json, python_methods, python_value, source};

/// Longest text that a filter pads to.
const MAX_WIDTH: usize = 1_000_000;

pub(super) fn install(environment: &mut Environment<'static>) {
    environment.set_formatter(|output, state, value| {
        if value.kind() == ValueKind::Invalid {
            return minijinja::escape_formatter(output, state, value);
        }
        output.write_str(&python_value::text(value)).map_err(Error::from)
    });
    environment.set_unknown_method_callback(python_methods::call);
    environment.add_test("iterable", is_iterable);
    environment.add_test("sequence", is_sequence);
    environment.add_test("callable", |value: &Value| value.kind() == ValueKind::Plain);
    environment.add_filter("tojson", to_json);
    environment.add_filter("string", |value: &Value| python_value::text(value));
    environment.add_filter("int", int);
    environment.add_filter("float", float);
    // filters of text take the text of any value
    let text = python_value::text;
    environment.add_filter("upper", move |value: &Value| text(value).to_uppercase());
    environment.add_filter("lower", move |value: &Value| text(value).to_lowercase());
    environment.add_filter("capitalize", move |value: &Value| capitalized(&text(value)));
    environment.add_filter("title", move |value: &Value| minijinja::filters::title(text(value).into()));
    environment.add_filter("trim", move |value: &Value, characters: Option<String>| {
        trimmed(&text(value), characters.as_deref())
    });
    environment.add_filter("center", move |value: &Value, width: Option<usize>| {
        center(&text(value), width.unwrap_or(80))
    });
    environment.add_test("lower", move |value: &Value| {
        has_case(&text(value), char::is_lowercase, char::is_uppercase)
    });
    environment.add_test("upper", move |value: &Value| {
        has_case(&text(value), char::is_uppercase, char::is_lowercase)
    });
    environment.add_filter("truncate", truncate);
    environment.add_filter("wordcount", move |value: &Value| word_count(&text(value)));
    environment.add_filter("striptags", minijinja_contrib::filters::striptags);
    environment.add_function("cycler", |items: Rest<Value>| minijinja_contrib::globals::cycler(items.0));
    environment.add_function("joiner", minijinja_contrib::globals::joiner);
    environment.add_function("raise_exception", raise_exception);
    environment.add_filter(source::ITERATED, iterated);
    environment.add_function(source::PRINTED, printed);
}

/// What a loop goes through; `none` is nothing that one could.
fn iterated(value: Value) -> Result<Value, Error> {
    if value.is_none() {
        return Err(Error::new(ErrorKind::InvalidOperation, "'NoneType' object is not iterable"));
    }
    Ok(value)
}

/// Python's `%` behind a text: the values of a tuple, those of a mapping by name, or a single one. Of numbers it is the
/// remainder, should the text turn out to be one.
#[expect(clippy::needless_pass_by_value, reason = "the signature of a function")]
fn printed(format: Value, values: Value) -> Result<String, Error> {
    let Some(format) = format.as_str() else {
        let message = format!("{} is no text to format by `%`", format.kind());
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    };
    let shown = |value: &Value| match value.kind() {
        ValueKind::Number | ValueKind::Bool | ValueKind::String => value.clone(),
        _ => Value::from(python_value::text(value)),
    };
    let values: Vec<Value> = match values.kind() {
        ValueKind::Map => vec![values.clone()],
        _ if values.is_tuple() => python_value::items(&values).iter().map(shown).collect(),
        _ => vec![shown(&values)],
    };
    minijinja::formatting::format(FormatStyle::Printf, format, &values)
}

/// What Python's `iter` takes.
fn is_iterable(value: &Value) -> bool {
    !value.is_none() && value.try_iter().is_ok()
}

/// What has a length and items by index or key, in Python.
fn is_sequence(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Undefined | ValueKind::String | ValueKind::Seq | ValueKind::Map)
}

fn raise_exception(message: String) -> Result<String, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

#[expect(clippy::needless_pass_by_value, reason = "the signature of a filter")]
fn to_json(value: &Value, options: Kwargs) -> Result<String, Error> {
    let ascii: Option<bool> = options.get("ensure_ascii")?;
    let indent: Option<usize> = options.get("indent")?;
    let sort: Option<bool> = options.get("sort_keys")?;
    let separators: Option<Vec<String>> = options.get("separators")?;
    options.assert_all_used()?;
    let (item, key) = match separators.as_deref() {
        Some([item, key]) => (Some(item.clone()), Some(key.clone())),
        _ => (None, None),
    };
    let style = python_json::Style {
        ascii: ascii.unwrap_or(false),
        indent,
        sort_keys: sort.unwrap_or(false),
        item_separator: item.unwrap_or_else(|| if indent.is_some() { "," } else { ", " }.to_owned()),
        key_separator: key.unwrap_or_else(|| ": ".to_owned()),
    };
    python_json::write(value, &style)
}

/// What is no number is the default, 0 unless another is given.
fn int(
    state: &State,
    value: &Value,
    default: Option<Value>,
    base: Option<u32>,
    options: Kwargs,
) -> Result<Value, Error> {
    let or = match &default {
        Some(default) => default.clone(),
        None => options.get::<Option<Value>>("default")?.unwrap_or_else(|| Value::from(0)),
    };
    let text = value.as_str().map(|text| text.trim().replace('_', ""));
    let value = text.map_or_else(|| value.clone(), Value::from);
    Ok(minijinja::filters::int(state, &value, default, base, options).unwrap_or(or))
}

/// What is no number is the default, 0.0 unless another is given.
fn float(value: &Value, default: Option<Value>) -> Value {
    let or = || default.unwrap_or_else(|| Value::from(0.0));
    let parsed = match value.as_str() {
        Some(text) => text.trim().replace('_', "").parse().ok(),
        None if value.kind() == ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        None => f64::try_from(value.clone()).ok().filter(|_| !value.is_none() && !value.is_undefined()),
    };
    parsed.map_or_else(or, Value::from)
}

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    let first: String = characters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    first + &characters.as_str().to_lowercase()
}

/// Without white space at both ends, or without those characters.
fn trimmed(text: &str, characters: Option<&str>) -> String {
    match characters {
        Some(characters) => text.trim_matches(|one: char| characters.contains(one)).to_owned(),
        None => text.trim().to_owned(),
    }
}

/// Whether a text has letters of one case and none of the other.
fn has_case(text: &str, one: fn(char) -> bool, other: fn(char) -> bool) -> bool {
    text.chars().any(one) && !text.chars().any(other)
}

/// As Python's `str.center`: an odd blank goes to the left of an odd width.
pub(super) fn center(text: &str, width: usize) -> Result<String, Error> {
    let missing = checked(width)?.saturating_sub(text.chars().count());
    let left = missing / 2 + (missing & width & 1);
    Ok(format!("{}{text}{}", " ".repeat(left), " ".repeat(missing - left)))
}

/// A width that memory need not be feared for.
pub(super) fn checked(width: usize) -> Result<usize, Error> {
    if width > MAX_WIDTH {
        let message = format!("a text is padded to {width} characters, {MAX_WIDTH} at most");
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    Ok(width)
}

#[expect(clippy::needless_pass_by_value, reason = "the signature of a filter")]
fn truncate(text: &str, args: Rest<Value>) -> Result<String, Error> {
    type Arguments = (Option<usize>, Option<bool>, Option<String>, Option<usize>, Kwargs);
    let (length, cuts_words, end, leeway, options): Arguments = from_args(&args)?;
    let length = length.or(options.get("length")?).unwrap_or(255);
    let cuts_words = cuts_words.or(options.get("killwords")?).unwrap_or(false);
    let end = end.or(options.get("end")?).unwrap_or_else(|| "...".to_owned());
    let leeway = leeway.or(options.get("leeway")?).unwrap_or(5);
    options.assert_all_used()?;
    let end_length = end.chars().count();
    if length < end_length {
        let message = format!("expected length >= {end_length}, got {length}");
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    if text.chars().count() <= length + leeway {
        return Ok(text.to_owned());
    }
    let kept: String = text.chars().take(length - end_length).collect();
    let kept = match kept.rsplit_once(' ') {
        Some((whole_words, _)) if !cuts_words => whole_words,
        _ => &kept,
    };
    Ok(format!("{kept}{end}"))
}

/// Runs of letters, digits and underscores.
fn word_count(text: &str) -> usize {
    text.split(|character: char| !character.is_alphanumeric() && character != '_')
        .filter(|word| !word.is_empty())
        .count()
}
