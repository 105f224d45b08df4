//! Rounds, and what changes together with them: the sealed set, the published policy.

use still_domain::{PolicyRecord, Round, RoundNumber, TrainingSet};

use crate::{
    error::StoreError,
    key::{Key, Kind},
    policies::policy_key,
    store::Store,
    training_sets::set_key,
};

impl Store {
    /// Every round, in order.
    pub fn rounds(&self) -> Result<Vec<Round>, StoreError> {
        self.all(Key::of(Kind::Round))
    }

    /// One round.
    pub fn round(&self, round: RoundNumber) -> Result<Option<Round>, StoreError> {
        self.get(&round_key(round))
    }

    /// The newest round.
    pub fn latest_round(&self) -> Result<Option<Round>, StoreError> {
        self.last(&Key::of(Kind::Round))
    }

    /// Makes a round's present state durable.
    pub fn put_round(&self, round: &Round) -> Result<(), StoreError> {
        self.commit(vec![self.put(&round_key(round.round), round)?])
    }

    /// Seals a training set and moves its round on, in one batch, and gives the round as it stands then. A
    /// round is sealed once: one that was sealed before, with this set or another, stays as it is.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the set's name is not the hash of its content.
    pub fn seal_round(&self, set: &TrainingSet, round: &Round) -> Result<Round, StoreError> {
        let _writer = self.writer();
        if !set.is_intact() {
            let message = format!("training set {} does not hold what its name says", set.id);
            return Err(StoreError::Conflict(message));
        }
        if let Some(known) = self.round(round.round)?.filter(|known| known.training_set.is_some()) {
            return Ok(known);
        }
        self.commit(vec![self.put(&set_key(&set.id), set)?, self.put(&round_key(round.round), round)?])?;
        Ok(round.clone())
    }

    /// Ends a round and publishes its policy, where it earned one, in one batch.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the policy's version is taken by another policy.
    pub fn finish_round(&self, round: &Round, policy: Option<&PolicyRecord>) -> Result<(), StoreError> {
        let _writer = self.writer();
        let mut batch = vec![self.put(&round_key(round.round), round)?];
        if let Some(policy) = policy {
            self.check_version(policy)?;
            batch.push(self.put(&policy_key(policy.version), policy)?);
        }
        self.commit(batch)
    }
}

fn round_key(round: RoundNumber) -> Key {
    Key::of(Kind::Round).number(u64::from(round.0))
}
