//! What keeps the bytes: an ordered map with atomic durable batches.
//!
//! Nothing above this module knows which engine is at work.

mod faulty;
mod memory;
mod sled_files;

use crate::{error::StoreError, key::Key};

pub(crate) use faulty::Faulty;
pub use faulty::{Fault, FaultPlan};
pub(crate) use memory::Memory;
pub(crate) use sled_files::SledFiles;

/// Entries that a page holds at most.
const PAGE_ENTRIES: usize = 256;
/// Bytes after which a page is full: long thoughts must not fill the memory.
const PAGE_BYTES: usize = 4 << 20;

/// A key's bytes with a value's.
pub(crate) type Entry = (Vec<u8>, Vec<u8>);

/// One change of a batch.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) key: Vec<u8>,
    /// The value to put; `None` removes.
    pub(crate) value: Option<Vec<u8>>,
}

impl Change {
    /// The change that removes a record.
    pub(crate) fn remove(key: &Key) -> Self {
        Self { key: key.as_bytes().to_vec(), value: None }
    }

    /// Bytes of key and value.
    pub(crate) fn bytes(&self) -> u64 {
        (self.key.len() + self.value.as_ref().map_or(0, Vec::len)) as u64
    }
}

/// An ordered map of bytes with atomic durable batches.
pub(crate) trait Engine: Send + Sync {
    /// The value under a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// A page of the entries whose keys start with `prefix`, in order, beginning after `after`; empty at
    /// the end.
    fn page(&self, prefix: &[u8], after: Option<&[u8]>) -> Result<Vec<Entry>, StoreError>;

    /// The last key that starts with `prefix`.
    fn last_key(&self, prefix: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Makes all changes, or none, durably.
    fn write(&self, batch: Vec<Change>) -> Result<(), StoreError>;

    /// Bytes on the disk.
    fn size_bytes(&self) -> Result<u64, StoreError>;
}

/// Collects entries until a page is full. At least one, where there is one.
fn fill_page<E>(entries: impl Iterator<Item = Result<Entry, E>>) -> Result<Vec<Entry>, E> {
    let mut page = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        let (key, value) = entry?;
        bytes += key.len() + value.len();
        page.push((key, value));
        if page.len() >= PAGE_ENTRIES || bytes >= PAGE_BYTES {
            break;
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests;
