//! Counting words allocates for batches, not for words.
//!
//! The counting allocator is the system's with a counter before it: it hands on what it is given and changes nothing, so it
//! keeps every promise that the system's allocator keeps.
#![allow(unsafe_code)]

use mammoth_rdd::{Context, Text};
use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator with the same arguments; counting neither allocates nor panics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn counting_words_allocates_at_most_once_for_a_hundred_words() {
    let dir = tempfile::tempdir().unwrap();
    let mut text = String::new();
    let mut words = 0_u64;
    let mut state = 1_u64;
    while words < 1_000_000 {
        for _ in 0..10 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            write!(text, "word{} ", (state >> 33) % 5000).unwrap();
            words += 1;
        }
        text.push('\n');
    }
    std::fs::write(dir.path().join("in.txt"), &text).unwrap();
    drop(text);
    let uri = |name: &str| format!("file://{}/{name}", dir.path().display());
    let context = Context::local("local[2]").unwrap();
    let count = |out: &str| {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        context
            .text_file(&uri("in.txt"), 4)
            .unwrap()
            .flat_map_ref(|line: &Text, out| {
                out.extend(line.split_whitespace().map(|word| (line.slice_of(word), 1_u64)))
            })
            .reduce_by_key(|a, b| a + b, 2)
            .save_pairs_as_text_file(&uri(out))
            .unwrap();
        ALLOCATIONS.load(Ordering::Relaxed) - before
    };
    count("warm");
    let allocations = count("out");
    let per_word = allocations as f64 / words as f64;
    println!("{allocations} allocations for {words} words: {per_word:.5} each");
    assert!(per_word <= 0.01, "{per_word} allocations for each word");
}
