//! The two disks behave alike, and what a reader makes of every kind of end.

use super::*;
use crate::checkpoint::MemoryStore;
use crate::recover::{Recovered, recover};
use crate::testing::Toy;
use codec::encode_record;

const CLUSTER: &str = "CID-test";

/// Groups of one decision each, but for the sizes given.
fn groups(first: u64, sizes: &[u64]) -> Vec<Group> {
    let mut seq = first;
    let mut groups = Vec::new();
    for size in sizes {
        let mut bytes = Vec::new();
        for place in 0..*size {
            let edits = if seq + place == 1 {
                vec![crate::testing::Edit::Create(0, crate::testing::TOTAL)]
            } else {
                vec![crate::testing::Edit::Add(0, 5), crate::testing::Edit::Add(0, -5)]
            };
            let encode = |out: &mut Vec<u8>| <Toy as mammoth_protocol::journaled::Journaled>::encode_edits(&edits, out);
            encode_record(&mut bytes, Seq(seq + place), Term(1), u32::try_from(place).unwrap(), encode).unwrap();
        }
        groups.push(Group { first: Seq(seq), last: Seq(seq + size - 1), bytes });
        seq += size;
    }
    groups
}

/// A log in memory with these groups, synced; all in one segment.
fn written(sizes: &[u64]) -> MemoryDisk {
    let mut disk = MemoryDisk::new();
    Log::format(&mut disk, CLUSTER).unwrap();
    let mut log = Log::begin(disk.clone(), CLUSTER, Term(1), Seq(0), vec![Seq(1)]).unwrap();
    for group in groups(1, sizes) {
        log.append(&group).unwrap();
        log.sync().unwrap();
    }
    disk
}

fn load(disk: &MemoryDisk) -> Result<Recovered<Toy, MemoryDisk>, JournalError> {
    recover(disk.clone(), &MemoryStore::new(), CLUSTER, Toy::empty())
}

/// Where the records of a segment stand: start and end of each.
fn places(bytes: &[u8]) -> Vec<(usize, usize)> {
    let (_, mut at) = Header::decode(bytes).unwrap();
    let mut places = Vec::new();
    while let codec::Decoded::Record(record) = codec::decode_record(&bytes[at..]) {
        places.push((at, at + record.encoded_len()));
        at += record.encoded_len();
    }
    places
}

fn conformance(mut disk: impl LogDisk) {
    let read = |disk: &dyn LogDisk, segment| {
        let mut bytes = Vec::new();
        disk.read(segment).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    // An open segment may have room behind its records.
    let records = |disk: &dyn LogDisk, segment| {
        let bytes = read(disk, segment);
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        bytes[..end].to_vec()
    };
    assert_eq!(disk.segments().unwrap(), []);
    assert!(disk.append(b"x").is_err() && disk.sync().is_err(), "nothing is open");
    assert!(disk.read(Seq(1)).is_err());
    disk.create(Seq(1), b"head").unwrap();
    disk.append(b"one").unwrap();
    disk.append(b"two").unwrap();
    disk.sync().unwrap();
    disk.create(Seq(30), b"h").unwrap();
    disk.append(b"three").unwrap();
    assert_eq!(disk.segments().unwrap(), [Seq(1), Seq(30)]);
    assert_eq!(read(&disk, Seq(1)), b"headonetwo");
    assert_eq!(records(&disk, Seq(30)), b"hthree");
    disk.cut(Seq(1), 7).unwrap();
    assert_eq!(read(&disk, Seq(1)), b"headone");
    disk.create(Seq(30), b"again").unwrap();
    assert_eq!(read(&disk, Seq(30)), b"again", "a segment of the same name is begun anew");
    disk.remove(Seq(1)).unwrap();
    assert_eq!(disk.segments().unwrap(), [Seq(30)]);
    disk.append(b"!").unwrap();
    disk.sync().unwrap();
    assert_eq!(records(&disk, Seq(30)), b"again!");
    assert!(disk.cut(Seq(7), 0).is_err());
}

use std::io::Read as _;

#[test]
fn the_memory_disk_conforms() {
    conformance(MemoryDisk::new());
}

#[test]
fn the_file_disk_conforms_and_ignores_other_files() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["edits_1", "edits_0000000000000000000x", "edits_00000000000000000009.tmp", "VERSION"] {
        std::fs::write(dir.path().join(name), b"?").unwrap();
    }
    conformance(FileDisk::new(dir.path()));
}

