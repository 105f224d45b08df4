//! Where `minijinja` is not Jinja2 as transformers sets it up: tests, filters, functions, and how values are printed.
//!
//! `tests/jinja2_values.rs` compares the two, expression by expression.

use std::borrow::Cow;

use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, State, Value, filters,
    value::{Kwargs, Rest, Tuple, ValueKind, ValueOrKwargs, from_args},
};

use super::{python_json, python_methods, python_percent, python_range, python_value, source};

/// Longest text that a filter pads to.
const MAX_WIDTH: usize = 1_000_000;

pub(super) fn install(environment: &mut Environment<'static>) {
    environment.set_formatter(|output, state, value| {
        if value.kind() == ValueKind::Invalid {
            return minijinja::escape_formatter(output, state, value);
        }
        if is_generator(value) {
            let message = "what a filter goes through has no text; put `| list` behind it";
            return Err(Error::new(ErrorKind::InvalidOperation, message));
        }
        let text = python_value::text(value);
        let is_escaped = !value.is_safe() && !matches!(state.auto_escape(), AutoEscape::None);
        output.write_str(&if is_escaped { escaped(&text) } else { text }).map_err(Error::from)
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
    let as_markup_of = python_value::as_markup_of;
    environment.add_filter("upper", move |value: &Value| as_markup_of(value, text(value).to_uppercase()));
    environment.add_filter("lower", move |value: &Value| as_markup_of(value, text(value).to_lowercase()));
    environment.add_filter("capitalize", move |value: &Value| as_markup_of(value, capitalized(&text(value))));
    environment.add_filter("title", move |value: &Value| filters::title(text(value).into()));
    environment.add_filter("trim", move |value: &Value, characters: Option<String>| {
        as_markup_of(value, trimmed(&text(value), characters.as_deref()))
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
    environment.add_filter("safe", move |value: &Value| Value::from_safe_string(text(value)));
    environment.add_filter("e", markup);
    environment.add_filter("escape", markup);
    environment
        .add_filter("forceescape", move |value: &Value| Value::from_safe_string(escaped(&text(value))));
    environment.add_filter("format", format);
    environment.add_filter("replace", replace);
    environment.add_filter("truncate", truncate);
    environment.add_filter("wordcount", move |value: &Value| word_count(&text(value)));
    environment.add_filter("striptags", minijinja_contrib::filters::striptags);
    environment.add_function("cycler", |items: Rest<Value>| minijinja_contrib::globals::cycler(items.0));
    environment.add_function("joiner", minijinja_contrib::globals::joiner);
    environment.add_function("range", python_range::range);
    environment.add_function("raise_exception", raise_exception);
    environment.add_filter(source::ITERATED, iterated);
    environment.add_filter(source::SHOWN, move |value: &Value| Value::from_safe_string(text(value)));
    environment.add_function(source::PRINTED, printed);
    go_through_once(environment);
}

/// Filters whose result Jinja2 goes through once: it has no length, no text and no JSON, and is true even when empty.
fn go_through_once(environment: &mut Environment<'static>) {
    environment.add_filter("map", |state: &mut State, values: Value, args: Rest<ValueOrKwargs>| {
        generator(&filters::map(state, values, args)?.into())
    });
    environment.add_filter(
        "select",
        |state: &mut State, values: Value, test: Option<Cow<'_, str>>, args: Rest<ValueOrKwargs>| {
            generator(&filters::select(state, values, test, args)?.into())
        },
    );
    environment.add_filter(
        "reject",
        |state: &mut State, values: Value, test: Option<Cow<'_, str>>, args: Rest<ValueOrKwargs>| {
            generator(&filters::reject(state, values, test, args)?.into())
        },
    );
    environment.add_filter(
        "selectattr",
        |state: &mut State,
         values: Value,
         name: Cow<'_, str>,
         test: Option<Cow<'_, str>>,
         args: Rest<ValueOrKwargs>| {
            generator(&filters::selectattr(state, values, name, test, args)?.into())
        },
    );
    environment.add_filter(
        "rejectattr",
        |state: &mut State,
         values: Value,
         name: Cow<'_, str>,
         test: Option<Cow<'_, str>>,
         args: Rest<ValueOrKwargs>| {
            generator(&filters::rejectattr(state, values, name, test, args)?.into())
        },
    );
    environment.add_filter("batch", |state: &State, values: Value, count: usize, filler: Option<Value>| {
        generator(&filters::batch(state, values, count, filler)?)
    });
    environment.add_filter("slice", |state: &State, values: Value, count: usize, filler: Option<Value>| {
        generator(&filters::slice(state, values, count, filler)?)
    });
    environment.add_filter("unique", |state: &State, values: Value, options: Kwargs| {
        generator(&filters::unique(state, values, options)?)
    });
    environment.add_filter("items", |map: &Value| generator(&filters::items(map)?));
    environment.add_filter("reverse", |values: &Value| {
        let reversed = filters::reverse(values)?;
        if reversed.kind() == ValueKind::String { Ok(reversed) } else { generator(&reversed) }
    });
}

/// The values, to be gone through once.
fn generator(values: &Value) -> Result<Value, Error> {
    let values: Vec<Value> = values.try_iter()?.checked().collect::<Result<_, _>>()?;
    Ok(Value::make_one_shot_iterator(values.into_iter()))
}

fn is_generator(value: &Value) -> bool {
    value.kind() == ValueKind::Iterable && value.len().is_none()
}

/// What a loop goes through; `none` is nothing that one could.
fn iterated(value: Value) -> Result<Value, Error> {
    if value.is_none() {
        return Err(Error::new(ErrorKind::InvalidOperation, "'NoneType' object is not iterable"));
    }
    // a loop knows how many there are
    if is_generator(&value) { value.try_iter()?.checked().collect() } else { Ok(value) }
}

/// Python's `%`: behind a text it formats values, behind a number it is the remainder.
#[expect(clippy::needless_pass_by_value, reason = "the signature of a function")]
fn printed(left: Value, right: Value) -> Result<Value, Error> {
    match left.as_str() {
        Some(format) => python_percent::printed(format, &right).map(Value::from),
        None => remainder(&left, &right),
    }
}

/// The remainder that has the sign of the divisor.
fn remainder(left: &Value, right: &Value) -> Result<Value, Error> {
    let refused = |message: String| Error::new(ErrorKind::InvalidOperation, message);
    let whole = |value: &Value| Some(value).filter(|value| value.is_integer()).cloned();
    if let (Some(left), Some(right)) = (whole(left), whole(right)) {
        let (left, right) = (i128::try_from(left)?, i128::try_from(right)?);
        let found = left.checked_rem(right).ok_or_else(|| refused("modulo by zero".to_owned()))?;
        return Ok(Value::from(if found != 0 && (found < 0) != (right < 0) { found + right } else { found }));
    }
    if [left, right].iter().any(|value| value.kind() != ValueKind::Number) {
        return Err(refused(format!(
            "{} % {} is neither a format nor a remainder",
            left.kind(),
            right.kind()
        )));
    }
    let (left, right) = (f64::try_from(left.clone())?, f64::try_from(right.clone())?);
    let found = left % right;
    Ok(Value::from(if found != 0.0 && (found < 0.0) != (right < 0.0) { found + right } else { found }))
}

/// The filter `format`: the values in order, or by name.
fn format(format: &Value, values: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let values = values.into_values();
    let (values, named): (&[Value], Kwargs) = from_args(&values)?;
    let names: Vec<&str> = named.args().collect();
    if !values.is_empty() && !names.is_empty() {
        let message = "can't handle positional and keyword arguments at the same time";
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    let values = if names.is_empty() {
        Value::from(Tuple::from(values.to_vec()))
    } else {
        let pair = |name: &&str| Ok(((*name).to_owned(), named.get::<Value>(name)?));
        Value::from_pairs(names.iter().map(pair).collect::<Result<Vec<_>, Error>>()?)
    };
    python_percent::printed(&python_value::text(format), &values)
}

#[expect(clippy::needless_pass_by_value, reason = "the signature of a filter")]
fn replace(
    value: &Value,
    old: &str,
    new: &str,
    most: Option<usize>,
    options: Kwargs,
) -> Result<String, Error> {
    let most = most.or(options.get("count")?);
    options.assert_all_used()?;
    let text = python_value::text(value);
    Ok(most.map_or_else(|| text.replace(old, new), |most| text.replacen(old, new, most)))
}

/// As markup, in which nothing is escaped again.
fn markup(value: &Value) -> Value {
    if value.is_safe() {
        return value.clone();
    }
    Value::from_safe_string(escaped(&python_value::text(value)))
}

/// As markupsafe escapes.
fn escaped(text: &str) -> String {
    let mut output = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => output.push_str("&amp;"),
            '<' => output.push_str("&lt;"),
            '>' => output.push_str("&gt;"),
            '\'' => output.push_str("&#39;"),
            '"' => output.push_str("&#34;"),
            _ => output.push(character),
        }
    }
    output
}

/// What Python's `iter` takes.
fn is_iterable(value: &Value) -> bool {
    !value.is_none() && value.try_iter().is_ok()
}

/// What has a length and items by index or key, in Python.
fn is_sequence(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Undefined | ValueKind::String | ValueKind::Seq | ValueKind::Map)
        || python_value::is_list(value)
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
    Ok(filters::int(state, &value, default, base, options).unwrap_or(or))
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

fn truncate(text: &str, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    type Arguments = (Option<usize>, Option<bool>, Option<String>, Option<usize>, Kwargs);
    let args = args.into_values();
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
