//! Methods of Python's `str`, `list` and `dict` that `minijinja_contrib` lacks or has otherwise.

use std::{fmt, sync::Arc};

use minijinja::{
    Error, ErrorKind, State, Value,
    value::{Enumerator, Object, ObjectRepr, Tuple, ValueKind, from_args},
};

use super::{jinja2, python_value};

pub(super) fn call(state: &mut State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let own = match value.kind() {
        ValueKind::String => of_text(value.as_str().unwrap_or_default(), method, args),
        _ if method == "index" && python_value::is_list(value) => Some(index_of_item(value, args)),
        ValueKind::Map if View::of(method).is_some() => {
            View::of(method).map(|view| from_args(args).map(|()| view.of_map(value)))
        }
        ValueKind::Seq | ValueKind::Map if method == "copy" => Some(from_args(args).map(|()| value.clone())),
        _ => None,
    };
    let found = own.unwrap_or_else(|| {
        minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args)
    })?;
    Ok(match found.as_str() {
        Some(text) => python_value::as_markup_of(value, text.to_owned()),
        None => found,
    })
}

/// What `dict.keys`, `dict.values` and `dict.items` give: something to go through that prints itself by its name.
#[derive(Debug)]
struct DictView {
    name: &'static str,
    items: Vec<Value>,
}

impl Object for DictView {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.items.clone())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items: Vec<String> = self.items.iter().map(python_value::repr).collect();
        write!(f, "{}([{}])", self.name, items.join(", "))
    }
}

/// Which part of a mapping.
#[derive(Clone, Copy)]
enum View {
    Keys,
    Values,
    Items,
}

impl View {
    fn of(method: &str) -> Option<Self> {
        match method {
            "keys" => Some(Self::Keys),
            "values" => Some(Self::Values),
            "items" => Some(Self::Items),
            _ => None,
        }
    }

    fn of_map(self, map: &Value) -> Value {
        let keys = python_value::items(map);
        let item = |key: &Value| map.get_item(key).unwrap_or_default();
        let (name, items) = match self {
            Self::Keys => ("dict_keys", keys),
            Self::Values => ("dict_values", keys.iter().map(item).collect()),
            Self::Items => {
                let pair = |key: &Value| Value::from(Tuple::from([key.clone(), item(key)]));
                ("dict_items", keys.iter().map(pair).collect())
            }
        };
        Value::from_object(DictView { name, items })
    }
}

/// `None` where the method is not one of these.
fn of_text(text: &str, method: &str, args: &[Value]) -> Option<Result<Value, Error>> {
    Some(match method {
        "split" => split(text, args, false),
        "rsplit" => split(text, args, true),
        "index" => from_args(args).and_then(|(part,): (&str,)| found(text, text.find(part), "substring")),
        "rindex" => from_args(args).and_then(|(part,): (&str,)| found(text, text.rfind(part), "substring")),
        "join" => from_args(args).and_then(|(items,): (&Value,)| join(text, items)),
        "zfill" => from_args(args).and_then(|(width,): (usize,)| zero_filled(text, width)),
        "ljust" => padded(text, args, |text, padding| format!("{text}{padding}")),
        "rjust" => padded(text, args, |text, padding| format!("{padding}{text}")),
        "center" => {
            from_args(args).and_then(|(width,): (usize,)| jinja2::center(text, width)).map(Value::from)
        }
        "removeprefix" => {
            from_args(args).map(|(part,): (&str,)| Value::from(text.strip_prefix(part).unwrap_or(text)))
        }
        "removesuffix" => {
            from_args(args).map(|(part,): (&str,)| Value::from(text.strip_suffix(part).unwrap_or(text)))
        }
        "partition" => from_args(args).map(|(part,): (&str,)| match text.split_once(part) {
            Some((before, after)) => three(before, part, after),
            None => three(text, "", ""),
        }),
        "rpartition" => from_args(args).map(|(part,): (&str,)| match text.rsplit_once(part) {
            Some((before, after)) => three(before, part, after),
            None => three("", "", text),
        }),
        "swapcase" => from_args(args).map(|()| Value::from(swapped(text))),
        "casefold" => from_args(args).map(|()| Value::from(text.to_lowercase())),
        "isdigit" | "isdecimal" | "isnumeric" => {
            from_args(args).map(|()| Value::from(!text.is_empty() && text.chars().all(char::is_numeric)))
        }
        _ => return None,
    })
}