#[test]
fn the_memory_disk_loses_what_was_not_synced() {
    for (tear, left) in [
        (Tear::Lost, b"hsynced".as_slice()),
        (Tear::Prefix(2), b"hsyncedlo"),
        (Tear::Prefix(99), b"hsyncedlost"),
        (Tear::Hole(3), b"hsynced\0\0\0t"),
        (Tear::Kept, b"hsyncedlost"),
    ] {
        let mut disk = MemoryDisk::new();
        disk.create(Seq(1), b"h").unwrap();
        disk.append(b"synced").unwrap();
        disk.sync().unwrap();
        disk.append(b"lost").unwrap();
        disk.crash(tear);
        let bytes = disk.bytes(Seq(1));
        assert!(bytes.starts_with(left) && bytes.len() > left.len(), "{tear:?}: {bytes:?}");
        assert!(bytes[left.len()..].iter().all(|byte| *byte == 0), "{tear:?}: room behind, {bytes:?}");
        assert!(disk.append(b"x").is_err(), "nothing is open after a crash");
    }
}

#[test]
fn segment_names_sort_like_their_sequences() {
    assert_eq!(segment_name(Seq(7)), "edits_00000000000000000007");
    assert_eq!(segment_of_name("edits_00000000000000000007"), Some(Seq(7)));
    assert_eq!(segment_of_name("edits_7"), None);
    assert_eq!(segment_of_name("edits_99999999999999999999"), None, "more than 64 bits");
}

#[test]
fn a_log_is_read_back_in_a_new_term() {
    let disk = written(&[1, 3, 2]);
    let first = load(&disk).unwrap();
    assert_eq!((first.log.last(), first.log.term(), first.stats.records_replayed), (Seq(6), Term(2), 6));
    assert_eq!(first.state.rows[&0].0, Seq(6));
    let again = load(&disk).unwrap();
    assert_eq!((again.log.last(), again.log.term()), (Seq(6), Term(3)), "a term begins even if nothing is written");
    assert_eq!(disk.segments().unwrap(), [Seq(1), Seq(7)]);
}

#[test]
fn a_tail_torn_at_any_byte_is_dropped_and_cut() {
    let whole = written(&[1, 1, 2, 1]).bytes(Seq(1));
    let places = places(&whole);
    assert_eq!(places.len(), 5);
    for length in places[0].0..=whole.len() {
        let disk = MemoryDisk::new();
        disk.damage(Seq(1), whole[..length].to_vec());
        let kept = places.iter().take_while(|(_, end)| *end <= length).count();
        let loaded = load(&disk).unwrap_or_else(|e| panic!("cut at {length}: {e}"));
        assert_eq!(loaded.log.last(), Seq(kept as u64), "cut at {length}");
        let end = if kept == 0 { places[0].0 } else { places[kept - 1].1 };
        // The first bytes of a length are zeros, and so is room.
        assert_eq!(loaded.stats.torn.is_some(), whole[end..length].iter().any(|byte| *byte != 0), "cut at {length}");
        assert_eq!(disk.bytes(Seq(if kept == 0 { 1 } else { kept as u64 + 1 })).len(), places[0].0, "a new segment");
        if kept > 0 {
            assert_eq!(disk.bytes(Seq(1)), whole[..end], "the torn bytes are gone");
        }
    }
}

#[test]
fn a_flipped_bit_before_the_last_write_is_refused_with_the_place() {
    let whole = written(&[1, 2, 1, 1]).bytes(Seq(1));
    let places = places(&whole);
    let last_write = places[4].0;
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        let disk = MemoryDisk::new();
        disk.damage(Seq(1), bytes.clone());
        if at >= last_write {
            // It cannot be told from a write that a crash cut short.
            assert_eq!(load(&disk).unwrap().log.last(), Seq(4), "flipped at {at}");
            continue;
        }
        let Err(JournalError::CorruptLog { segment, position, .. }) = load(&disk) else { panic!("flipped at {at}") };
        assert_eq!(segment, "edits_00000000000000000001");
        let start = places.iter().map(|(start, _)| *start).rfind(|start| *start <= at).unwrap_or(0);
        assert_eq!(position, start as u64, "flipped at {at}");
        assert_eq!(disk.bytes(Seq(1)), bytes, "nothing was changed");
    }
}

