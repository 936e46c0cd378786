//! Counts the allocations of each thread and their bytes, for tests that none are made, or that all are freed.
#![allow(unsafe_code)] // An allocator is unsafe by its trait.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, which also counts what this thread asks of it.
struct Counting;

thread_local! {
    pub(crate) static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    /// Bytes that this thread has allocated, less those it has freed.
    pub(crate) static LIVE: Cell<isize> = const { Cell::new(0) };
    /// The largest value of `LIVE` since a test has set this one.
    pub(crate) static PEAK: Cell<isize> = const { Cell::new(0) };
}

// SAFETY: every call is handed to the system's allocator unchanged; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        let _ = LIVE.try_with(|bytes| {
            bytes.set(bytes.get() + layout.size() as isize);
            PEAK.try_with(|peak| peak.set(peak.get().max(bytes.get())))
        });
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        let _ = LIVE.try_with(|bytes| bytes.set(bytes.get() - layout.size() as isize));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
