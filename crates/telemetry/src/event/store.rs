//! What the store made durable.

use metrics::{counter, gauge};

use crate::names::{STORE_COMMITS, STORE_DISK_BYTES, STORE_WRITTEN_BYTES};

/// The store was asked how large it is.
#[derive(Debug, Clone, Copy)]
pub struct StoreMeasured {
    /// Batches made durable since the store was opened.
    pub commits: u64,
    /// Bytes of keys and values made durable since the store was opened.
    pub written_bytes: u64,
    /// Bytes on the disk.
    pub disk_bytes: u64,
}

impl StoreMeasured {
    /// Logs and counts it.
    pub fn emit(self) {
        let Self { commits, written_bytes, disk_bytes } = self;
        tracing::trace!(commits, written_bytes, disk_bytes, "store measured");
        counter!(STORE_COMMITS).absolute(commits);
        counter!(STORE_WRITTEN_BYTES).absolute(written_bytes);
        gauge!(STORE_DISK_BYTES).set(disk_bytes as f64);
    }
}

pub(super) fn start_at_zero() {
    counter!(STORE_COMMITS).increment(0);
    counter!(STORE_WRITTEN_BYTES).increment(0);
}
