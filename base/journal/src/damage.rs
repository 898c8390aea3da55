//! Damage to the files of a journal, wherever it is: a start is refused with the file named, or it has lost nothing that was
//! acknowledged.

use crate::checkpoint::{CheckpointStore, Mark, SledStore};
use crate::error::JournalError;
use crate::group::GroupCommit;
use crate::log::codec::{Decoded, Header, decode_record};
use crate::log::{FileDisk, Log, LogDisk, segment_name};
use crate::recover::{Recovered, recover};
use crate::testing::{Rows, Toy};
use mammoth_platform::{Entropy, SeededEntropy};
use mammoth_protocol::Seq;
use mammoth_protocol::journaled::Journaled;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

type StoredRows = BTreeMap<Vec<u8>, Vec<u8>>;

const CLUSTER: &str = "CID-damage";

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A log of three segments as a kill leaves it, in writes of one to five records, and the state after each record.
fn log_of_a_killed_process(dir: &Path) -> (Vec<Rows>, Vec<Seq>) {
    let random = SeededEntropy::new(11);
    let mut disk = FileDisk::new(dir);
    Log::format(&mut disk, CLUSTER).unwrap();
    let mut oracle = vec![Rows::new()];
    let mut writes = Vec::new();
    for _ in 0..3 {
        let store = crate::checkpoint::MemoryStore::new();
        let Recovered { state: mut toy, mut log, .. } =
            recover(FileDisk::new(dir), &store, CLUSTER, Toy::empty()).unwrap();
        let mut group: GroupCommit<Seq> = GroupCommit::new(log.term(), log.last());
        for write in 1..=12_u64 {
            for _ in 0..=write % 5 {
                let edits = toy.decide(&random);
                let next = group.next_seq();
                let seq = group.decided(|out| Toy::encode_edits(&edits, out), next).unwrap();
                edits.iter().for_each(|edit| toy.apply(seq, edit));
                oracle.push(toy.rows.clone());
            }
            let records = group.next_group().unwrap();
            log.append(&records).unwrap();
            log.sync().unwrap();
            group.synced(records.last);
            writes.push(records.first);
        }
    }
    (oracle, writes)
}

/// Opens a damaged log: the last record of what was found; or why it was refused.
fn start(dir: &Path, oracle: &[Rows]) -> Result<(Seq, bool), String> {
    let store = crate::checkpoint::MemoryStore::new();
    let found = recover(FileDisk::new(dir), &store, CLUSTER, Toy::empty()).map_err(|error| error.to_string())?;
    let last = found.log.last();
    assert_eq!(found.state.rows, oracle[usize::try_from(last.0).unwrap()], "the state after record {last}");
    Ok((last, found.stats.torn.is_some()))
}

fn segments(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let all = FileDisk::new(dir).segments().unwrap();
    let paths = all.into_iter().map(|segment| dir.join(segment_name(segment)));
    paths.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// Where a segment's records begin, the end included.
fn borders(bytes: &[u8]) -> Vec<usize> {
    let (_, mut at) = Header::decode(bytes).unwrap();
    let mut borders = vec![at];
    while let Decoded::Record(record) = decode_record(&bytes[at..]) {
        at += record.encoded_len();
        borders.push(at);
    }
    assert!(bytes[at..].iter().all(|byte| *byte == 0), "only room behind the last record");
    borders
}

/// Every byte of headers, of the first and last two records and of the beginning of the room behind, and others by chance.
fn places(bytes: &[u8], random: &SeededEntropy) -> Vec<usize> {
    let borders = borders(bytes);
    let inner = borders[2.min(borders.len() - 1)]..borders[borders.len().saturating_sub(3)];
    let chosen = |at: &usize| !inner.contains(at) || random.next_u64().is_multiple_of(16);
    let end = bytes.len().min(borders[borders.len() - 1] + 50);
    (0..end).filter(chosen).collect()
}

#[test]
fn a_flipped_bit_anywhere_in_the_log_is_refused_with_its_place_or_was_never_acknowledged_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (oracle, writes) = log_of_a_killed_process(dir.path());
    let (random, last_write) = (SeededEntropy::new(12), *writes.last().unwrap());
    let (mut refused, mut cut) = (0, 0);
    let all = segments(dir.path());
    for (number, (path, good)) in all.iter().enumerate() {
        let name = path.file_name().unwrap().to_str().unwrap();
        for at in places(good, &random) {
            let mut bad = good.clone();
            bad[at] ^= 1 << (random.next_u64() % 8);
            std::fs::write(path, &bad).unwrap();
            match start(dir.path(), &oracle) {
                Err(error) => {
                    assert!(error.contains(name) && error.contains("at byte "), "byte {at}: {error}");
                    assert_eq!(std::fs::read(path).unwrap(), bad, "evidence is kept");
                    refused += 1;
                }
                Ok((last, torn)) => {
                    // The last write of a process that did not end in order: nobody can tell it from one that a power cut
                    // interrupted. The datanodes know better; see the process tests.
                    assert!(number + 1 == all.len() && torn && last.0 + 1 >= last_write.0, "{name}, byte {at}: {last}");
                    std::fs::remove_file(dir.path().join(segment_name(Seq(last.0 + 1)))).unwrap();
                    cut += 1;
                }
            }
            std::fs::write(path, good).unwrap();
        }
    }
    assert!(refused > 500 && cut > 20, "refused {refused}, cut {cut}");
}

