//! Published policies. A version, once published, stays what it is.

use still_domain::{PolicyOrigin, PolicyRecord, PolicyVersion};

use crate::{
    error::StoreError,
    key::{Key, Kind},
    store::Store,
};

impl Store {
    /// Makes a published policy durable.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when its version is taken by another policy, or an operator put a policy in
    /// force again whose checkpoint is gone.
    pub fn publish(&self, policy: &PolicyRecord) -> Result<(), StoreError> {
        let _writer = self.writer();
        self.check_version(policy)?;
        if matches!(policy.origin, PolicyOrigin::Operator(_)) {
            self.check_checkpoint(policy)?;
        }
        self.commit(vec![self.put(&policy_key(policy.version), policy)?])
    }

    /// Makes sure that the checkpoint of a published policy is kept still.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is gone.
    pub fn check_checkpoint(&self, policy: &PolicyRecord) -> Result<(), StoreError> {
        match &policy.checkpoint {
            Some(checkpoint) if self.checkpoint(checkpoint)?.is_none() => Err(StoreError::Conflict(format!(
                "checkpoint {checkpoint} is gone: `checkpoints.keep_published` says of how many published \
                 policies it is kept"
            ))),
            _ => Ok(()),
        }
    }

    /// A version is published once: the same record again is no change.
    pub(crate) fn check_version(&self, policy: &PolicyRecord) -> Result<(), StoreError> {
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
        self.all(Key::of(Kind::Policy))
    }

    /// One published policy.
    pub fn policy(&self, version: PolicyVersion) -> Result<Option<PolicyRecord>, StoreError> {
        self.get(&policy_key(version))
    }

    /// The policy in force: the newest.
    pub fn current_policy(&self) -> Result<Option<PolicyRecord>, StoreError> {
        self.last(&Key::of(Kind::Policy))
    }
}

pub(crate) fn policy_key(version: PolicyVersion) -> Key {
    Key::of(Kind::Policy).number(version.0)
}
