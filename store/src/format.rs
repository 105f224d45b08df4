//! The formats that stores have had, and how an older one is brought up to this program's.
//!
//! | format | what came with it |
//! |---|---|
//! | 1 | the first |
//! | 2 | a fact beside every trajectory |
//!
//! A store of a newer format is refused. An older one is brought up when it is opened for work: records
//! are added in batches, each of which may be repeated, and the format's record is written last, so a
//! process killed on the way starts over and misses nothing.

use std::collections::HashSet;

use still_domain::{AttemptFact, AttemptId};

use crate::{
    engine::Change,
    error::StoreError,
    key::{Key, Kind},
    store::Store,
};

/// The format that this program writes, and the newest that it reads.
pub(crate) const FORMAT: u32 = 2;
/// The first format.
const OLDEST: u32 = 1;
/// Bytes of changes after which a batch is committed.
const BATCH_BYTES: u64 = 4 << 20;

impl Store {
    /// Writes the format of a new store; refuses a newer one; brings an older one up, or refuses it where
    /// nothing may be written.
    pub(crate) fn settle_format(&self) -> Result<(), StoreError> {
        let key = Key::of(Kind::Meta).text("format");
        match self.get::<u32>(&key)? {
            Some(FORMAT) => return Ok(()),
            Some(found) if found > FORMAT => return Err(StoreError::Newer { found, supported: FORMAT }),
            Some(found) if found < OLDEST => {
                let reason = format!("there is no format {found}");
                return Err(StoreError::Damaged { key: key.to_string(), reason });
            }
            Some(found) if self.is_read_only() => return Err(StoreError::Older { found, current: FORMAT }),
            Some(_) => self.add_facts()?,
            // killed before its first commit, which is this record: there is nothing in it yet
            None if self.is_read_only() && self.engine().last_key(&[])?.is_none() => return Ok(()),
            None if self.is_read_only() => {
                let reason = "the format is missing: the store was not finished".to_owned();
                return Err(StoreError::Damaged { key: key.to_string(), reason });
            }
            None => {}
        }
        self.commit(vec![self.put(&key, &FORMAT)?])
    }

    /// Format 1 to 2: a fact for every trajectory that has none, in key order: the order of arrival is lost.
    fn add_facts(&self) -> Result<(), StoreError> {
        let known: HashSet<AttemptId> =
            self.facts_since(0).map(|fact| Ok(fact?.id)).collect::<Result<_, StoreError>>()?;
        let mut sequence = self.last_sequence()?;
        let mut batch: Vec<Change> = Vec::new();
        let mut bytes = 0;
        for judged in self.trajectories() {
            let judged = judged?;
            if known.contains(judged.id()) {
                continue;
            }
            sequence += 1;
            let change = self.put_fact(&AttemptFact::of(&judged, sequence))?;
            bytes += change.bytes();
            batch.push(change);
            if bytes >= BATCH_BYTES {
                self.commit(std::mem::take(&mut batch))?;
                bytes = 0;
            }
        }
        self.commit(batch)
    }
}

#[cfg(test)]
mod tests {
    use still_domain::{
        AttemptNumber, FinishReason, JudgedTrajectory, Measures, Outcome, ProblemId, SamplingSettings,
        Trajectory, Verdict,
    };

    use super::*;

    fn format_key() -> Key {
        Key::of(Kind::Meta).text("format")
    }

    fn judged(number: u32) -> JudgedTrajectory {
        JudgedTrajectory {
            trajectory: Trajectory {
                id: AttemptId { problem: ProblemId::new("p"), number: AttemptNumber(number) },
                prompt_token_count: 1,
                tokens: vec![1, 2],
                log_probabilities: vec![-0.5, -0.5],
                text: "49".to_owned(),
                sampling: SamplingSettings::default(),
                seed: 0,
                finish: FinishReason::Stop,
                versions: Vec::new(),
            },
            verdict: Verdict {
                outcome: Outcome::Correct,
                extracted: None,
                rule: None,
                verifier: "t-1".to_owned(),
            },
            measures: Measures::default(),
            rejection: None,
        }
    }

    /// A store as the first format left it, but for the facts of the first `facts` trajectories: as if it
    /// had been killed while it was brought up.
    fn of_format_1(facts: u64) -> Store {
        let store = Store::in_memory().unwrap();
        store.commit_trajectories(&(0..5).map(judged).collect::<Vec<_>>()).unwrap();
        let later = (facts + 1..=5).map(|number| Key::of(Kind::AttemptFact).number(number));
        let mut batch: Vec<_> = later.map(|key| Change::remove(&key)).collect();
        batch.push(store.put(&format_key(), &1_u32).unwrap());
        store.commit(batch).unwrap();
        store
    }

    #[test]
    fn a_store_of_the_first_format_gets_a_fact_for_every_trajectory_once() {
        for facts in [0, 3] {
            let store = of_format_1(facts);
            assert_eq!(store.facts().unwrap().len() as u64, facts);
            store.settle_format().unwrap();
            let ids: Vec<_> = store.facts().unwrap().into_iter().map(|fact| fact.id.number.0).collect();
            assert_eq!(ids, [0, 1, 2, 3, 4]);
            assert_eq!(store.last_sequence().unwrap(), 5);
            assert_eq!(store.get::<u32>(&format_key()).unwrap(), Some(FORMAT));
        }
    }

    #[test]
    fn a_newer_format_is_refused_with_both_numbers_and_the_remedy() {
        let store = Store::in_memory().unwrap();
        store.commit(vec![store.put(&format_key(), &(FORMAT + 1)).unwrap()]).unwrap();
        let error = store.settle_format().unwrap_err().to_string();
        assert!(error.contains("format 3") && error.contains("up to 2"), "{error}");
        assert!(error.contains("use a newer"), "{error}");
        store.commit(vec![store.put(&format_key(), &0_u32).unwrap()]).unwrap();
        assert!(matches!(store.settle_format(), Err(StoreError::Damaged { .. })));
    }
}
