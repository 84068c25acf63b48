//! The system's allocator, told to keep what it was given.
//!
//! Columns of a chunk are some hundred kilobytes each. The GNU C library gives such blocks back at once and asks for them anew, and
//! the system clears each page again: a quarter of the processor's time of eras of all drugs (benches/README.md).

/// Has it keep blocks of up to 32 MB, the most that it takes, and up to 512 MB that are free.
pub(crate) fn keep_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(
        unsafe_code,
        reason = "numbers that the allocator takes before there is a second thread"
    )]
    // SAFETY: `mallopt` reads and writes nothing but its own settings.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 512 << 20);
    }
}
