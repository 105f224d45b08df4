//! The known keys, read off the schema, and the nearest one to a key that is not known.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

/// Edits up to which a key counts as a slip of the pen.
const MAX_EDITS: usize = 3;

/// A known key.
#[derive(Debug)]
pub(super) struct Key {
    /// Its last part.
    pub(super) name: String,
    /// What it means, in Markdown.
    pub(super) description: String,
    /// What it holds.
    pub(super) content: Content,
}

/// What a key holds.
#[derive(Debug)]
pub(super) enum Content {
    /// Further keys: layers merge key by key.
    Section(Vec<Key>),
    /// A value: layers replace it whole.
    Value {
        /// Only text may stand there, so text needs no quotes on the command line.
        is_text: bool,
        /// A map from free keys.
        is_map: bool,
        /// The texts that may stand there, each with its meaning; empty when they are not listed.
        choices: Vec<(String, String)>,
    },
}

/// What a path leads to.
pub(super) enum Found {
    /// A section.
    Section,
    /// A value.
    Value {
        /// Only text may stand there.
        is_text: bool,
    },
    /// A free key inside a map.
    MapEntry,
}

impl Key {
    /// Every key of `T`.
    pub(super) fn all_of<T: JsonSchema>() -> Vec<Self> {
        let settings = SchemaSettings::default().with(|settings| settings.inline_subschemas = true);
        section_of(settings.into_generator().into_root_schema_for::<T>().as_value()).unwrap_or_default()
    }
}

/// Follows `path` from `keys`.
pub(super) fn find(keys: &[Key], path: &[&str]) -> Option<Found> {
    let (first, rest) = path.split_first()?;
    let key = keys.iter().find(|key| key.name == *first)?;
    match (&key.content, rest) {
        (Content::Section(_), []) => Some(Found::Section),
        (Content::Section(inner), rest) => find(inner, rest),
        (Content::Value { is_text, .. }, []) => Some(Found::Value { is_text: *is_text }),
        (Content::Value { is_map: true, .. }, [_]) => Some(Found::MapEntry),
        (Content::Value { .. }, _) => None,
    }
}

/// The known key that was probably meant by the unknown `path`.
pub(super) fn nearest(keys: &[Key], path: &str) -> Option<String> {
    let mut known = Vec::new();
    list(keys, "", &mut known);
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    known
        .into_iter()
        .filter_map(|candidate| {
            let (candidate_parent, candidate_name) = candidate.rsplit_once('.').unwrap_or(("", &candidate));
            let edits = strsim::osa_distance(name, candidate_name);
            let same_section = parent == candidate_parent;
            let moved = usize::from(!same_section);
            let section_edits = strsim::osa_distance(parent, candidate_parent);
            let is_near = if same_section {
                edits <= MAX_EDITS.min(name.chars().count() / 2).max(1)
                    || candidate_name.starts_with(name)
                    || name.starts_with(candidate_name)
            } else {
                (edits == 0 && name.len() > 3) || (edits <= 1 && section_edits <= 2)
            };
            is_near.then_some((edits + moved, section_edits, candidate))
        })
        .min()
        .map(|(_, _, candidate)| candidate)
}

fn list(keys: &[Key], parent: &str, known: &mut Vec<String>) {
    for key in keys {
        let path = if parent.is_empty() { key.name.clone() } else { format!("{parent}.{}", key.name) };
        if let Content::Section(inner) = &key.content {
            list(inner, &path, known);
        }
        known.push(path);
    }
}

fn section_of(schema: &Value) -> Option<Vec<Key>> {
    let properties = schema.get("properties")?.as_object()?;
    let key = |(name, schema): (&String, &Value)| Key {
        name: name.clone(),
        description: text(schema, "description"),
        content: section_of(schema).map_or_else(|| value_of(schema), Content::Section),
    };
    Some(properties.iter().map(key).collect())
}

fn value_of(schema: &Value) -> Content {
    let alternatives = schema.get("oneOf").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut choices = Vec::new();
    for alternative in std::iter::once(schema).chain(alternatives) {
        if let Some(constant) = alternative.get("const").and_then(Value::as_str) {
            choices.push((constant.to_owned(), text(alternative, "description")));
        }
        for constant in alternative.get("enum").and_then(Value::as_array).into_iter().flatten() {
            choices.push((constant.as_str().unwrap_or_default().to_owned(), String::new()));
        }
    }
    let kind = schema.get("type").and_then(Value::as_str);
    Content::Value {
        is_text: kind == Some("string") || !choices.is_empty(),
        is_map: kind == Some("object"),
        choices,
    }
}

fn text(schema: &Value, field: &str) -> String {
    schema.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}
