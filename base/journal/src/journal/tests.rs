//! The two threads, over disks in memory that fail when told to, and over a real folder.

use super::*;
use crate::checkpoint::{CheckpointStore, Mark, MemoryStore};
use crate::identity::{CLUSTER_ID, Identity};
use crate::log::{MemoryDisk, segment_name};
use crate::open::{Opened, format, open};
use crate::recover::{Recovered, recover};
use crate::testing::Toy;
use mammoth_platform::{SeededEntropy, Shutdown};
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};

const SOON: Duration = Duration::from_secs(20);
/// Never begins a checkpoint by itself.
const NEVER: CheckpointPolicy = CheckpointPolicy { bytes: u64::MAX, interval_ms: u64::MAX, rows_per_slice: 3 };

struct Running {
    journal: Journal<u64>,
    toy: Toy,
    workers: Workers,
    shutdown: Shutdown,
    woken: Receiver<()>,
    random: SeededEntropy,
    committed: u64,
    released: Vec<u64>,
    failed: Option<Failed<u64>>,
}

impl Running {
    fn new<D, C>(parts: Parts<D, C>, toy: Toy) -> Self
    where
        D: LogDisk + Send + 'static,
        C: CheckpointStore + Send + 'static,
    {
        let shutdown = Shutdown::new();
        let workers = Workers::new(shutdown.clone());
        let (wake, woken) = sync_channel(1);
        // A full channel means that the driver will look anyway.
        let notify = move || {
            let _full = wake.try_send(());
        };
        let journal = Journal::start(parts, NEVER, &workers, notify).unwrap();
        let (random, released) = (SeededEntropy::new(5), Vec::new());
        Self { journal, toy, workers, shutdown, woken, random, committed: 0, released, failed: None }
    }

    fn in_memory(disk: &MemoryDisk, store: &MemoryStore) -> Self {
        let Recovered { state, log, stats } = recover(disk.clone(), store, "CID-run", Toy::empty()).unwrap();
        let (applied, tail_bytes) = (stats.applied, stats.bytes_replayed);
        Self::new(Parts { log, store: store.clone(), lock: None, applied, tail_bytes }, state)
    }

    fn in_folder(dir: &Path) -> Self {
        let Opened { state, parts, .. } = open(dir, &identity("1"), Toy::empty()).unwrap();
        Self::new(parts, state)
    }

    fn commit(&mut self, n: u64) {
        for _ in 0..n {
            let edits = self.toy.decide(&self.random);
            self.journal.commit(&mut self.toy, &edits, self.committed).unwrap();
            self.committed += 1;
        }
        self.journal.flush();
    }

    /// Drives the journal until `enough`, as a driver does between commands.
    fn drive(&mut self, what: &str, enough: impl Fn(&Self) -> bool) {
        let deadline = Deadline::after(&SystemClock, SOON);
        loop {
            let released = self.journal.poll();
            self.released.extend(released.effects);
            if let Some(failed) = released.failed {
                assert!(self.failed.replace(failed).is_none(), "a failure is told once");
            }
            while self.journal.step(&mut self.toy, 0) {}
            if enough(self) {
                return;
            }
            assert!(!deadline.is_over(&SystemClock), "{what}: released {}", self.released.len());
            let _timeout = self.woken.recv_timeout(Duration::from_millis(50));
        }
    }

    fn end(self) {
        drop(self.journal);
        self.workers.join(SOON).unwrap();
    }
}

fn identity(cluster: &str) -> Identity {
    Identity::of([(CLUSTER_ID, format!("CID-{cluster}")), ("namespace_id", "42".to_owned())])
}

fn memory() -> (MemoryDisk, MemoryStore) {
    let mut disk = MemoryDisk::new();
    Log::format(&mut disk, "CID-run").unwrap();
    (disk, MemoryStore::new())
}

fn formatted() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    format(dir.path(), &identity("1")).unwrap();
    dir
}

#[test]
fn effects_are_released_in_order_and_a_decision_without_edits_waits_for_those_before() {
    let (disk, store) = memory();
    let mut run = Running::in_memory(&disk, &store);
    assert_eq!(run.journal.hold(99), Ok(Some(99)));
    for _ in 0..50 {
        run.commit(20);
    }
    let read = run.journal.commit(&mut run.toy, &[], 1000).unwrap();
    assert_eq!(read, Committed { seq: Seq(1000), at_once: None });
    run.drive("all is released", |r| r.released.len() == 1001);
    assert!(run.released.is_sorted() && run.journal.is_idle());
    let counters = run.journal.counters();
    assert_eq!((counters.records, counters.segments), (1000, 1));
    assert!(counters.syncs <= 50 && counters.largest_group >= 20, "{counters:?}");
    run.end();
    disk.crash(crate::log::Tear::Lost);
    let again = recover(disk, &store, "CID-run", Toy::empty()).unwrap();
    assert_eq!(again.log.last(), Seq(1000));
    again.state.check();
}