/// `str.split` and `str.rsplit`: without a separator, at runs of white space.
fn split(text: &str, args: &[Value], from_the_end: bool) -> Result<Value, Error> {
    let (args, options): (&[Value], minijinja::value::Kwargs) = from_args(args)?;
    let (separator, most): (Option<&Value>, Option<i64>) = from_args(args)?;
    let separator: Option<String> = match separator {
        Some(separator) if !separator.is_none() => Some(String::from(separator.as_str().unwrap_or_default())),
        Some(_) => None,
        None => options.get("sep")?,
    };
    let most = most.or(options.get("maxsplit")?).and_then(|most| usize::try_from(most).ok());
    options.assert_all_used()?;
    let parts: Vec<&str> = match &separator {
        Some(separator) if separator.is_empty() => {
            return Err(Error::new(ErrorKind::InvalidOperation, "empty separator"));
        }
        Some(separator) => match (most, from_the_end) {
            (None, _) => text.split(separator.as_str()).collect(),
            (Some(most), false) => text.splitn(most.saturating_add(1), separator.as_str()).collect(),
            (Some(most), true) => {
                let mut parts: Vec<_> = text.rsplitn(most.saturating_add(1), separator.as_str()).collect();
                parts.reverse();
                parts
            }
        },
        None => words(text, most, from_the_end),
    };
    Ok(parts.into_iter().map(Value::from).collect())
}

/// Text between runs of white space, cut at most so often.
fn words(text: &str, most: Option<usize>, from_the_end: bool) -> Vec<&str> {
    let Some(most) = most else { return text.split_whitespace().collect() };
    let mut parts = Vec::new();
    let mut rest = text.trim();
    while parts.len() < most && !rest.is_empty() {
        let cut = if from_the_end {
            rest.rfind(char::is_whitespace).map(|at| {
                let width = rest.get(at..).and_then(|tail| tail.chars().next()).map_or(1, char::len_utf8);
                (rest.get(at + width..), rest.get(..at).map(str::trim_end))
            })
        } else {
            rest.find(char::is_whitespace).map(|at| (rest.get(..at), rest.get(at..).map(str::trim_start)))
        };
        let Some((Some(part), Some(others))) = cut else { break };
        parts.push(part);
        rest = others;
    }
    if !rest.is_empty() {
        parts.push(rest);
    }
    if from_the_end {
        parts.reverse();
    }
    parts
}

/// A place in characters; an error where there is none.
fn found(text: &str, at: Option<usize>, what: &str) -> Result<Value, Error> {
    let missing = || Error::new(ErrorKind::InvalidOperation, format!("{what} not found"));
    let before = text.get(..at.ok_or_else(missing)?).unwrap_or_default();
    Ok(Value::from(before.chars().count()))
}

fn index_of_item(list: &Value, args: &[Value]) -> Result<Value, Error> {
    let (item,): (&Value,) = from_args(args)?;
    let at = python_value::items(list).iter().position(|other| other == item);
    let missing = || Error::new(ErrorKind::InvalidOperation, "the item is not in the list");
    at.map(Value::from).ok_or_else(missing)
}

/// `str.join`, which takes text alone.
fn join(separator: &str, items: &Value) -> Result<Value, Error> {
    let mut parts = Vec::new();
    for item in items.try_iter()?.checked() {
        let item = item?;
        let no_text =
            || Error::new(ErrorKind::InvalidOperation, format!("{} is no text to join", item.kind()));
        parts.push(item.as_str().ok_or_else(no_text)?.to_owned());
    }
    Ok(Value::from(parts.join(separator)))
}

fn zero_filled(text: &str, width: usize) -> Result<Value, Error> {
    let missing = jinja2::checked(width)?.saturating_sub(text.chars().count());
    let (sign, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (text.get(..1).unwrap_or_default(), digits),
        None => ("", text),
    };
    Ok(Value::from(format!("{sign}{}{digits}", "0".repeat(missing))))
}

fn padded(text: &str, args: &[Value], join: impl Fn(&str, &str) -> String) -> Result<Value, Error> {
    let (width, filler): (usize, Option<&str>) = from_args(args)?;
    let missing = jinja2::checked(width)?.saturating_sub(text.chars().count());
    Ok(Value::from(join(text, &filler.unwrap_or(" ").repeat(missing))))
}

fn three(before: &str, part: &str, after: &str) -> Value {
    Value::from(Tuple::from([before, part, after].map(Value::from)))
}

fn swapped(text: &str) -> String {
    let swap = |character: char| {
        if character.is_uppercase() {
            character.to_lowercase().collect::<String>()
        } else {
            character.to_uppercase().collect()
        }
    };
    text.chars().map(swap).collect()
}
