//! What validation finds, by key, so that all of it is told at once.

/// A value that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Dotted path of the key.
    pub key: String,
    /// What is wrong and what would be right.
    pub reason: String,
}

/// Everything that validation finds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Notes that the value of `key` cannot be used.
    pub fn note(&mut self, key: &str, reason: String) {
        self.0.push(Finding { key: key.to_owned(), reason });
    }

    /// Notes `reason` unless `holds`.
    pub fn require(&mut self, holds: bool, key: &str, reason: impl FnOnce() -> String) {
        if !holds {
            self.note(key, reason());
        }
    }

    /// What was found, in order.
    pub fn into_vec(self) -> Vec<Finding> {
        self.0
    }
}
