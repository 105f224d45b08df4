//! Memory, for tests and trials: nothing survives the process.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{Change, Engine, Entry, fill_page};
use crate::error::StoreError;

/// An engine in memory.
#[derive(Default)]
pub(crate) struct Memory {
    entries: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl Memory {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, Vec<u8>>> {
        // a batch is applied by infallible calls: no panic leaves it half done
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.entries().get(key).cloned())
    }

    fn page(&self, prefix: &[u8], after: Option<&[u8]>) -> Result<Vec<Entry>, StoreError> {
        let start = after.map_or(Bound::Included(prefix), Bound::Excluded);
        let entries = self.entries();
        let found = entries
            .range::<[u8], _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| Ok::<_, Infallible>((key.clone(), value.clone())));
        let Ok(page) = fill_page(found);
        Ok(page)
    }

    fn last_key(&self, prefix: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let entries = self.entries();
        let end = after_all(prefix);
        let range = (Bound::Included(prefix), end.as_ref().map(Vec::as_slice));
        Ok(entries.range::<[u8], _>(range).next_back().map(|(key, _)| key.clone()))
    }

    fn write(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let mut entries = self.entries();
        for Change { key, value } in changes {
            match value {
                Some(value) => entries.insert(key, value),
                None => entries.remove(&key),
            };
        }
        Ok(())
    }

    fn size_bytes(&self) -> Result<u64, StoreError> {
        Ok(self.entries().iter().map(|(key, value)| (key.len() + value.len()) as u64).sum())
    }
}

/// Where the keys that start with `prefix` end.
fn after_all(prefix: &[u8]) -> Bound<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Bound::Excluded(end);
        }
    }
    Bound::Unbounded
}
