//! The two stores behave alike.

use super::*;
use std::path::Path;

fn rows(store: &dyn CheckpointStore) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    store
        .for_each(&mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            Ok(())
        })
        .unwrap();
    rows
}

fn row(key: &[u8], value: &[u8]) -> (Vec<u8>, Vec<u8>) {
    (key.to_vec(), value.to_vec())
}

/// Leaves rows `""`, `b` and `b\0` and the marks 7 and 9, synced.
fn conformance(store: &mut dyn CheckpointStore) {
    assert_eq!((store.mark(Mark::Applied).unwrap(), store.mark(Mark::Highest).unwrap()), (Seq(0), Seq(0)));
    assert_eq!(rows(store), []);
    store.put(b"b", b"old").unwrap();
    store.put(b"", b"the empty key").unwrap();
    store.put(&[0xff; 100], &vec![5; 16 * 1024]).unwrap();
    store.put(b"b\0", b"").unwrap();
    store.sync().unwrap();
    store.put(b"b", b"new").unwrap();
    store.delete(&[0xff; 100]).unwrap();
    store.delete(b"never there").unwrap();
    store.set_mark(Mark::Highest, Seq(9)).unwrap();
    store.set_mark(Mark::Applied, Seq(7)).unwrap();
    assert_eq!(rows(store), expected(), "unsynced rows are seen");
    store.sync().unwrap();
    assert_eq!((store.mark(Mark::Applied).unwrap(), store.mark(Mark::Highest).unwrap()), (Seq(7), Seq(9)));
    let stop = store.for_each(&mut |_, _| Err(JournalError::Injected("enough".to_owned())));
    assert_eq!(stop.unwrap_err().to_string(), "enough");
}

fn expected() -> Vec<(Vec<u8>, Vec<u8>)> {
    vec![row(b"", b"the empty key"), row(b"b", b"new"), row(b"b\0", b"")]
}

#[test]
fn a_store_on_a_full_disk_is_refused_before_it_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    let refused = SledStore::open_with(dir.path(), (4 << 20) - 1).unwrap_err().to_string();
    assert!(refused.contains("No space left on device: 4194303 bytes are free, and 4194304 are needed"), "{refused}");
    assert!(refused.contains(&dir.path().display().to_string()), "{refused}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was made");
    assert_eq!(rows(&SledStore::open_with(dir.path(), 4 << 20).unwrap()), []);
}

#[test]
fn the_memory_store_conforms_and_keeps_what_was_synced() {
    let store = MemoryStore::new();
    conformance(&mut store.clone());
    store.clone().put(b"c", b"lost").unwrap();
    store.crash(StoreTear::Lost);
    assert_eq!(rows(&store), expected());
    assert_eq!(store.mark(Mark::Applied).unwrap(), Seq(7));
}

#[test]
fn the_memory_store_keeps_any_part_of_what_was_not_synced() {
    for (tear, keys) in [
        (StoreTear::Prefix(2), vec![b"a", b"b"]),
        (StoreTear::Some(0b101), vec![b"a", b"c"]),
        (StoreTear::Kept, vec![b"a", b"b", b"c"]),
    ] {
        let mut store = MemoryStore::new();
        for key in [b"a", b"b", b"c"] {
            store.put(key, b"").unwrap();
        }
        store.crash(tear);
        assert_eq!(rows(&store).into_iter().map(|(key, _)| key).collect::<Vec<_>>(), keys, "{tear:?}");
    }
}

#[test]
fn the_sled_store_conforms_and_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("checkpoint");
    {
        let mut store = SledStore::open(&path).unwrap();
        conformance(&mut store);
    }
    let store = SledStore::open(&path).unwrap();
    assert_eq!(rows(&store), expected());
    assert_eq!((store.mark(Mark::Applied).unwrap(), store.mark(Mark::Highest).unwrap()), (Seq(7), Seq(9)));
}

/// Copies the files of a sled folder as they are, as a kill of the process that has it open would leave them.
fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    std::fs::create_dir(to.join("blobs")).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn rows_of_a_first_checkpoint_that_was_not_finished_are_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SledStore::open(dir.path()).unwrap();
    store.put(b"a", b"1").unwrap();
    store.sync().unwrap();
    drop(store);
    let mut store = SledStore::open(dir.path()).unwrap();
    assert_eq!(rows(&store).len(), 1);
    store.put(b"b", b"2").unwrap();
    store.set_mark(Mark::Applied, Seq(2)).unwrap();
    store.sync().unwrap();
    drop(store);
    assert_eq!(rows(&SledStore::open(dir.path()).unwrap()).len(), 2);
}

#[test]
fn what_was_synced_is_there_after_a_kill() {
    const ROWS: u32 = 1000;
    let dir = tempfile::tempdir().unwrap();
    let live = dir.path().join("live");
    let mut store = SledStore::open(&live).unwrap();
    for round in 1..=12_u8 {
        for key in 0..ROWS {
            store.put(&key.to_be_bytes(), &[round; 100]).unwrap();
        }
        store.sync().unwrap();
        store.set_mark(Mark::Applied, Seq(u64::from(round))).unwrap();
        store.sync().unwrap();
        // Some rows of the next checkpoint are under way.
        for key in 0..ROWS / 3 {
            store.put(&key.to_be_bytes(), &[round + 1; 100]).unwrap();
        }
        let copy = dir.path().join(format!("killed-{round}"));
        copy_files(&live, &copy);
        let killed = SledStore::open(&copy).unwrap();
        assert_eq!(killed.mark(Mark::Applied).unwrap(), Seq(u64::from(round)));
        let rows = rows(&killed);
        assert_eq!(rows.len(), ROWS as usize);
        let good = |value: &[u8]| value == [round; 100] || value == [round + 1; 100];
        assert!(rows.iter().all(|(_, value)| good(value)), "round {round}");
    }
}
