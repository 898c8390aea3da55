//! What a record costs, nanoseconds of one thread's processor time: `cargo test --release -p mammoth-runtime --test speed -- --ignored --nocapture`.
//!
//! Ignored, as a busy machine would fail it; the numbers are for whoever changes the data path.

use mammoth_platform::{Entropy, SeededEntropy};
use mammoth_runtime::fold::{FoldConfig, FoldTable, MergeFn};
use mammoth_runtime::key::{self, KeyEncode};
use mammoth_runtime::memory::{Accountant, Reservation};
use mammoth_runtime::merge::{Groups, RecordStream, merge_runs};
use mammoth_runtime::run::{Run, RunFile, SpillConfig};
use mammoth_runtime::shuffle::{Codec, OutputReader, OutputWriter, paths};
use mammoth_runtime::sort::{SortConfig, Sorter};
use mammoth_runtime::text::Text;
use std::hint::black_box;
use std::sync::Arc;

const WORDS: u64 = 4_000_000;

fn reservation() -> Reservation {
    Accountant::new(u64::MAX).begin_task().reservation()
}

fn measure<T>(what: &str, records: u64, work: impl FnOnce() -> T) -> T {
    let time = || rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let before = time();
    let result = work();
    let after = time();
    let ns = (after.tv_sec - before.tv_sec) * 1_000_000_000 + (after.tv_nsec - before.tv_nsec);
    println!("{what:<44} {:>7.1} ns a record", ns as f64 / records as f64);
    result
}

/// Words of which few are frequent: about 30,000 different ones.
fn words() -> Vec<String> {
    let entropy = SeededEntropy::new(3);
    let word = |_| {
        let bits = entropy.next_u64();
        format!("w{}", (bits & 0xffff_ffff) % (2 << (bits >> 60)))
    };
    (0..WORDS).map(word).collect()
}

#[test]
#[ignore = "measures"]
fn texts_and_keys() {
    let words = words();
    let text: Arc<str> = Arc::from(words.join(" "));
    let line = Text::of_buffer(&text, 0..text.len());
    measure("split a text, borrowed", WORDS, || {
        line.split_ascii_whitespace().for_each(|word| {
            black_box(word);
        });
    });
    let texts: Vec<Text> =
        measure("split into texts", WORDS, || line.split_ascii_whitespace().map(|word| line.slice_of(word)).collect());
    measure("text as str (checked)", WORDS, || {
        texts.iter().for_each(|text| {
            black_box(text.as_str());
        });
    });
    let mut encoded = Vec::new();
    measure("encode a text", WORDS, || {
        for text in &texts {
            encoded.clear();
            text.encode_key(&mut encoded);
            black_box(&encoded);
        }
    });
    measure("encode and hash a text", WORDS, || {
        for text in &texts {
            encoded.clear();
            text.encode_key(&mut encoded);
            black_box(key::hash(&encoded));
        }
    });
}

#[test]
#[ignore = "measures"]
fn fold() {
    let dir = tempfile::tempdir().unwrap();
    let words = words();
    let text: Arc<str> = Arc::from(words.join(" "));
    let line = Text::of_buffer(&text, 0..text.len());
    let config = FoldConfig { partitions: 4, partition: None, memory: 1 << 30, spill: SpillConfig::new(dir.path()) };
    let merge: MergeFn<u64> = Arc::new(|into, from| *into += from);
    let mut table = FoldTable::new(config, merge, reservation());
    let mut encoded = Vec::new();
    measure("split, encode, fold", WORDS, || {
        for word in line.split_ascii_whitespace() {
            let word = line.slice_of(word);
            encoded.clear();
            word.encode_key(&mut encoded);
            table.fold(&encoded, 1, |one| one, |sum, one| *sum += one).unwrap();
        }
    });
    let (mut keys, mut ends) = (Vec::new(), vec![0]);
    for word in &words {
        word.encode_key(&mut keys);
        ends.push(keys.len());
    }
    let each = |work: &mut dyn FnMut(&[u8])| ends.windows(2).for_each(|range| work(&keys[range[0]..range[1]]));
    measure("hash encoded keys", WORDS, || {
        each(&mut |key| {
            black_box(key::hash(key));
        });
    });
    measure("fold encoded keys", WORDS, || {
        each(&mut |key| table.fold(key, 1, |one| one, |sum, one| *sum += one).unwrap());
    });
    let out = OutputWriter::create(dir.path(), "out", 4, Codec::None).unwrap();
    let (finished, _) = measure("sort and write the table (per input record)", WORDS, || table.finish(out).unwrap());
    println!("{} different words", finished.records);
}

#[test]
#[ignore = "measures"]
fn sort_spill_and_merge() {
    for (name, words) in [
        ("words", words()),
        ("random keys of 10 bytes", {
            let entropy = SeededEntropy::new(5);
            (0..WORDS).map(|_| format!("{:010x}", entropy.next_u64() >> 24)).collect()
        }),
    ] {
        for (memory, codec) in [(1 << 30, Codec::None), (32 << 20, Codec::None), (32 << 20, Codec::Lz4)] {
            println!("-- {name}, {} MiB, {codec:?}", memory >> 20);
            let dir = tempfile::tempdir().unwrap();
            let spill = SpillConfig { codec, ..SpillConfig::new(dir.path()) };
            let config = SortConfig { partitions: 4, memory, spill_percent: 0.8, spill: spill.clone() };
            let mut sorter = Sorter::new(config, None, reservation());
            let mut encoded = Vec::new();
            measure("add (and spill)", WORDS, || {
                for word in &words {
                    encoded.clear();
                    word.encode_key(&mut encoded);
                    sorter.add(key::partition_of(&encoded, 4), &encoded, &[1]).unwrap();
                }
            });
            let out = OutputWriter::create(dir.path(), "out", 4, codec).unwrap();
            let (finished, stats) = measure("finish", WORDS, || sorter.finish(out).unwrap());
            let share = |ns: u64| ns / WORDS;
            let (sort, write, merge) = (share(stats.sort_ns), share(stats.spill_ns), share(stats.merge_ns));
            println!("   {} spills; sort {sort}, write {write}, merge {merge}; {} bytes", stats.spills, finished.bytes);
            let index = OutputReader::open(dir.path(), "out").unwrap().index().clone();
            let run = |at: usize| Run::File(RunFile::borrowed(paths(dir.path(), "out").0, index.segments[at]));
            let (mut stream, _) = merge_runs((0..4).map(run).collect(), &spill, None).unwrap();
            measure("merge four segments", WORDS, || {
                while stream.advance().unwrap() {
                    black_box((stream.key(), stream.value()));
                }
            });
            let (stream, _) = merge_runs(vec![run(0)], &spill, None).unwrap();
            let mut groups = Groups::new(stream);
            measure("group one segment", index.segments[0].records, || {
                while groups.advance_group().unwrap() {
                    while groups.advance_value().unwrap() {
                        black_box(groups.value());
                    }
                }
            });
        }
    }
}
