//! The formats that stores have had, and how an older one is brought up to this program's.
//!
//! | format | what came with it |
//! |---|---|
//! | 1 | the first |
//! | 2 | a fact beside every trajectory |
//! | 3 | facts say whether several policies drew a trajectory, and at which temperature |
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
pub(crate) const FORMAT: u32 = 3;
/// The first format.
const OLDEST: u32 = 1;
/// The first format whose trajectories all have a fact.
const WITH_FACTS: u32 = 2;
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
            Some(found) => {
                if found < WITH_FACTS {
                    self.add_facts()?;
                }
                self.renew_facts()?;
            }
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
        self.put_facts(self.trajectories().map(|judged| {
            let judged = judged?;
            if known.contains(judged.id()) {
                return Ok(None);
            }
            sequence += 1;
            Ok(Some(AttemptFact::of(&judged, sequence)))
        }))
    }

    /// Format 2 to 3: every fact anew from its trajectory, in its place.
    fn renew_facts(&self) -> Result<(), StoreError> {
        self.put_facts(self.facts_since(0).map(|fact| {
            let fact = fact?;
            let renewed = self.trajectory(&fact.id)?.map(|judged| AttemptFact::of(&judged, fact.sequence));
            Ok(renewed.filter(|renewed| *renewed != fact))
        }))
    }

    /// Writes facts, in batches.
    fn put_facts(
        &self,
        facts: impl Iterator<Item = Result<Option<AttemptFact>, StoreError>>,
    ) -> Result<(), StoreError> {
        let mut batch: Vec<Change> = Vec::new();
        let mut bytes = 0;
        for fact in facts {
            let Some(fact) = fact? else { continue };
            let change = self.put_fact(&fact)?;
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
        AttemptNumber, FinishReason, JudgedTrajectory, Measures, Outcome, PolicyVersion, ProblemId,
        SamplingSettings, Trajectory, Verdict, VersionSpan,
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
                sampling_log_probabilities: Vec::new(),
                text: "49".to_owned(),
                sampling: SamplingSettings::default(),
                seed: 0,
                finish: FinishReason::Stop,
                versions: Vec::new(),
                provenance: None,
            },
            verdict: Verdict {
                outcome: Outcome::Correct,
                extracted: None,
                rule: None,
                verifier: "t-1".to_owned(),
            },
            measures: Measures::default(),
            rejection: None,
            eviction: None,
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
    fn facts_of_the_second_format_learn_of_mixed_trajectories() {
        let store = Store::in_memory().unwrap();
        let mut mixed = judged(1);
        let span = |version, start, end| VersionSpan { policy: PolicyVersion(version).into(), start, end };
        mixed.trajectory.versions = vec![span(1, 0, 1), span(2, 1, 2)];
        mixed.trajectory.sampling.temperature = 0.5;
        store.commit_trajectories(&[judged(0), mixed]).unwrap();
        let facts = store.facts().unwrap();
        assert_eq!(facts.iter().map(|fact| fact.is_mixed).collect::<Vec<_>>(), [false, true]);
        let of_format_2 = AttemptFact { is_mixed: false, temperature: 1.0, ..facts[1].clone() };
        store
            .commit(vec![store.put_fact(&of_format_2).unwrap(), store.put(&format_key(), &2_u32).unwrap()])
            .unwrap();
        store.settle_format().unwrap();
        assert_eq!(store.facts().unwrap(), facts);
    }

    #[test]
    fn a_newer_format_is_refused_with_both_numbers_and_the_remedy() {
        let store = Store::in_memory().unwrap();
        store.commit(vec![store.put(&format_key(), &(FORMAT + 1)).unwrap()]).unwrap();
        let error = store.settle_format().unwrap_err().to_string();
        assert!(error.contains("format 4") && error.contains("up to 3"), "{error}");
        assert!(error.contains("use a newer"), "{error}");
        store.commit(vec![store.put(&format_key(), &0_u32).unwrap()]).unwrap();
        assert!(matches!(store.settle_format(), Err(StoreError::Damaged { .. })));
    }
}
