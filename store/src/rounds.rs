//! Rounds, and what changes together with them: the sealed set, the published policy.

use std::collections::BTreeMap;

use still_domain::{
    AttemptId, PolicyRecord, Round, RoundNumber, SealingDecision, SealingDecisions, TrainingSet,
};

use crate::{
    error::StoreError,
    key::{Key, Kind},
    policies::policy_key,
    scan::Records,
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

    /// Seals a training set, with what was newly decided of the pool, and moves its round on, in one batch, and gives the round as it stands then. A
    /// round is sealed once: one that was sealed before, with this set or another, stays as it is.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the set's name is not the hash of its content.
    pub fn seal_round(
        &self,
        set: &TrainingSet,
        round: &Round,
        decisions: Option<&SealingDecisions>,
    ) -> Result<Round, StoreError> {
        let _writer = self.writer();
        if !set.is_intact() {
            let message = format!("training set {} does not hold what its name says", set.id);
            return Err(StoreError::Conflict(message));
        }
        if let Some(known) = self.round(round.round)?.filter(|known| known.training_set.is_some()) {
            return Ok(known);
        }
        let mut batch = vec![self.put(&set_key(&set.id), set)?, self.put(&round_key(round.round), round)?];
        if let Some(decisions) = decisions {
            batch.push(self.put(&decisions_key(round.round), decisions)?);
        }
        self.commit(batch)?;
        Ok(round.clone())
    }

    /// What each sealing decided otherwise than those before it, in order.
    pub fn sealing_decisions(&self) -> Records<SealingDecisions> {
        self.records(Key::of(Kind::SealingDecisions))
    }

    /// What the sealings so far have decided of each trajectory, in words.
    pub fn standing_decisions(&self) -> Result<BTreeMap<AttemptId, String>, StoreError> {
        let mut standing = BTreeMap::new();
        for decisions in self.sealing_decisions() {
            decisions?.apply(&mut standing);
        }
        Ok(standing)
    }

    /// What the sealings have decided of one trajectory, oldest first; one that decided as the one before it is not
    /// named.
    pub fn decisions_of(&self, id: &AttemptId) -> Result<Vec<SealingDecision>, StoreError> {
        self.sealing_decisions().filter_map(|decisions| decisions.map(|one| one.of(id)).transpose()).collect()
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

fn decisions_key(round: RoundNumber) -> Key {
    Key::of(Kind::SealingDecisions).number(u64::from(round.0))
}

fn round_key(round: RoundNumber) -> Key {
    Key::of(Kind::Round).number(u64::from(round.0))
}
