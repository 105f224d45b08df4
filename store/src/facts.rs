//! What counting and selecting need of a trajectory, without its tokens.
//!
//! A fact is written in the same batch as its trajectory, under the number of its arrival. So a start reads
//! a few hundred bytes an attempt instead of the whole pool, and a watcher reads what has come since it last
//! looked. Facts are an index, not a second truth: every field is taken from the trajectory.

use still_domain::AttemptFact;

use crate::{
    engine::Change,
    error::StoreError,
    key::{Key, Kind},
    scan::Records,
    store::Store,
};

impl Store {
    /// The facts of every trajectory, by problem and attempt.
    pub fn facts(&self) -> Result<Vec<AttemptFact>, StoreError> {
        let mut facts: Vec<AttemptFact> = self.facts_since(0).collect::<Result<_, _>>()?;
        facts.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(facts)
    }

    /// The facts that arrived after `sequence`, in the order of arrival; 0 gives all.
    pub fn facts_since(&self, sequence: u64) -> Records<AttemptFact> {
        Records::new(self.clone(), Key::of(Kind::AttemptFact), Some(fact_key(sequence)))
    }

    /// The number of the trajectory that arrived last; 0 before the first. Also how many there are.
    pub fn last_sequence(&self) -> Result<u64, StoreError> {
        let last = self.engine().last_key(Key::of(Kind::AttemptFact).as_bytes())?;
        Ok(last.and_then(|key| Key::last_number(&key)).unwrap_or(0))
    }

    pub(crate) fn put_fact(&self, fact: &AttemptFact) -> Result<Change, StoreError> {
        self.put(&fact_key(fact.sequence), fact)
    }
}

fn fact_key(sequence: u64) -> Key {
    Key::of(Kind::AttemptFact).number(sequence)
}
