//! An allocator that counts what each thread holds, and hands everything to the system's.
//!
//! `unsafe` because the trait is; each method passes its arguments on unchanged, so the caller's promises are the system
//! allocator's conditions. The counters are plain cells of the thread, which never allocate.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Bytes allocated less bytes freed by this thread; others may free what it allocated.
    static HELD: Cell<isize> = const { Cell::new(0) };
    /// The highest value of the former since it was last set.
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn grown(by: isize) {
    let held = HELD.get().wrapping_add(by);
    HELD.set(held);
    PEAK.set(PEAK.get().max(held));
}

fn signed(bytes: usize) -> isize {
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

// SAFETY: every method is the system allocator's, with the same arguments; counting touches no memory of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(signed(layout.size()));
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grown(signed(layout.size()));
        // SAFETY: as the caller promised.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        grown(-signed(layout.size()));
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // Both may exist for a moment, but only one of them was asked for.
        grown(signed(new_size) - signed(layout.size()));
        // SAFETY: as the caller promised.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

/// Does some work on this thread; the most bytes that it held at a time, and its result.
pub fn peak<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = HELD.get();
    PEAK.set(before);
    let result = work();
    (usize::try_from(PEAK.get().wrapping_sub(before)).unwrap_or(0), result)
}
