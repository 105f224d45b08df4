//! The C library's allocator, told to keep less.

/// Has all threads allocate from one arena. glibc gives each of them an arena of its own, and what one frees there
/// serves no other: a training whose buffers are made by several threads then takes up to a fifth more than it uses. To
/// be called before a program starts its threads; elsewhere than with glibc it does nothing.
pub fn use_one_arena() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    set_arena_limit();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "only the C library itself knows its allocator")]
fn set_arena_limit() {
    // SAFETY: the call takes numbers alone, and glibc guards its state with a lock.
    let is_set = unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    debug_assert_eq!(is_set, 1, "glibc knows the option");
}
