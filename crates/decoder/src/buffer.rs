//! Buffers of intermediate results that are used again.
//!
//! A training step makes and drops the same few sizes of buffer over and over. Fresh memory from the system costs a page
//! fault every 4 KiB, which for small models is as much as the arithmetic, so dropped buffers are kept for the next taker,
//! up to a limit.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// Numbers kept at most while nobody uses them: 256 MiB.
const MOST_KEPT_NUMBERS: usize = 64 << 20;
/// A buffer may have this many times the capacity that is asked for.
const TOLERATED_EXCESS: usize = 2;

/// A buffer of f32 that goes back when it is dropped.
#[derive(Debug)]
pub(crate) struct Buffer(Vec<f32>);

impl Buffer {
    /// A buffer whose content is arbitrary, for callers that write all of it.
    pub(crate) fn for_overwrite(length: usize) -> Self {
        let mut values = take(length);
        values.resize(length, 0.0);
        Self(values)
    }

    /// A buffer of zeros.
    pub(crate) fn zeroed(length: usize) -> Self {
        let mut buffer = Self::for_overwrite(length);
        buffer.fill(0.0);
        buffer
    }

    /// A copy of a slice.
    pub(crate) fn copy_of(values: &[f32]) -> Self {
        let mut buffer = Self::for_overwrite(values.len());
        buffer.copy_from_slice(values);
        buffer
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.0);
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if values.capacity() > 0 && kept.numbers + values.capacity() <= MOST_KEPT_NUMBERS {
            kept.numbers += values.capacity();
            kept.buffers.push(values);
        }
    }
}

/// Buffers that nobody uses.
struct Kept {
    buffers: Vec<Vec<f32>>,
    numbers: usize,
}

static KEPT: Mutex<Kept> = Mutex::new(Kept { buffers: Vec::new(), numbers: 0 });

/// The kept buffer that fits best, or a fresh one.
fn take(length: usize) -> Vec<f32> {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let fits = |capacity: usize| capacity >= length && capacity <= length * TOLERATED_EXCESS;
    let candidates = kept.buffers.iter().enumerate().filter(|(_, buffer)| fits(buffer.capacity()));
    match candidates.min_by_key(|(_, buffer)| buffer.capacity()).map(|(index, _)| index) {
        Some(index) => {
            let buffer = kept.buffers.swap_remove(index);
            kept.numbers -= buffer.capacity();
            buffer
        }
        None => Vec::with_capacity(length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_buffer_is_used_again_and_zeroed_on_demand() {
        // a length that no other test asks for
        let length = 1_234_567;
        let mut first = Buffer::for_overwrite(length);
        first.fill(3.0);
        let place = first.as_ptr();
        drop(first);
        let second = Buffer::zeroed(length - 5);
        assert_eq!(second.as_ptr(), place);
        assert!(second.len() == length - 5 && second.iter().all(|value| *value == 0.0));
        assert_ne!(Buffer::for_overwrite(length).as_ptr(), place);
        assert_eq!(*Buffer::copy_of(&[1.0, 2.0]), [1.0, 2.0]);
    }
}