#[test]
fn a_checkpoint_shortens_the_log_and_the_replay() {
    let (disk, store) = memory();
    let mut run = Running::in_memory(&disk, &store);
    run.commit(300);
    run.journal.checkpoint_now(0);
    run.commit(100);
    run.drive("the checkpoint ends", |r| r.journal.applied_seq() == Seq(300));
    assert_eq!(store.mark(Mark::Applied).unwrap(), Seq(300));
    run.drive("all is released", |r| r.released.len() == 400);
    let expected = run.toy.rows.clone();
    run.end();
    assert_eq!(disk.segments().unwrap(), [Seq(301), Seq(401)], "the log before the checkpoint is gone");
    let again = recover(disk, &store, "CID-run", Toy::empty()).unwrap();
    assert_eq!((again.stats.records_replayed, again.stats.applied), (100, Seq(300)));
    assert_eq!(again.state.rows, expected);
}

#[test]
fn rows_wait_for_the_log() {
    let (disk, store) = memory();
    let mut run = Running::in_memory(&disk, &store);
    run.commit(10);
    run.drive("the log is synced", |r| r.journal.is_idle());
    disk.fail_sync_after(0);
    run.commit(1);
    run.journal.checkpoint_now(0);
    run.drive("the failure is told", |r| r.failed.is_some());
    drop(run.journal);
    assert!(run.workers.join(SOON).is_err());
    assert_eq!(store.writes(), 0, "no row was written, as record 11 may never have been");
}

#[test]
fn the_first_failure_is_final_and_refuses_what_waited() {
    for fault in ["append", "sync", "full"] {
        let (disk, store) = memory();
        let mut run = Running::in_memory(&disk, &store);
        run.commit(5);
        run.drive("the first are released", |r| r.released.len() == 5);
        match fault {
            "append" => disk.fail_append_after(0),
            "sync" => disk.fail_sync_after(0),
            _ => disk.fill_up_after(10),
        }
        run.commit(2);
        run.drive("the failure is told", |r| r.failed.is_some());
        disk.heal();
        let Some(Failed { reason, refused }) = run.failed.take() else { panic!("{fault}") };
        assert_eq!(refused, [5, 6], "{fault}");
        assert!(reason.starts_with("the journal stopped: "), "{reason}");
        let edits = run.toy.decide(&run.random);
        let before = run.toy.rows.clone();
        let late = run.journal.commit(&mut run.toy, &edits, 7).unwrap_err();
        assert_eq!((late.reason.as_str(), late.effect), (reason.as_str(), 7));
        assert_eq!(run.toy.rows, before, "a refused decision changes nothing");
        assert!(run.journal.hold(8).is_err());
        assert_eq!(run.journal.poll(), Released { effects: vec![], failed: None });
        assert_eq!(run.journal.counters().syncs, 1, "{fault}: nothing is tried again");
        assert!(run.shutdown.wait(SOON));
        assert_eq!(run.shutdown.fatal_reason(), Some(format!("journal-log: {reason}")));
        assert_eq!(run.journal.close(SOON).effects, []);
    }
}

#[test]
fn a_failing_checkpoint_stops_the_journal() {
    let (disk, store) = memory();
    let mut run = Running::in_memory(&disk, &store);
    run.commit(30);
    store.fail_after(4);
    run.journal.checkpoint_now(0);
    run.drive("the failure is told", |r| r.failed.is_some());
    assert_eq!(run.failed.as_ref().unwrap().reason, "the journal stopped: the store failed");
    run.drive("the thread has ended", |r| r.shutdown.is_triggered());
}

#[test]
fn closing_waits_for_the_disk() {
    let (disk, store) = memory();
    let mut run = Running::in_memory(&disk, &store);
    run.commit(40);
    let workers = run.workers.clone();
    let released = run.journal.close(SOON);
    assert_eq!((released.effects.len(), released.failed), (40, None));
    workers.join(SOON).unwrap();
}

#[test]
fn a_folder_is_opened_again_with_what_was_committed() {
    let dir = formatted();
    let mut expected = crate::testing::Rows::new();
    for life in 1..=4_u64 {
        let mut run = Running::in_folder(dir.path());
        assert_eq!(run.toy.rows, expected, "life {life}");
        assert_eq!(run.journal.term(), Term(life));
        run.commit(200);
        if life % 2 == 0 {
            run.journal.checkpoint_now(0);
        }
        run.drive("all is released", |r| {
            r.released.len() == 200 && (life % 2 == 1 || r.journal.applied_seq() == Seq(200 * life))
        });
        expected = run.toy.rows.clone();
        let busy = open(dir.path(), &Identity::default(), Toy::empty()).unwrap_err().to_string();
        assert!(busy.contains("is in use by process"), "{busy}");
        run.end();
    }
    let opened = open(dir.path(), &identity("1"), Toy::empty()).unwrap();
    assert_eq!((opened.next_seq, opened.stats.applied, opened.stats.records_replayed), (Seq(801), Seq(800), 0));
    assert_eq!(opened.identity, identity("1"));
}

