//! A slice whose disjoint parts several threads write at once.
#![expect(unsafe_code, reason = "strided parts of one slice cannot be split by the borrow checker")]

use std::marker::PhantomData;
use std::ops::Range;

/// A mutably borrowed slice that hands out parts to several threads.
#[derive(Clone, Copy)]
pub(crate) struct SharedSlice<'a, T = f32> {
    start: *mut T,
    length: usize,
    borrow: PhantomData<&'a mut [T]>,
}

// SAFETY: it is a `&mut [T]` whose holders promise (see `part`) to touch disjoint parts.
unsafe impl<T: Send> Send for SharedSlice<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for SharedSlice<'_, T> {}

impl<'a, T> SharedSlice<'a, T> {
    pub(crate) fn new(values: &'a mut [T]) -> Self {
        Self { start: values.as_mut_ptr(), length: values.len(), borrow: PhantomData }
    }

    /// What lies behind the first `count` entries.
    pub(crate) fn after(&self, count: usize) -> Self {
        assert!(count <= self.length, "entries inside the slice");
        // SAFETY: the count is not above the length.
        Self { start: unsafe { self.start.add(count) }, length: self.length - count, ..*self }
    }

    /// The entries `range`.
    ///
    /// # Safety
    /// While the part lives, nobody else may hold a part that overlaps it.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is called for every row of every tile")]
    #[expect(clippy::mut_from_ref, reason = "the caller promises that parts are disjoint")]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.length, "a part inside the slice");
        // SAFETY: the range lies inside the slice that was borrowed for 'a, and the caller promises disjoint parts.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}
