//! A namespace of as many files as wanted, made through the core and the journal, without a client.

use mammoth_journal::{CheckpointPolicy, Identity};
use mammoth_namenode_core::api::CoreConfig;
use mammoth_namenode_core::{Created, Edit, Lease, NewFile, State};
use mammoth_platform::clock::{Clock, SystemClock};
use mammoth_platform::{Shutdown, Workers};
use mammoth_protocol::{Block, BlockId, GenStamp, InodeId};
use std::path::Path;
use std::time::Duration;

/// Files of a folder.
pub(crate) const PER_FOLDER: u64 = 1_000;
/// Files whose edits make one record.
const PER_RECORD: u64 = 50;
/// The top folder of the files that are deleted in the end.
pub(crate) const DOOMED: &str = "/doomed";

/// Files, one block each; the first `doomed` lie below [`DOOMED`], the others below `/kept`.
#[derive(Clone, Copy)]
pub(crate) struct Files {
    pub(crate) count: u64,
    pub(crate) doomed: u64,
}

const TOP_DOOMED: InodeId = InodeId(InodeId::ROOT.0 + 1);
const TOP_KEPT: InodeId = InodeId(InodeId::ROOT.0 + 2);

impl Files {
    /// Where file `n` is.
    pub(crate) fn path(self, n: u64) -> String {
        let top = if n < self.doomed { DOOMED } else { "/kept" };
        format!("{top}/folder-{:06}/part-r-{n:08}", n / PER_FOLDER)
    }

    /// The block of file `n`.
    pub(crate) fn block(n: u64) -> Block {
        Block { id: BlockId(BlockId::RESERVED.0 + 1 + n as i64), stamp: GenStamp(2_000 + n), len: 128 << 20 }
    }

    /// The edits that make file `n`, and the folders that it is the first in.
    pub(super) fn edits(self, n: u64, out: &mut Vec<Edit>) {
        let number = n / PER_FOLDER;
        let folder = InodeId(TOP_KEPT.0 + 1 + number * (PER_FOLDER + 1));
        let file = InodeId(folder.0 + 1 + n % PER_FOLDER);
        let block = Self::block(n);
        if n == 0 {
            out.push(create(TOP_DOOMED, InodeId::ROOT, DOOMED.trim_start_matches('/'), None));
            out.push(create(TOP_KEPT, InodeId::ROOT, "kept", None));
        }
        if n.is_multiple_of(PER_FOLDER) {
            let top = if n < self.doomed { TOP_DOOMED } else { TOP_KEPT };
            out.push(create(folder, top, &format!("folder-{number:06}"), None));
        }
        let lease = Lease { client: "bench".into(), addr: None };
        let new_file = NewFile { replication: 3, block_size: block.len, lease };
        out.push(create(file, folder, &format!("part-r-{n:08}"), Some(new_file)));
        out.push(Edit::BlockAdded { file, index: 0, block: block.id, stamp: block.stamp, targets: Vec::new() });
        out.push(Edit::BlockCommitted { file, index: 0, block, holders: None });
        out.push(Edit::Closed { id: file, mtime_ms: 1_800_000_000_900 });
    }

    /// Writes them into a journal that is formatted, with a complete checkpoint.
    pub(crate) fn write(self, dir: &Path) -> Result<(), String> {
        let shutdown = Shutdown::new();
        let workers = Workers::new(shutdown.clone());
        let clock = SystemClock;
        let state = State::new(CoreConfig::default(), clock.now());
        let opened = mammoth_journal::open(dir, &Identity::default(), state).map_err(|e| e.to_string())?;
        let (mut state, mut journal) =
            opened.start::<()>(CheckpointPolicy::default(), &workers, || {}).map_err(|e| e.to_string())?;
        let mut edits = Vec::new();
        for first in (0..self.count).step_by(PER_RECORD as usize) {
            edits.clear();
            (first..(first + PER_RECORD).min(self.count)).for_each(|n| self.edits(n, &mut edits));
            journal.commit(&mut state, &edits, ()).map_err(|refused| refused.reason)?;
            journal.flush();
            journal.poll();
            journal.step(&mut state, clock.now().monotonic_ms);
            while journal.is_full() {
                clock_pause();
                journal.poll();
            }
        }
        let last = journal.decided_seq();
        while journal.applied_seq() < last {
            if let Some(failed) = journal.poll().failed {
                return Err(failed.reason);
            }
            journal.checkpoint_now(clock.now().monotonic_ms);
            if !journal.step(&mut state, clock.now().monotonic_ms) {
                clock_pause();
            }
        }
        let failed = journal.close(Duration::from_secs(60)).failed;
        shutdown.trigger();
        failed.map_or(Ok(()), |failed| Err(failed.reason))
    }
}

/// The journal's threads have the word.
fn clock_pause() {
    std::thread::sleep(Duration::from_millis(1));
}

fn create(id: InodeId, parent: InodeId, name: &str, file: Option<NewFile>) -> Edit {
    let (owner, group, mtime_ms) = ("hdfs".into(), "supergroup".into(), 1_800_000_000_000);
    Edit::Created(Box::new(Created { id, parent, name: name.into(), owner, group, mode: 0o644, mtime_ms, file }))
}
