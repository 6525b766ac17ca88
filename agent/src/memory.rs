//! Memory that was needed to start, and not again.

/// Gives freed memory back to the operating system: reading the kernel's types and programs takes much more than the
/// agent needs afterwards.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it touches nothing but the allocator's own free memory.
    unsafe {
        libc::malloc_trim(0);
    }
}
