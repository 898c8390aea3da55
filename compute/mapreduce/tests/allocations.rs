//! A word count allocates next to nothing per word: not for lines, not for keys, not for values, not per group.

#[allow(unsafe_code, reason = "an allocator cannot be written without")]
#[path = "../../runtime/tests/support/counting.rs"]
mod counting;
mod words;

use mammoth_mapreduce::LocalInput;
use mammoth_mapreduce::prelude::*;
use words::Words;

#[derive(Clone)]
struct Total;

impl Reducer for Total {
    type Key = Text;
    type Value = u64;

    fn reduce(&mut self, key: &Text, values: &mut Values<'_, u64>, out: &mut Output<'_>) -> Outcome {
        out.emit(key, values.sum::<u64>());
        Ok(())
    }
}

/// So many words of a vocabulary of 20,000, in lines of about ten.
fn text(words: u64) -> String {
    let mut text = String::with_capacity(usize::try_from(words * 9).expect("it fits"));
    let mut state = 3_u64;
    for word in 0..words {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = (state >> 40) % ((state >> 20) % 20_000 + 1);
        text.push_str("word");
        text.push_str(&number.to_string());
        text.push(if word % 10 == 9 { '\n' } else { ' ' });
    }
    text
}

// One test, as the counter is the whole process's.
#[test]
fn words_cost_no_allocations() {
    const WORDS: u64 = 1_000_000;
    let text = text(WORDS);
    let folding = Job::new("fold").mapper(Words).fold(Sum::new()).reducer(Identity::new());
    let sorting = Job::new("sort").mapper(Words).reducer(Total);
    for (name, job) in [("fold", folding), ("sort", sorting)] {
        let input = LocalInput::text(&text).in_splits_of(4 << 20);
        let (allocations, result) = counting::everywhere(|| job.run_local(input).unwrap());
        let counted: u64 =
            result.lines().iter().map(|line| line.split_once('\t').unwrap().1.parse::<u64>().unwrap()).sum();
        assert_eq!(counted, WORDS);
        println!("{name}: {allocations} allocations for {WORDS} words");
        assert!(allocations * 100 <= WORDS, "{name}: {allocations} allocations for {WORDS} words");
    }
}
