//! Counting words allocates for batches, not for words.

#[allow(unsafe_code, reason = "an allocator cannot be written without")]
#[path = "../../runtime/tests/support/counting.rs"]
mod counting;

use mammoth_rdd::{Context, Text};
use std::fmt::Write as _;

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
        let work = || {
            context
                .text_file(&uri("in.txt"), 4)
                .unwrap()
                .flat_map_ref(|line: &Text, out| {
                    out.extend(line.split_whitespace().map(|word| (line.slice_of(word), 1_u64)))
                })
                .reduce_by_key(|a, b| a + b, 2)
                .save_pairs_as_text_file(&uri(out))
                .unwrap();
        };
        counting::everywhere(work).0
    };
    count("warm");
    let allocations = count("out");
    let per_word = allocations as f64 / words as f64;
    println!("{allocations} allocations for {words} words: {per_word:.5} each");
    assert!(per_word <= 0.01, "{per_word} allocations for each word");
}
