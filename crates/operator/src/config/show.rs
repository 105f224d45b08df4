//! The configuration as people and tools read it: merged TOML with origins, JSON, the schema, and the
//! commented reference.

use serde_json::{Map, Value};

use super::{
    Config, LoadedConfig,
    keys::{Content, Key},
};

/// Longest line of a comment in the reference.
const COMMENT_WIDTH: usize = 100;

/// The merged configuration as TOML, each value with its origin as a comment.
pub fn show_toml(loaded: &LoadedConfig) -> String {
    let mut text = String::new();
    write_section(
        &mut text,
        "",
        &Key::all_of::<Config>(),
        &to_value(&loaded.config),
        &mut |text, path, _, line| {
            text.push_str(&format!("{line}  # {}\n", loaded.origin(path)));
        },
    );
    text
}

/// The merged configuration as JSON: `{"config": {...}, "origins": {"section.key": "origin"}}`.
pub fn show_json(loaded: &LoadedConfig) -> Value {
    let mut origins = Map::new();
    let config = to_value(&loaded.config);
    write_section(&mut String::new(), "", &Key::all_of::<Config>(), &config, &mut |_, path, _, _| {
        origins.insert(path.to_owned(), Value::from(loaded.origin(path).to_string()));
    });
    serde_json::json!({"config": config, "origins": origins})
}

/// The JSON schema of a configuration file.
pub fn schema() -> Value {
    schemars::schema_for!(Config).to_value()
}

/// Every key with its meaning and its default, as a TOML file.
pub fn reference() -> String {
    let mut text = String::from(
        "# Every key of stilld's configuration, with its default.\n\
         # Written by `stilld config reference`; a test keeps it complete.\n",
    );
    let defaults = to_value(&Config::default());
    write_section(&mut text, "", &Key::all_of::<Config>(), &defaults, &mut |text, _, key, line| {
        comment(text, &key.description);
        if let Content::Value { choices, .. } = &key.content {
            for (choice, meaning) in choices {
                comment(text, &format!("  \"{choice}\": {meaning}"));
            }
        }
        text.push_str(line);
        text.push('\n');
    });
    text
}

/// Writes the values of a section, then its sections; `write` gets the text, path, key and `key = value`.
fn write_section(
    text: &mut String,
    path: &str,
    keys: &[Key],
    values: &Value,
    write: &mut dyn FnMut(&mut String, &str, &Key, &str),
) {
    let path_of = |key: &Key| if path.is_empty() { key.name.clone() } else { format!("{path}.{}", key.name) };
    for key in keys {
        if matches!(key.content, Content::Value { .. }) {
            let line = match values.get(&key.name).unwrap_or(&Value::Null) {
                Value::Null => format!("# {} is not set", key.name),
                value => format!("{} = {}", key.name, inline_toml(value)),
            };
            write(text, &path_of(key), key, &line);
        }
    }
    for key in keys {
        if let Content::Section(inner) = &key.content {
            let path = path_of(key);
            text.push('\n');
            comment(text, &key.description);
            text.push_str(&format!("[{path}]\n"));
            write_section(text, &path, inner, values.get(&key.name).unwrap_or(&Value::Null), write);
        }
    }
}

fn to_value(config: &Config) -> Value {
    serde_json::to_value(config).unwrap_or_default()
}

/// A value on one line of TOML.
fn inline_toml(value: &Value) -> String {
    match value {
        Value::String(text) => toml::Value::from(text.as_str()).to_string(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(inline_toml).collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) => {
            let entries: Vec<_> =
                map.iter().map(|(key, value)| format!("{key} = {}", inline_toml(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

/// Writes `words` as comment lines.
fn comment(text: &mut String, words: &str) {
    let indent = " ".repeat(words.len() - words.trim_start().len());
    let mut line = String::new();
    for word in words.split_whitespace() {
        if !line.is_empty() && line.len() + word.len() >= COMMENT_WIDTH {
            text.push_str(&format!("# {indent}{line}\n"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        text.push_str(&format!("# {indent}{line}\n"));
    }
}
