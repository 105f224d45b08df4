//! The registry of kinds and the order of keys.
//!
//! A key is its kind's byte and then its parts. Numbers are big-endian; text ends with two zero bytes and
//! has its own zero bytes escaped. So keys sort by kind, then by their parts, and no key is the beginning
//! of another one of its kind. **A byte once given to a kind is never given to another.**

use std::fmt;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(crate) enum Kind {
    /// By name: the format, the run's identity.
    Meta = 0x01,
    /// By problem.
    Problem = 0x10,
    /// By demonstration.
    Demonstration = 0x11,
    /// By round and problem.
    Revival = 0x12,
    /// By problem and attempt.
    Trajectory = 0x20,
    /// By number in the order of arrival.
    AttemptFact = 0x21,
    /// By policy, problem and attempt.
    Score = 0x22,
    /// By the hash of what it says.
    Provenance = 0x23,
    /// By training set.
    TrainingSet = 0x30,
    /// By round.
    SealingDecisions = 0x31,
    /// By round.
    Round = 0x40,
    /// By round and step.
    Checkpoint = 0x50,
    /// By version.
    Policy = 0x60,
    /// By policy, problem and sample.
    ScoredAnswer = 0x70,
}

/// A key under construction or complete.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(Vec<u8>);

impl Key {
    /// The beginning of every key of a kind.
    pub(crate) fn of(kind: Kind) -> Self {
        Self(vec![kind as u8])
    }

    /// Adds a text.
    #[must_use]
    pub(crate) fn text(mut self, text: &str) -> Self {
        for &byte in text.as_bytes() {
            self.0.push(byte);
            if byte == 0 {
                self.0.push(0xFF);
            }
        }
        self.0.extend([0, 0]);
        self
    }

    /// Adds a number.
    #[must_use]
    pub(crate) fn number(mut self, number: u64) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    /// The number that a key's bytes end with.
    pub(crate) fn last_number(bytes: &[u8]) -> Option<u64> {
        bytes.split_last_chunk().map(|(_, number)| u64::from_be_bytes(*number))
    }

    /// The bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Shows the bytes as a reader of a store would look for them.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&name(&self.0))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The readable name of a key's bytes.
pub(crate) fn name(bytes: &[u8]) -> String {
    format!("`{}`", bytes.escape_ascii())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_sort_as_their_parts(a: (String, u64), b: (String, u64)) {
            let key = |(text, number): &(String, u64)| Key::of(Kind::Trajectory).text(text).number(*number);
            let by_parts = (a.0.as_bytes(), a.1).cmp(&(b.0.as_bytes(), b.1));
            prop_assert_eq!(key(&a).cmp(&key(&b)), by_parts);
        }

        #[test]
        fn no_text_is_the_beginning_of_another(a: String, b: String) {
            let key = |text: &str| Key::of(Kind::Problem).text(text);
            prop_assert_eq!(key(&a).as_bytes().starts_with(key(&b).as_bytes()), a == b);
        }
    }
}
