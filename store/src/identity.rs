//! Whose run a data directory belongs to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    error::StoreError,
    key::{Key, Kind},
    store::Store,
};

/// What makes a run this run and no other: a store is never continued under another identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunIdentity {
    /// The run's seed.
    pub seed: u64,
    /// What else must not change between restarts, by name: the model, the task.
    pub facts: BTreeMap<String, String>,
}

/// The fact that holds the time which prompts are told, in seconds since 1970 (UTC).
const CLOCK: &str = "clock";

impl RunIdentity {
    /// The time that prompts are told, in seconds since 1970 (UTC); `None` where they do not depend on it.
    pub fn clock(&self) -> Option<i64> {
        self.facts.get(CLOCK)?.parse().ok()
    }

    /// With the time that prompts are told.
    #[must_use]
    pub fn with_clock(mut self, unix_seconds: i64) -> Self {
        self.facts.insert(CLOCK.to_owned(), unix_seconds.to_string());
        self
    }
}

impl Store {
    /// Records who this run is: once, and whatever an earlier program did not record yet.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the store belongs to a run of another identity, naming what differs.
    pub fn identify(&self, identity: &RunIdentity) -> Result<(), StoreError> {
        let _writer = self.writer();
        self.check_identity(identity)?;
        let known = self.identity()?.unwrap_or_else(|| identity.clone());
        let facts = identity.facts.clone().into_iter().chain(known.facts.clone()).collect();
        let merged = RunIdentity { seed: identity.seed, facts };
        if self.identity()?.as_ref() != Some(&merged) {
            self.commit(vec![self.put(&identity_key(), &merged)?])?;
        }
        Ok(())
    }

    /// Makes sure that this run may go on with the store, and records nothing.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the store belongs to a run of another identity, naming what differs.
    pub fn check_identity(&self, identity: &RunIdentity) -> Result<(), StoreError> {
        let Some(known) = self.identity()?.filter(|known| known != identity) else { return Ok(()) };
        let mut differences = Vec::new();
        if known.seed != identity.seed {
            differences.push(format!("seed {} is now {}", known.seed, identity.seed));
        }
        // what an earlier program did not record says nothing
        for (name, value) in &identity.facts {
            let Some(before) = known.facts.get(name) else { continue };
            if before != value {
                differences.push(format!("{name} `{before}` is now `{value}`"));
            }
        }
        if differences.is_empty() {
            return Ok(());
        }
        Err(StoreError::Conflict(format!(
            "this data directory belongs to another run: {}; choose another --data-dir or restore the settings",
            differences.join(", ")
        )))
    }

    /// Who this run is; `None` before it was recorded.
    pub fn identity(&self) -> Result<Option<RunIdentity>, StoreError> {
        self.get(&identity_key())
    }
}

fn identity_key() -> Key {
    Key::of(Kind::Meta).text("identity")
}
