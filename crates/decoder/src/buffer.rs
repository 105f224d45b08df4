//! Buffers of intermediate results that are used again.
//!
//! A training step makes and drops the same few sizes of buffer over and over. Fresh memory from the system costs a page
//! fault every 4 KiB, which for small models is as much as the arithmetic, so dropped buffers are kept for the next taker,
//! up to a limit.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// Numbers that buffers of training keep at most while nobody uses them: 256 MiB.
pub const MAX_IDLE_NUMBERS: usize = 64 << 20;
/// A buffer may have this many times the capacity that is asked for,
const TOLERATED_EXCESS: usize = 2;
/// but one that lasts only this share more: it would hold the rest from all others for the whole of a step.
const TOLERATED_SHARE: usize = 8;

/// A buffer of f32 that goes back when it is dropped.
#[derive(Debug)]
pub(crate) struct Buffer(Vec<f32>);

impl Buffer {
    /// A buffer whose content is arbitrary, for callers that write all of it.
    pub(crate) fn for_overwrite(length: usize) -> Self {
        Self::within(length, length * TOLERATED_EXCESS)
    }

    /// The same for what is held from the forward pass to the backward pass.
    pub(crate) fn lasting(length: usize) -> Self {
        Self::within(length, length + length / TOLERATED_SHARE)
    }

    fn within(length: usize, most: usize) -> Self {
        let mut values = take(length, most);
        values.resize(length, 0.0);
        Self(values)
    }

    /// A buffer of zeros.
    pub(crate) fn zeroed(length: usize) -> Self {
        let mut buffer = Self::for_overwrite(length);
        buffer.fill(0.0);
        buffer
    }

    /// A [lasting](Self::lasting) copy of a slice.
    pub(crate) fn copy_of(values: &[f32]) -> Self {
        let mut buffer = Self::lasting(values.len());
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
        if values.capacity() > 0 {
            KEPT.lock().unwrap_or_else(PoisonError::into_inner).put(values);
        }
    }
}

/// Buffers that nobody uses, the longest unused first.
struct Kept {
    buffers: VecDeque<Vec<f32>>,
    numbers: usize,
}

static KEPT: Mutex<Kept> = Mutex::new(Kept { buffers: VecDeque::new(), numbers: 0 });

impl Kept {
    /// Keeps a buffer; those of sizes that are not asked for any more make room.
    fn put(&mut self, values: Vec<f32>) {
        self.numbers += values.capacity();
        self.buffers.push_back(values);
        while self.numbers > MAX_IDLE_NUMBERS
            && let Some(oldest) = self.buffers.pop_front()
        {
            self.numbers -= oldest.capacity();
        }
    }
}

/// The kept buffer of at least `length` and at most `most` that fits best, or a fresh one.
fn take(length: usize, most: usize) -> Vec<f32> {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let fits = |capacity: usize| (length..=most).contains(&capacity);
    let candidates = kept.buffers.iter().enumerate().filter(|(_, buffer)| fits(buffer.capacity()));
    let best = candidates.min_by_key(|(_, buffer)| buffer.capacity()).map(|(index, _)| index);
    match best.and_then(|index| kept.buffers.remove(index)) {
        Some(buffer) => {
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
        let address = first.as_ptr();
        drop(first);
        let second = Buffer::zeroed(length - 5);
        assert_eq!(second.as_ptr(), address);
        assert!(second.len() == length - 5 && second.iter().all(|value| *value == 0.0));
        assert_ne!(Buffer::for_overwrite(length).as_ptr(), address);
        assert_eq!(*Buffer::copy_of(&[1.0, 2.0]), [1.0, 2.0]);
    }

    #[test]
    fn what_lasts_takes_no_buffer_that_is_much_larger() {
        let length = 5_000_111;
        let address = Buffer::for_overwrite(length).as_ptr();
        assert_eq!(Buffer::for_overwrite(length / 3 * 2).as_ptr(), address);
        assert_eq!(Buffer::lasting(length / 10 * 9).as_ptr(), address);
        assert_ne!(Buffer::lasting(length / 3 * 2).as_ptr(), address);
    }

    #[test]
    fn the_longest_unused_make_room() {
        let mut kept = Kept { buffers: VecDeque::new(), numbers: 0 };
        let size = MAX_IDLE_NUMBERS / 4;
        for more in 0..6 {
            kept.put(Vec::with_capacity(size + more));
        }
        let sizes: Vec<usize> = kept.buffers.iter().map(Vec::capacity).collect();
        assert_eq!(sizes, [size + 3, size + 4, size + 5]);
        assert_eq!(kept.numbers, sizes.iter().sum::<usize>());
    }
}
