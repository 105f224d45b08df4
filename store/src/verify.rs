//! A look at every record, past those that are damaged.

use serde::de::DeserializeOwned;
use still_domain::{
    AttemptFact, CheckpointManifest, Demonstration, JudgedTrajectory, PolicyRecord, Problem, Provenance,
    Revival, Round, Score, ScoredAnswer, SealingDecisions, TrainingSet,
};

use crate::{
    error::StoreError,
    identity::RunIdentity,
    key::{Key, Kind},
    problems::Ordered,
    scan::Records,
    store::Store,
};

/// Records of one kind: how many are sound, and what is wrong with the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// What they are, for people.
    pub what: &'static str,
    /// How many are as they were written.
    pub sound: u64,
    /// What is wrong with the others, each named.
    pub damaged: Vec<String>,
}

impl Store {
    /// Reads every record. A damaged one hides no other.
    pub fn verify(&self) -> Vec<Verified> {
        let is_intact = |set: &TrainingSet| {
            set.is_intact().then_some(()).ok_or_else(|| format!("set {} is not what its name says", set.id))
        };
        vec![
            self.verified::<RunIdentity>(Key::of(Kind::Meta).text("identity"), "identity", |_| Ok(())),
            self.verified::<Ordered<Problem>>(Key::of(Kind::Problem), "problems", |_| Ok(())),
            self.verified::<Ordered<Demonstration>>(Key::of(Kind::Demonstration), "demonstrations", |_| {
                Ok(())
            }),
            self.verified::<Revival>(Key::of(Kind::Revival), "revivals of problems", |_| Ok(())),
            self.verified::<JudgedTrajectory>(Key::of(Kind::Trajectory), "trajectories", |_| Ok(())),
            self.verified::<AttemptFact>(Key::of(Kind::AttemptFact), "facts of attempts", |_| Ok(())),
            self.verified::<Score>(Key::of(Kind::Score), "scores of trajectories", |_| Ok(())),
            self.verified::<Provenance>(Key::of(Kind::Provenance), "provenances of trajectories", |_| Ok(())),
            self.verified::<TrainingSet>(Key::of(Kind::TrainingSet), "training sets", is_intact),
            self.verified::<SealingDecisions>(
                Key::of(Kind::SealingDecisions),
                "decisions of sealings",
                |_| Ok(()),
            ),
            self.verified::<Round>(Key::of(Kind::Round), "rounds", |_| Ok(())),
            self.verified::<CheckpointManifest>(
                Key::of(Kind::Checkpoint),
                "checkpoint manifests",
                |_| Ok(()),
            ),
            self.verified::<PolicyRecord>(Key::of(Kind::Policy), "policies", |_| Ok(())),
            self.verified::<ScoredAnswer>(Key::of(Kind::ScoredAnswer), "answers of evaluations", |_| Ok(())),
        ]
    }

    fn verified<T: DeserializeOwned>(
        &self,
        keys: Key,
        what: &'static str,
        check: impl Fn(&T) -> Result<(), String>,
    ) -> Verified {
        let mut verified = Verified { what, sound: 0, damaged: Vec::new() };
        for record in self.records::<T>(keys) {
            match record.map_err(|error| error.to_string()).and_then(|record| check(&record)) {
                Ok(()) => verified.sound += 1,
                Err(damage) => verified.damaged.push(damage),
            }
        }
        verified
    }

    /// Every round, a damaged one as an error in its place.
    pub fn each_round(&self) -> Records<Round> {
        self.records(Key::of(Kind::Round))
    }

    /// Every training set, a damaged one as an error in its place.
    pub fn each_training_set(&self) -> Records<TrainingSet> {
        self.records(Key::of(Kind::TrainingSet))
    }

    /// Every published policy, a damaged one as an error in its place.
    pub fn each_policy(&self) -> Records<PolicyRecord> {
        self.records(Key::of(Kind::Policy))
    }

    /// Every problem, a damaged one as an error in its place.
    pub fn each_problem(&self) -> impl Iterator<Item = Result<Problem, StoreError>> {
        self.records::<Ordered<Problem>>(Key::of(Kind::Problem))
            .map(|ordered| ordered.map(|ordered| ordered.record))
    }
}

#[cfg(test)]
mod tests {
    use still_domain::{PolicyVersion, RoundNumber, RoundPhase};

    use super::*;
    use crate::engine::Change;

    #[test]
    fn a_damaged_record_is_named_and_hides_no_other() {
        let store = Store::in_memory().unwrap();
        for number in 0..3 {
            let round = Round::begin(RoundNumber(number), PolicyVersion(0), RoundPhase::Exploring, 0);
            store.put_round(&round).unwrap();
        }
        assert!(store.verify().iter().all(|verified| verified.damaged.is_empty()));
        let key = Key::of(Kind::Round).number(1);
        let mut value = store.engine().get(key.as_bytes()).unwrap().unwrap();
        *value.last_mut().unwrap() ^= 1;
        store.commit(vec![Change { key: key.as_bytes().to_vec(), value: Some(value) }]).unwrap();
        let rounds = store.verify().into_iter().find(|verified| verified.what == "rounds").unwrap();
        assert_eq!((rounds.sound, rounds.damaged.len()), (2, 1));
        assert!(rounds.damaged[0].contains(&key.to_string()), "{}", rounds.damaged[0]);
    }
}
