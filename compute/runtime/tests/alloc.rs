//! The data path does not allocate per record: counted by an allocator that hands everything to the system's.

#[allow(unsafe_code, reason = "an allocator cannot be written without")]
#[path = "support/counting.rs"]
mod counting;

use counting::here as allocations;
use mammoth_platform::{Entropy, SeededEntropy};
use mammoth_runtime::fold::{FoldConfig, FoldTable, MergeFn};
use mammoth_runtime::key::{self, KeyEncode};
use mammoth_runtime::memory::Accountant;
use mammoth_runtime::merge::{Groups, merge_runs};
use mammoth_runtime::run::SpillConfig;
use mammoth_runtime::shuffle::{Codec, OutputReader, OutputWriter};
use mammoth_runtime::sort::{SortConfig, Sorter};
use mammoth_runtime::text::Text;
use std::path::Path;
use std::sync::Arc;

const LINES: u64 = 20_000;
const WORDS_PER_LINE: u64 = 10;
const WORDS: u64 = LINES * WORDS_PER_LINE;

/// Lines of words, few of which are frequent; some are longer than fits into a [`Text`].
fn text() -> Arc<str> {
    let entropy = SeededEntropy::new(7);
    let mut text = String::new();
    for _ in 0..LINES {
        for _ in 0..WORDS_PER_LINE {
            let bits = entropy.next_u64();
            let word = bits % (1 << (bits >> 60));
            let tail = if word.is_multiple_of(17) { "-and-a-long-end" } else { "" };
            text.push_str(&format!("w{word}{tail} "));
        }
        text.push('\n');
    }
    Arc::from(text)
}

/// Every word of the text, as the mappers of both modes see it, with its encoding.
fn for_each_word(text: &Arc<str>, mut work: impl FnMut(&[u8])) {
    let mut key = Vec::with_capacity(64);
    let mut at = 0;
    for line in text.lines() {
        let line_text = Text::of_buffer(text, at..at + line.len());
        at += line.len() + 1;
        for word in line_text.split_ascii_whitespace() {
            let word = line_text.slice_of(word);
            key.clear();
            word.encode_key(&mut key);
            work(&key);
        }
    }
}

fn spill(dir: &Path) -> SpillConfig {
    SpillConfig { codec: Codec::Lz4, ..SpillConfig::new(dir) }
}

fn few(what: &str, allocations: u64, records: u64) {
    assert!(allocations * 100 <= records, "{what}: {allocations} allocations for {records} records");
}

#[test]
fn words_are_folded_without_allocating() {
    let dir = tempfile::tempdir().unwrap();
    let text = text();
    let accountant = Accountant::new(64 << 20);
    let merge: MergeFn<u64> = Arc::new(|into, from| *into += from);
    let config = FoldConfig { partitions: 4, partition: None, memory: 64 << 20, spill: spill(dir.path()) };
    let mut table = FoldTable::new(config, merge, accountant.begin_task().reservation());
    let (count, ()) = allocations(|| {
        for_each_word(&text, |key| table.fold(key, 1, |one| one, |sum, one| *sum += one).unwrap());
    });
    few("fold", count, WORDS);
    let out = OutputWriter::create(dir.path(), "out", 4, Codec::Lz4).unwrap();
    let (count, (finished, stats)) = allocations(|| table.finish(out).unwrap());
    assert_eq!((stats.records, stats.spills), (WORDS, 0));
    assert!(finished.records > 1000);
    few("write", count, WORDS);
}

#[test]
fn words_are_sorted_spilled_merged_and_grouped_without_allocating() {
    let dir = tempfile::tempdir().unwrap();
    let text = text();
    let accountant = Accountant::new(64 << 20);
    let config = SortConfig { partitions: 2, memory: 2 << 20, spill_percent: 0.8, spill: spill(dir.path()) };
    let mut sorter = Sorter::new(config, None, accountant.begin_task().reservation());
    let (count, ()) = allocations(|| {
        for_each_word(&text, |key| sorter.add(key::partition_of(key, 2), key, &[1]).unwrap());
    });
    few("sort and spill", count, WORDS);
    let out = OutputWriter::create(dir.path(), "out", 2, Codec::Lz4).unwrap();
    let (count, (_, stats)) = allocations(|| sorter.finish(out).unwrap());
    assert!(stats.spills >= 2, "{stats:?}");
    few("merge", count, WORDS);

    let reader = OutputReader::open(dir.path(), "out").unwrap();
    let mut segment = reader.segment(1).unwrap();
    let (count, records) = allocations(|| {
        let mut records = 0;
        while let Some(frame) = segment.next_frame().unwrap() {
            records += mammoth_runtime::record::Records::new(frame.payload).filter(Result::is_ok).count() as u64;
        }
        records
    });
    few("read", count, records);

    let run = mammoth_runtime::run::RunFile::borrowed(
        mammoth_runtime::shuffle::paths(dir.path(), "out").0,
        reader.index().segments[0],
    );
    let (stream, _) = merge_runs(vec![mammoth_runtime::run::Run::File(run)], &spill(dir.path()), None).unwrap();
    let mut groups = Groups::new(stream);
    let (count, ()) = allocations(|| {
        while let Some(mut group) = groups.next_group().unwrap() {
            while group.next_value().unwrap().is_some() {}
        }
    });
    assert_eq!(groups.records() + records, WORDS);
    few("group", count, groups.records());
}
