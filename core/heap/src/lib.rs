//! How the process's heap gives back what it no longer needs.
//!
//! Left alone, glibc keeps a heap for nearly every thread, and once it has given back one large buffer it keeps buffers of that
//! size in those heaps for ever, where whatever small outlives them pins them. With a million events written, that was
//! 600 MiB resident for 200 MiB in use.
//!
//! Invariant: nothing but [`settle`] is here, and it only sets what the C library documents as settable at any time.

/// Heaps that threads share.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: i32 = 2;
/// Larger buffers come from the system and go back to it at once. Also given back: so much free memory at the end of a heap.
/// With 2 MiB the store's writer is a tenth faster, but the server starts in 220 ms instead of 20 and holds 460 MiB instead of
/// 346 once a million events are written.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE_BYTES: i32 = 128 * 1024;

/// Has the heap give back what is free. To be called first thing, before there are threads; does nothing where the C library is
/// not glibc, and nothing it cannot do.
pub fn settle() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (setting, value) in
        [(libc::M_ARENA_MAX, ARENAS), (libc::M_TRIM_THRESHOLD, LARGE_BYTES), (libc::M_MMAP_THRESHOLD, LARGE_BYTES)]
    {
        #[expect(unsafe_code, reason = "a call into the C library with two numbers, which it checks itself")]
        // SAFETY: mallopt takes no pointer, may be called at any time, and refuses values it does not like.
        unsafe {
            libc::mallopt(setting, value);
        }
    }
}