#[test]
fn a_log_that_is_cut_anywhere_is_refused_with_its_place_or_ends_before_the_cut() {
    let dir = tempfile::tempdir().unwrap();
    let (oracle, _) = log_of_a_killed_process(dir.path());
    let random = SeededEntropy::new(13);
    let all = segments(dir.path());
    for (number, (path, good)) in all.iter().enumerate() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let borders = borders(good);
        for at in places(good, &random) {
            std::fs::write(path, &good[..at]).unwrap();
            match start(dir.path(), &oracle) {
                Err(error) if borders.contains(&at) => {
                    // Whole records, but too few of them: the next segment says so.
                    assert!(number + 1 < all.len() && error.contains("incomplete"), "{name} to {at}: {error}");
                }
                Err(error) => assert!(error.contains(name) && error.contains("at byte "), "{name} to {at}: {error}"),
                Ok((last, torn)) => {
                    assert_eq!(number + 1, all.len(), "{name} to {at}: further segments follow");
                    let end = borders.iter().rfind(|border| **border <= at).map_or(0, |border| *border);
                    assert_eq!(torn, good[end..at].iter().any(|byte| *byte != 0), "{name} to {at}");
                    let own = segment_name(Seq(last.0 + 1));
                    if own != name {
                        std::fs::remove_file(dir.path().join(own)).unwrap();
                    }
                }
            }
            std::fs::write(path, good).unwrap();
        }
    }
}

#[test]
fn a_segment_that_is_gone_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    let (oracle, _) = log_of_a_killed_process(dir.path());
    let all = segments(dir.path());
    for (path, good) in &all[..all.len() - 1] {
        std::fs::remove_file(path).unwrap();
        let error = start(dir.path(), &oracle).unwrap_err();
        assert!(
            error.contains("incomplete") && error.contains("edits_") || error.contains("begins at record"),
            "{error}"
        );
        std::fs::write(path, good).unwrap();
    }
}

/// A store of some thousand rows after six checkpoints, each of which changed a part, with the next one begun if `midway`.
fn checkpoints(dir: &Path, midway: bool) -> (SledStore, StoredRows) {
    let random = SeededEntropy::new(14);
    let mut store = SledStore::open(dir).unwrap();
    let mut rows = BTreeMap::new();
    let change = |store: &mut SledStore, rows: &mut StoredRows, parts: u64| {
        for key in 0..3000_u64 {
            let chance = random.next_u64() % parts;
            let (key, value) = (key.to_be_bytes().to_vec(), random.next_u64().to_be_bytes().repeat(80));
            if chance == 0 {
                store.put(&key, &value).unwrap();
                rows.insert(key, value);
            } else if chance == 1 {
                store.delete(&key).unwrap();
                rows.remove(&key);
            }
        }
    };
    for round in 1..=6 {
        store.set_mark(Mark::Highest, Seq(round)).unwrap();
        change(&mut store, &mut rows, if round == 1 { 1 } else { 8 });
        store.sync().unwrap();
        store.set_mark(Mark::Applied, Seq(round)).unwrap();
        store.sync().unwrap();
    }
    if midway {
        change(&mut store, &mut rows, 30);
    }
    (store, rows)
}

