//! Training sets, rounds, published policies and checkpoint manifests.

use still_domain::{
    CheckpointId, CheckpointManifest, PolicyRecord, PolicyVersion, Round, RoundNumber, TrainingSet,
    TrainingSetId,
};

use crate::{
    error::StoreError,
    key::{Key, Kind},
    store::Store,
};

impl Store {
    /// Every round, in order.
    pub fn rounds(&self) -> Result<Vec<Round>, StoreError> {
        self.all(&Key::of(Kind::Round))
    }

    /// One round.
    pub fn round(&self, round: RoundNumber) -> Result<Option<Round>, StoreError> {
        self.get(&round_key(round))
    }

    /// The newest round.
    pub fn latest_round(&self) -> Result<Option<Round>, StoreError> {
        Ok(self.rounds()?.pop())
    }

    /// Makes a round's present state durable.
    pub fn put_round(&self, round: &Round) -> Result<(), StoreError> {
        self.commit(vec![self.put(&round_key(round.round), round)?])
    }

    /// Seals a training set and moves its round on, in one batch. The same set again is no change.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the set's name is not the hash of its content, or the round was sealed
    /// with another set.
    pub fn seal_round(&self, set: &TrainingSet, round: &Round) -> Result<(), StoreError> {
        let _writer = self.writer();
        if !set.is_intact() {
            let message = format!("training set {} does not hold what its name says", set.id);
            return Err(StoreError::Conflict(message));
        }
        let sealed = self.round(round.round)?.and_then(|known| known.training_set);
        if let Some(known) = sealed.filter(|known| *known != set.id) {
            let message = format!("round {} was sealed with {known}, not {}", round.round, set.id);
            return Err(StoreError::Conflict(message));
        }
        self.commit(vec![
            self.put(&Key::of(Kind::TrainingSet).text(set.id.as_str()), set)?,
            self.put(&round_key(round.round), round)?,
        ])
    }

    /// One training set.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when its content is not what its name says.
    pub fn training_set(&self, id: &TrainingSetId) -> Result<Option<TrainingSet>, StoreError> {
        let key = Key::of(Kind::TrainingSet).text(id.as_str());
        match self.get::<TrainingSet>(&key)? {
            Some(set) if !set.is_intact() => Err(StoreError::Damaged {
                key: key.to_string(),
                reason: "the content is not what the name says".to_owned(),
            }),
            found => Ok(found),
        }
    }

    /// Every training set, by round.
    pub fn training_sets(&self) -> Result<Vec<TrainingSet>, StoreError> {
        let mut sets: Vec<TrainingSet> = self.all(&Key::of(Kind::TrainingSet))?;
        sets.sort_by_key(|set| set.content.round);
        Ok(sets)
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

    /// Makes a published policy durable.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when its version is taken by another policy.
    pub fn publish(&self, policy: &PolicyRecord) -> Result<(), StoreError> {
        let _writer = self.writer();
        self.check_version(policy)?;
        self.commit(vec![self.put(&policy_key(policy.version), policy)?])
    }

    fn check_version(&self, policy: &PolicyRecord) -> Result<(), StoreError> {
        let known: Option<PolicyRecord> = self.get(&policy_key(policy.version))?;
        match known {
            Some(known) if known != *policy => {
                Err(StoreError::Conflict(format!("version {} is published already", policy.version)))
            }
            _ => Ok(()),
        }
    }

    /// Every published policy, oldest first.
    pub fn policies(&self) -> Result<Vec<PolicyRecord>, StoreError> {
        self.all(&Key::of(Kind::Policy))
    }

    /// One published policy.
    pub fn policy(&self, version: PolicyVersion) -> Result<Option<PolicyRecord>, StoreError> {
        self.get(&policy_key(version))
    }

    /// The policy in force: the newest.
    pub fn current_policy(&self) -> Result<Option<PolicyRecord>, StoreError> {
        Ok(self.policies()?.pop())
    }

    /// Makes a checkpoint exist: the manifest is written after every file is synced.
    pub(crate) fn put_manifest(&self, manifest: &CheckpointManifest) -> Result<(), StoreError> {
        self.commit(vec![self.put(&manifest_key(manifest), manifest)?])
    }

    /// Makes a checkpoint exist no more: the manifest goes before the files.
    pub(crate) fn remove_manifest(&self, manifest: &CheckpointManifest) -> Result<(), StoreError> {
        self.commit(vec![(manifest_key(manifest).as_bytes().to_vec(), None)])
    }

    /// Every checkpoint, by round and step.
    pub fn checkpoints(&self) -> Result<Vec<CheckpointManifest>, StoreError> {
        self.all(&Key::of(Kind::Checkpoint))
    }

    /// The checkpoints of a round, by step.
    pub fn checkpoints_of(&self, round: RoundNumber) -> Result<Vec<CheckpointManifest>, StoreError> {
        self.all(&Key::of(Kind::Checkpoint).number(u64::from(round.0)))
    }

    /// One checkpoint.
    pub fn checkpoint(&self, id: &CheckpointId) -> Result<Option<CheckpointManifest>, StoreError> {
        Ok(self.checkpoints()?.into_iter().find(|manifest| manifest.id == *id))
    }
}

fn round_key(round: RoundNumber) -> Key {
    Key::of(Kind::Round).number(u64::from(round.0))
}

fn policy_key(version: PolicyVersion) -> Key {
    Key::of(Kind::Policy).number(version.0)
}

fn manifest_key(manifest: &CheckpointManifest) -> Key {
    Key::of(Kind::Checkpoint).number(u64::from(manifest.round.0)).number(manifest.step)
}
