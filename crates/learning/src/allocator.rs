//! The C library's allocator, set to keep what is freed.

/// Has glibc keep freed memory for the program, in one arena for all threads; elsewhere than with glibc it does
/// nothing. To be called before a program starts its threads.
///
/// By default large buffers go back to the system when they are freed. A training step makes the same ones over and
/// over, and fresh memory costs a page fault every 4 KiB. An arena for every thread, the default too, holds what its
/// thread freed from all others. The price is that memory stays at its peak, and that threads which allocate at once
/// wait for one another: this is for a program that does nothing but train.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    set_allocator();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "only the C library itself knows its allocator")]
fn set_allocator() {
    const NEVER: i32 = -1;
    for (option, value) in [(libc::M_ARENA_MAX, 1), (libc::M_MMAP_MAX, 0), (libc::M_TRIM_THRESHOLD, NEVER)] {
        // SAFETY: the call takes numbers alone, and glibc guards its state with a lock.
        let is_set = unsafe { libc::mallopt(option, value) };
        debug_assert_eq!(is_set, 1, "glibc knows option {option}");
    }
}