fn read(dir: &Path) -> Result<(Seq, StoredRows), JournalError> {
    let store = SledStore::open(dir)?;
    let mut rows = BTreeMap::new();
    store.for_each(&mut |key, value| {
        rows.insert(key.to_vec(), value.to_vec());
        Ok(())
    })?;
    Ok((store.mark(Mark::Applied)?, rows))
}

/// Damages a copy of a store at many places, one at a time; counts what was refused, and what went back to an older whole.
fn damaged_everywhere(good: &Path, work: &Path, rows: &StoredRows, seed: u64) -> (u32, u32, u32) {
    let random = SeededEntropy::new(seed);
    let (mut refused, mut back, mut whole) = (0, 0, 0);
    let files: Vec<PathBuf> = std::fs::read_dir(good)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && path.metadata().unwrap().len() > 0)
        .collect();
    for path in files {
        let bytes = std::fs::read(&path).unwrap();
        for round in 0..40_u64 {
            let mut bad = bytes.clone();
            let at = usize::try_from(random.next_u64() % bytes.len() as u64).unwrap();
            match round % 4 {
                // A sector that reads as zeros, the end that is missing, a bit.
                0 => bad[at..(at + 4096).min(bytes.len())].fill(0),
                1 => bad.truncate(at),
                _ => bad[at] ^= 1 << (random.next_u64() % 8),
            }
            let copy = work.join("copy");
            copy_tree(good, &copy);
            std::fs::write(copy.join(path.file_name().unwrap()), bad).unwrap();
            match read(&copy) {
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains(copy.to_str().unwrap()), "{}, {round} at {at}: {text}", path.display());
                    refused += 1;
                }
                // The log's missing beginning tells.
                Ok((applied, _)) if applied < Seq(6) => back += 1,
                Ok((_, found)) => {
                    assert!(found == *rows, "{}, {round} at {at}: {} rows", path.display(), found.len());
                    whole += 1;
                }
            }
            std::fs::remove_dir_all(&copy).unwrap();
        }
    }
    (refused, back, whole)
}

#[test]
fn damage_to_the_checkpoints_files_is_refused_or_takes_the_marks_back() {
    // sled says what it thinks of its files by panicking, on threads of its own too.
    let hook = std::panic::take_hook();
    for orderly in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let (live, good) = (dir.path().join("live"), dir.path().join("good"));
        let (store, rows) = checkpoints(&live, false);
        if orderly {
            drop(store);
            copy_tree(&live, &good);
        } else {
            copy_tree(&live, &good);
            drop(store);
        }
        let (refused, back, whole) = damaged_everywhere(&good, dir.path(), &rows, 15);
        println!("orderly {orderly}: refused {refused}, back {back}, whole {whole}");
        assert!(refused > 0 && whole > 0, "refused {refused}, back {back}, whole {whole}");
    }
    std::panic::set_hook(hook);
}

#[test]
fn a_checkpoint_that_was_interrupted_is_read_and_a_later_one_seals_it() {
    let dir = tempfile::tempdir().unwrap();
    let (live, killed) = (dir.path().join("live"), dir.path().join("killed"));
    let (mut store, _) = checkpoints(&live, true);
    store.sync().unwrap();
    copy_tree(&live, &killed);
    drop(store);
    let (applied, rows) = read(&killed).unwrap();
    assert_eq!(applied, Seq(6));
    let mut store = SledStore::open(&killed).unwrap();
    store.put(b"more", b"value").unwrap();
    store.sync().unwrap();
    store.set_mark(Mark::Applied, Seq(7)).unwrap();
    store.sync().unwrap();
    drop(store);
    let (applied, found) = read(&killed).unwrap();
    assert_eq!((applied, found.len()), (Seq(7), rows.len() + 1));
}

#[test]
fn a_checkpoint_of_the_first_layout_gets_its_seal() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (mut store, _) = checkpoints(dir.path(), false);
        store.forget_seal().unwrap();
    }
    let error = read(dir.path()).unwrap_err().to_string();
    assert!(error.contains("it has rows and no seal"), "{error}");
    SledStore::open(dir.path()).unwrap().seal_first().unwrap();
    assert_eq!(read(dir.path()).unwrap().0, Seq(6));
}