#[test]
fn garbage_behind_the_last_record_is_torn() {
    for tail in [vec![0xff; 40], b"no record".to_vec()] {
        let disk = written(&[2]);
        let mut bytes = disk.bytes(Seq(1));
        let end = bytes.len() as u64;
        bytes.extend_from_slice(&tail);
        disk.damage(Seq(1), bytes);
        let loaded = load(&disk).unwrap();
        let (_, torn) = loaded.stats.torn.unwrap();
        assert_eq!((torn.at, torn.bytes, loaded.log.last()), (end, tail.len() as u64, Seq(2)));
    }
}

#[test]
fn zeros_behind_the_last_record_are_room_unless_another_segment_follows() {
    for (zeros, torn) in [(1, b"".as_slice()), (27, b""), (5000, b""), (300_000, b""), (0, b"\x01"), (40, b"torn")] {
        let disk = written(&[2]);
        let whole = disk.bytes(Seq(1));
        let bytes = [&whole, torn, &vec![0; zeros]].concat();
        disk.damage(Seq(1), bytes.clone());
        let loaded = load(&disk).unwrap();
        assert_eq!(loaded.log.last(), Seq(2));
        let found = loaded.stats.torn.map(|(_, torn)| (torn.at, torn.bytes));
        assert_eq!(found, (!torn.is_empty()).then_some((whole.len() as u64, torn.len() as u64)), "{zeros} zeros");
        assert_eq!(disk.bytes(Seq(1)), whole, "cut behind the last record");
        disk.damage(Seq(1), bytes);
        let Err(JournalError::CorruptLog { position, what, .. }) = load(&disk) else { panic!("{zeros} zeros") };
        assert_eq!(position, whole.len() as u64);
        assert!(what.ends_with("and further segments follow"), "{what}");
    }
}

#[test]
fn files_have_room_ahead_and_none_once_they_are_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut disk = FileDisk::new(dir.path());
    let len = |segment| std::fs::metadata(dir.path().join(segment_name(segment))).unwrap().len();
    disk.create(Seq(1), b"header").unwrap();
    let mut written = b"header".to_vec();
    let mut lens = Vec::new();
    for round in 0..300_u64 {
        let bytes = vec![round as u8 | 1; 1 + 40 * round as usize];
        disk.append(&bytes).unwrap();
        disk.sync().unwrap();
        written.extend(bytes);
        lens.push(len(Seq(1)));
        assert!(lens[lens.len() - 1] >= written.len() as u64);
    }
    lens.dedup();
    assert!(lens.len() < 20, "it grew {} times", lens.len());
    let mut found = Vec::new();
    disk.read(Seq(1)).unwrap().read_to_end(&mut found).unwrap();
    let room = found.split_off(written.len());
    assert!(found == written && !room.is_empty() && room.iter().all(|byte| *byte == 0));
    disk.create(Seq(301), b"next").unwrap();
    assert_eq!((len(Seq(1)), len(Seq(301))), (written.len() as u64, 4));
}

#[test]
fn a_hole_in_the_write_that_a_power_cut_interrupted_is_torn() {
    let disk = written(&[1]);
    let mut log = load(&disk).unwrap().log;
    let group = groups(2, &[6]).remove(0);
    log.append(&group).unwrap();
    disk.crash(Tear::Hole(40));
    let loaded = load(&disk).unwrap();
    assert_eq!(loaded.log.last(), Seq(1), "no record of the write was ever synced");
}

#[test]
fn records_of_a_killed_process_are_durable_before_others_follow_them() {
    let next = |log: &Log<MemoryDisk>| {
        let (seq, mut bytes) = (Seq(log.last().0 + 1), Vec::new());
        let edits = [crate::testing::Edit::Add(0, 5), crate::testing::Edit::Add(0, -5)];
        let encode = |out: &mut Vec<u8>| <Toy as mammoth_protocol::journaled::Journaled>::encode_edits(&edits, out);
        encode_record(&mut bytes, seq, log.term(), 0, encode).unwrap();
        Group { first: seq, last: seq, bytes }
    };
    let disk = written(&[1]);
    let mut log = load(&disk).unwrap().log;
    // Written, and killed before the sync: the system still has it.
    log.append(&next(&log)).unwrap();
    drop(log);
    let mut log = load(&disk).unwrap().log;
    assert_eq!(log.last(), Seq(2));
    log.append(&next(&log)).unwrap();
    log.sync().unwrap();
    disk.crash(Tear::Lost);
    assert_eq!(load(&disk).unwrap().log.last(), Seq(3));
}