#[test]
fn folders_that_are_not_ours_are_refused_by_name() {
    let refused = |dir: &Path, expected: &Identity| open(dir, expected, Toy::empty()).unwrap_err().to_string();
    let dir = formatted();
    let error = refused(dir.path(), &identity("2"));
    assert!(error.ends_with("belongs to cluster_id CID-1, not to CID-2"), "{error}");
    let error = refused(dir.path(), &Identity::of([("pool_id", "BP-1")]));
    assert!(error.ends_with("belongs to pool_id (none), not to BP-1"), "{error}");
    let error = format(dir.path(), &identity("2")).unwrap_err().to_string();
    assert!(error.contains("is not empty"), "{error}");
    open(dir.path(), &identity("1"), Toy::empty()).unwrap();

    let version = dir.path().join("VERSION");
    let text = std::fs::read_to_string(&version).unwrap();
    assert_eq!(text, "layout_version=2\ncluster_id=CID-1\nnamespace_id=42\n");
    for (from, to, error) in [
        ("layout_version=2", "layout_version=3", "has layout version 3; this program reads versions up to 2"),
        ("layout_version=2", "layout_version=x", "`x` is no layout_version"),
        ("layout_version=2\n", "", "there is no layout_version"),
        ("cluster_id=CID-1", "cluster_id", "`cluster_id` is not key=value"),
        ("cluster_id=CID-1", "cluster_id=CID-2", "it belongs to cluster CID-1, not to CID-2"),
    ] {
        std::fs::write(&version, text.replace(from, to)).unwrap();
        let found = refused(dir.path(), &Identity::default());
        assert!(found.ends_with(error), "{found}");
    }
    let empty = tempfile::tempdir().unwrap();
    assert!(refused(empty.path(), &identity("1")).ends_with("is not formatted"));
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "a foreign folder is left alone");
    std::fs::write(empty.path().join("precious"), b"").unwrap();
    let error = format(empty.path(), &identity("1")).unwrap_err().to_string();
    assert!(error.ends_with("is not empty (it holds precious); nothing was changed"), "{error}");
    let error = format(&empty.path().join("new"), &Identity::default()).unwrap_err().to_string();
    assert!(error.ends_with("there is no cluster_id"), "{error}");
}

#[test]
fn a_damaged_file_is_refused_and_a_torn_one_is_cut() {
    let dir = formatted();
    let mut run = Running::in_folder(dir.path());
    for n in 1..=20 {
        run.commit(1);
        run.drive("each is synced by itself", |r| r.released.len() == n);
    }
    run.end();
    let path = dir.path().join(segment_name(Seq(1)));
    let good = std::fs::read(&path).unwrap();
    // After an orderly end nothing can be torn.
    std::fs::write(&path, &good[..good.len() - 3]).unwrap();
    let error = open(dir.path(), &identity("1"), Toy::empty()).unwrap_err().to_string();
    assert!(error.contains(&segment_name(Seq(1))) && error.ends_with("further segments follow"), "{error}");
    // A killed process leaves no segment without records.
    std::fs::remove_file(dir.path().join(segment_name(Seq(21)))).unwrap();
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 4;
    std::fs::write(&path, &bad).unwrap();
    let error = open(dir.path(), &identity("1"), Toy::empty()).unwrap_err().to_string();
    assert!(error.starts_with("the edit log is corrupt: edits_00000000000000000001 at byte "), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), bad, "evidence is kept");
    std::fs::write(&path, &good[..good.len() - 3]).unwrap();
    std::fs::write(dir.path().join("edits_00000000000000000777.tmp"), b"left by a crash").unwrap();
    let opened = open(dir.path(), &identity("1"), Toy::empty()).unwrap();
    assert_eq!(opened.next_seq, Seq(20));
    assert!(opened.stats.torn.is_some_and(|(segment, torn)| segment == segment_name(Seq(1)) && torn.bytes > 0));
    assert!(!dir.path().join("edits_00000000000000000777.tmp").exists());
}

#[test]
fn formatting_again_after_an_interruption_works() {
    let dir = tempfile::tempdir().unwrap();
    // Everything but the file that makes it count.
    std::fs::write(dir.path().join(segment_name(Seq(1))), b"half").unwrap();
    std::fs::write(dir.path().join("VERSION.tmp"), b"half").unwrap();
    std::fs::write(dir.path().join("in_use.lock"), b"1\n").unwrap();
    format(dir.path(), &identity("1")).unwrap();
    assert_eq!(open(dir.path(), &identity("1"), Toy::empty()).unwrap().next_seq, Seq(1));
}
