//! Reading many records without holding them all.

use std::{marker::PhantomData, vec};

use serde::de::DeserializeOwned;

use crate::{engine::Entry, error::StoreError, key::Key, store::Store, value::decode};

/// Records of one kind in key order, read a page at a time.
///
/// Not a snapshot: what is committed behind the reader's position while it reads is seen, what is committed
/// before it is not. A damaged record is an error in its place, and the next call goes on after it; after a
/// failure of the engine there is nothing more.
#[derive(Debug)]
pub struct Records<T> {
    store: Store,
    prefix: Key,
    /// The key that the next page begins after.
    after: Option<Vec<u8>>,
    page: vec::IntoIter<Entry>,
    is_over: bool,
    record: PhantomData<fn() -> T>,
}

impl<T> Records<T> {
    /// The records whose keys start with `prefix`, from the one after `after`.
    pub(crate) fn new(store: Store, prefix: Key, after: Option<Key>) -> Self {
        let after = after.map(|key| key.as_bytes().to_vec());
        Self { store, prefix, after, page: Vec::new().into_iter(), is_over: false, record: PhantomData }
    }

    /// Reads the next page once this one is used up.
    fn turn(&mut self) -> Result<(), StoreError> {
        let page = self.store.engine().page(self.prefix.as_bytes(), self.after.as_deref())?;
        match page.last() {
            Some((key, _)) => self.after = Some(key.clone()),
            None => self.is_over = true,
        }
        self.page = page.into_iter();
        Ok(())
    }
}

impl<T: DeserializeOwned> Iterator for Records<T> {
    type Item = Result<T, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0
            && !self.is_over
            && let Err(error) = self.turn()
        {
            self.is_over = true;
            return Some(Err(error));
        }
        let (key, value) = self.page.next()?;
        Some(decode(&key, &value))
    }
}

#[cfg(test)]
mod tests {
    use still_domain::{PolicyVersion, Round, RoundNumber, RoundPhase};

    use super::*;
    use crate::{engine::Change, key::Kind};

    #[test]
    fn a_damaged_record_is_an_error_in_its_place_and_reading_goes_on_after_it() {
        let store = Store::in_memory().unwrap();
        for number in 0..3 {
            let round = Round::begin(RoundNumber(number), PolicyVersion(0), RoundPhase::Exploring, 0);
            store.put_round(&round).unwrap();
        }
        let key = Key::of(Kind::Round).number(1);
        let mut value = store.engine().get(key.as_bytes()).unwrap().unwrap();
        *value.last_mut().unwrap() ^= 1;
        store.commit(vec![Change { key: key.as_bytes().to_vec(), value: Some(value) }]).unwrap();

        let rounds: Vec<_> = store.records::<Round>(Key::of(Kind::Round)).collect();
        assert_eq!(rounds.len(), 3);
        assert_eq!(rounds[0].as_ref().unwrap().round, RoundNumber(0));
        assert_eq!(rounds[2].as_ref().unwrap().round, RoundNumber(2));
        let error = rounds[1].as_ref().unwrap_err().to_string();
        assert!(error.contains(&key.to_string()) && error.contains("checksum"), "{error}");
        assert!(error.contains("restore the data directory"), "{error}");
    }
}