#[test]
fn records_and_segments_that_do_not_follow_are_refused() {
    let fails = |disk: &MemoryDisk, expected: &str| {
        let error = load(disk).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let disk = written(&[1]);
    let mut bytes = disk.bytes(Seq(1));
    bytes.extend_from_slice(&groups(3, &[1])[0].bytes);
    disk.damage(Seq(1), bytes);
    fails(&disk, "record 3 stands where record 2 is expected");

    let disk = written(&[2]);
    drop(load(&disk).unwrap());
    let mut first = disk.bytes(Seq(1));
    first.truncate(first.len() - 1);
    disk.damage(Seq(1), first);
    fails(&disk, "it is cut short, and further segments follow");

    let disk = written(&[2]);
    let next = Header { cluster: CLUSTER.to_owned(), term: Term(1), first: Seq(5) };
    disk.damage(Seq(5), next.encode());
    fails(&disk, "edits_00000000000000000005 follows record 2");
    disk.damage(Seq(3), next.encode());
    fails(&disk, "the header is of segment edits_00000000000000000005");
    let old = Header { term: Term(0), first: Seq(3), ..next.clone() };
    disk.damage(Seq(3), old.encode());
    fails(&disk, "it is of term 0, after term 1");
    let foreign = Header { cluster: "CID-other".to_owned(), first: Seq(3), ..next };
    disk.damage(Seq(3), foreign.encode());
    fails(&disk, "it belongs to cluster CID-other, not to CID-test");
    fails(&MemoryDisk::new(), "there is no segment");
}

#[test]
fn edits_that_do_not_decode_are_refused_with_the_place() {
    let disk = written(&[1]);
    let mut bytes = disk.bytes(Seq(1));
    let at = bytes.len();
    encode_record(&mut bytes, Seq(2), Term(1), 0, |out| out.extend_from_slice(b"?")).unwrap();
    disk.damage(Seq(1), bytes);
    let error = load(&disk).unwrap_err().to_string();
    assert!(error.ends_with(&format!("at byte {at}: record 2: no such edit")), "{error}");
}

#[test]
fn trimming_keeps_what_is_not_applied_and_the_open_segment() {
    let disk = written(&[]);
    let mut log = load(&disk).unwrap().log;
    for group in groups(1, &[2, 2, 2]) {
        log.append(&group).unwrap();
        log.sync().unwrap();
        log.roll().unwrap();
        log.roll().unwrap();
    }
    assert_eq!(disk.segments().unwrap(), [Seq(1), Seq(3), Seq(5), Seq(7)]);
    assert_eq!(log.trim(Seq(1)).unwrap(), 0);
    assert_eq!(log.trim(Seq(2)).unwrap(), 1);
    assert_eq!(log.trim(Seq(5)).unwrap(), 1);
    assert_eq!(log.trim(Seq(6)).unwrap(), 1);
    assert_eq!(disk.segments().unwrap(), [Seq(7)]);
    let wrong = groups(9, &[1]).remove(0);
    assert!(matches!(log.append(&wrong), Err(JournalError::OutOfOrder { .. })));
}

#[test]
fn a_large_segment_is_ended() {
    let disk = written(&[]);
    let mut log = load(&disk).unwrap().log;
    let mut bytes = Vec::new();
    let big = usize::try_from(SEGMENT_BYTES).unwrap();
    encode_record(&mut bytes, Seq(1), Term(2), 0, |out| out.resize(out.len() + big, 0)).unwrap();
    log.append(&Group { first: Seq(1), last: Seq(1), bytes }).unwrap();
    log.sync().unwrap();
    assert_eq!(disk.segments().unwrap(), [Seq(1), Seq(2)]);
    assert_eq!(log.segment_count(), 2);
}
