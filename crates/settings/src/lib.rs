//! What a check of settings finds, by the operator's key, so that all of it is reported at once.
//!
//! The crate that obeys a setting declares it: a section with its schema, its defaults and a check that speaks of the
//! key as an operator writes it. The daemon's configuration puts the sections together, and nothing is declared twice.

mod backoff;
mod program;

pub use backoff::backoff;
pub use program::find_program;

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

    /// Notes a name that no variable of an environment can have.
    pub fn require_variables<'a>(&mut self, key: &str, mut names: impl Iterator<Item = &'a String>) {
        if let Some(name) = names.find(|name| name.is_empty() || name.contains(['=', '\0'])) {
            self.note(key, format!("`{name}` can be no variable's name"));
        }
    }

    /// What was found, in order.
    pub fn into_vec(self) -> Vec<Finding> {
        self.0
    }
}

/// Whether a check finds nothing.
pub fn accepts(check: impl FnOnce(&mut Findings)) -> bool {
    let mut findings = Findings::default();
    check(&mut findings);
    findings.0.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_hold_is_told_in_order_under_its_key() {
        let mut findings = Findings::default();
        findings.require(true, "a.b", || "is fine".to_owned());
        findings.require(false, "a.c", || "must be at least 1".to_owned());
        findings.note("d", "is unknown".to_owned());
        let found = findings.into_vec();
        let found: Vec<_> = found.iter().map(|one| (one.key.as_str(), one.reason.as_str())).collect();
        assert_eq!(found, [("a.c", "must be at least 1"), ("d", "is unknown")]);
    }
}
