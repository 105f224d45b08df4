//! Levels as the keys of a map.
//!
//! JSON's keys are text. Inside a tagged variant serde keeps what it has read until it knows the variant, and then a
//! text is no number any more: levels are read from text here, wherever their map stands.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error};

/// Reads a map whose keys are levels, written as text.
pub(crate) fn deserialize<'de, D, T>(deserializer: D) -> Result<BTreeMap<u8, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let named: BTreeMap<String, T> = BTreeMap::deserialize(deserializer)?;
    let level = |name: &str| {
        name.parse()
            .map_err(|_| Error::custom(format!("`{name}` is no level: a level is a number from 0 to 255")))
    };
    named.into_iter().map(|(name, value)| Ok((level(&name)?, value))).collect()
}
