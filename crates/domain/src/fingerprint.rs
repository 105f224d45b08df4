//! Names made of content, which outlive the program that made them.
//!
//! | name | of what |
//! |---|---|
//! | [`of_words`] | a text, white space forgiven |
//! | [`NamedFields`] | a record of named fields: a training job, a training file |
//!
//! What is durable is never named by `Debug` text, which changes with every field that is renamed. A record's name is a
//! hash of the names and values of its fields under a context that ends in a version. A field that comes later is
//! hashed only where it differs from what programs without it did: then their names stay what they are.

/// Names a text by its words: the first 128 bits of BLAKE3 over them, each followed by a space, little-endian.
pub fn of_words(text: &str) -> u128 {
    let mut hasher = blake3::Hasher::new();
    for word in text.split_whitespace() {
        hasher.update(word.as_bytes()).update(b" ");
    }
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    u128::from_le_bytes(bytes)
}

/// Hashes fields by name, each with its lengths, so that no two sequences of fields run together.
///
/// ```
/// use still_domain::fingerprint::NamedFields;
/// let named = |steps: u64| NamedFields::new("example 1").text("kind", "sft").number("steps", steps).finish();
/// assert_eq!(named(3), named(3));
/// assert_ne!(named(3), named(4));
/// ```
#[derive(Debug, Clone)]
pub struct NamedFields(blake3::Hasher);

impl NamedFields {
    /// Begins a record; `context` says of what, and ends in a version.
    #[must_use]
    pub fn new(context: &str) -> Self {
        Self(blake3::Hasher::new_derive_key(context))
    }

    /// A field of bytes.
    #[must_use]
    pub fn bytes(mut self, name: &str, value: &[u8]) -> Self {
        for part in [name.as_bytes(), value] {
            self.0.update(&(part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
        self
    }

    /// A field of text.
    #[must_use]
    pub fn text(self, name: &str, value: &str) -> Self {
        self.bytes(name, value.as_bytes())
    }

    /// A field of a whole number: a count, a flag, a seed.
    #[must_use]
    pub fn number(self, name: &str, value: u64) -> Self {
        self.bytes(name, &value.to_le_bytes())
    }

    /// A field of a real number, by its bits.
    #[must_use]
    pub fn real(self, name: &str, value: f64) -> Self {
        self.bytes(name, &value.to_bits().to_le_bytes())
    }

    /// A field that is a record of its own.
    #[must_use]
    pub fn record(self, name: &str, value: &Self) -> Self {
        self.bytes(name, value.0.finalize().as_bytes())
    }

    /// A field of a list: how many there are, then each.
    #[must_use]
    pub fn list<T>(
        self,
        name: &str,
        items: impl ExactSizeIterator<Item = T>,
        each: impl Fn(Self, T) -> Self,
    ) -> Self {
        let begun = self.number(name, items.len() as u64);
        items.fold(begun, each)
    }

    /// The name: 64 hexadecimal digits.
    pub fn finish(&self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_does_not_change_a_texts_name_and_words_do() {
        assert_eq!(of_words("a  b\nc"), of_words(" a b c "));
        assert_ne!(of_words("a b"), of_words("ab"));
        // stored beside every trajectory: it may never change
        assert_eq!(of_words("a b"), 265_113_130_222_193_564_902_253_009_631_545_092_481);
    }

    #[test]
    fn names_values_and_borders_of_fields_all_count() {
        let one = |name, value| NamedFields::new("test 1").text(name, value).finish();
        assert_ne!(one("a", "b"), one("b", "a"));
        assert_ne!(one("a", "bc"), one("ab", "c"));
        assert_ne!(one("a", "b"), NamedFields::new("test 2").text("a", "b").finish());
        let listed = |items: &[&str]| {
            let fields = NamedFields::new("test 1");
            fields.list("l", items.iter(), |fields, item| fields.text("i", item)).finish()
        };
        assert_ne!(listed(&["x", "y"]), listed(&["x"]));
        // jobs and files of earlier starts are found by such names: they may never change
        let whole = NamedFields::new("test 1").text("text", "é").number("number", 7).real("real", -0.5);
        let whole = whole.record("record", &NamedFields::new("inner 1").bytes("bytes", &[1, 2]));
        assert_eq!(whole.finish(), "c2227b9fed750e2906d52000270768f5eae527279954b28bfe7aacb4ec2226f5");
    }
}
