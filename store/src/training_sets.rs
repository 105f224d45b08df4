//! Sealed training sets. They are written by [`Store::seal_round`], together with their round.

use still_domain::{RoundNumber, TrainingSet, TrainingSetId};

use crate::{
    error::StoreError,
    key::{Key, Kind},
    store::Store,
};

impl Store {
    /// One training set.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when its content is not what its name says.
    pub fn training_set(&self, id: &TrainingSetId) -> Result<Option<TrainingSet>, StoreError> {
        let key = set_key(id);
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
        let mut sets: Vec<TrainingSet> = self.all(Key::of(Kind::TrainingSet))?;
        sets.sort_by_key(|set| set.content.round);
        Ok(sets)
    }

    /// The training set that a round was sealed with; `None` before it was.
    ///
    /// # Errors
    /// As [`Store::training_set`].
    pub fn training_set_of(&self, round: RoundNumber) -> Result<Option<TrainingSet>, StoreError> {
        match self.round(round)?.and_then(|round| round.training_set) {
            Some(id) => self.training_set(&id),
            None => Ok(None),
        }
    }
}

pub(crate) fn set_key(id: &TrainingSetId) -> Key {
    Key::of(Kind::TrainingSet).text(id.as_str())
}
