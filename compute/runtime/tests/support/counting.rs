//! An allocator that counts, for the tests that say what allocates and how often: of this crate, and of both sides of the SDK.
//!
//! Whoever uses this module switches unsafe code on for it, as an allocator cannot be written without. Each call goes on
//! unchanged to the system's allocator, so the contract that the caller keeps is the one that is needed; beside it two numbers
//! grow, one of them in thread-local memory without a destructor.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

static EVERYWHERE: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static HERE: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() {
    EVERYWHERE.fetch_add(1, Ordering::Relaxed);
    let _gone = HERE.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is the system allocator's, with the arguments that it was given; counting touches no memory that is handed
// out, allocates nothing and does not panic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Allocations of all threads while `work` runs, and its result.
#[allow(dead_code, reason = "each test counts in one of two ways")]
pub(crate) fn everywhere<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = EVERYWHERE.load(Ordering::Relaxed);
    let result = work();
    (EVERYWHERE.load(Ordering::Relaxed) - before, result)
}

/// Allocations of this thread while `work` runs, and its result.
#[allow(dead_code, reason = "each test counts in one of two ways")]
pub(crate) fn here<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = HERE.with(Cell::get);
    let result = work();
    (HERE.with(Cell::get) - before, result)
}
