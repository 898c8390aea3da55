//! Reading on when replicas fail.

use super::hedge::{HedgedBlock, Watch};
use super::local::LocalBlock;
use super::locations::{self, Locations};
use super::short_circuit;
use super::stream::{BlockStream, Failure};
use crate::client::ClientShared;
use crate::error::ClientError;
use crate::types::{DatanodeInfo, LocatedBlock};
use mammoth_protocol::{BlockId, DfsPath};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Failed attempts that an error tells about, the last ones.
const TRIED_MAX: usize = 10;

/// A file to read from; many cursors may walk it at once.
#[derive(Debug)]
pub(super) struct Source {
    shared: Arc<ClientShared>,
    path: DfsPath,
    len: u64,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    locations: Locations,
    /// Datanodes that failed this reader, until every one of a block has.
    dead: BTreeSet<String>,
    /// Datanodes that gave nothing while another one did; they are asked last.
    slow: BTreeSet<String>,
}

impl Known {
    /// The best datanode of a block that has not failed and is none of these.
    fn best(&self, block: &LocatedBlock, but: &[&str]) -> Option<DatanodeInfo> {
        let fit = |node: &&DatanodeInfo| !self.dead.contains(&node.uuid) && !but.contains(&node.uuid.as_str());
        block.nodes.iter().filter(fit).min_by_key(|node| self.slow.contains(&node.uuid)).cloned()
    }
}

/// A position in the file, and the connection that is there already.
pub(super) struct Cursor {
    position: u64,
    /// Where reading will end: as much is asked of a datanode.
    end: u64,
    stream: Option<Open>,
    /// A block whose files failed, and the datanode that gave them: from there it is read over TCP.
    over_tcp: Option<(BlockId, String)>,
    /// What failed since the last byte was read.
    tried: Vec<String>,
    refetches: u32,
}

struct Open {
    stream: Stream,
    block: LocatedBlock,
    node: DatanodeInfo,
}

/// Where a block's bytes come from.
enum Stream {
    /// From a datanode, over TCP.
    Remote(BlockStream),
    /// From the open files of a datanode on this machine.
    Local(LocalBlock),
    /// From one datanode or two, whichever is faster.
    Hedged(Box<HedgedBlock>),
}

impl Stream {
    fn is_done(&self) -> bool {
        match self {
            Self::Remote(stream) => stream.is_done(),
            Self::Local(block) => block.is_done(),
            Self::Hedged(block) => block.is_done(),
        }
    }
}

/// What a hedged read is told of datanodes, and tells of them.
struct Watcher<'a> {
    source: &'a Source,
    cursor: &'a mut Cursor,
    block: &'a LocatedBlock,
}

impl Watch for Watcher<'_> {
    fn another(&mut self, than: &[&str]) -> Option<DatanodeInfo> {
        self.source.known().best(self.block, than)
    }

    fn failed(&mut self, node: &DatanodeInfo, failure: &Failure) {
        self.source.node_failed(self.cursor, self.block, node, failure);
    }

    fn slow(&mut self, node: &DatanodeInfo) {
        self.source.known().slow.insert(node.uuid.clone());
    }
}

impl Cursor {
    /// Reads from `position`, probably up to `end`.
    pub(super) fn new(position: u64, end: u64) -> Self {
        Self { position, end, stream: None, over_tcp: None, tried: Vec::new(), refetches: 0 }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn seek(&mut self, position: u64) {
        if position == self.position {
            return;
        }
        self.position = position;
        self.progress();
        let open = self.stream.take_if(|open| open.block.holds(position));
        // Open files are good for any position in their block, a connection for the next byte only.
        if let Some(mut open) = open
            && let Stream::Local(block) = &mut open.stream
        {
            block.seek(position - open.block.offset);
            self.stream = Some(open);
        } else {
            self.stream = None;
        }
    }

    fn progress(&mut self) {
        self.tried.clear();
        self.refetches = 0;
    }
}

impl std::fmt::Debug for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cursor").field("position", &self.position).finish_non_exhaustive()
    }
}

impl Source {
    pub(super) fn open(shared: Arc<ClientShared>, path: &DfsPath) -> Result<Self, ClientError> {
        let locations = Locations::open(&shared, path)?;
        let len = locations.len();
        let known = Mutex::new(Known { locations, dead: BTreeSet::new(), slow: BTreeSet::new() });
        Ok(Self { shared, path: path.clone(), len, known })
    }

    pub(super) fn path(&self) -> &DfsPath {
        &self.path
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads at the cursor, one byte at least unless the file or the buffer ends.
    pub(super) fn read(&self, cursor: &mut Cursor, out: &mut [u8]) -> Result<usize, ClientError> {
        if out.is_empty() || cursor.position >= self.len {
            return Ok(0);
        }
        loop {
            let mut open = match cursor.stream.take() {
                Some(open) => open,
                None => self.open_stream(cursor)?,
            };
            let read = match &mut open.stream {
                Stream::Remote(stream) => stream.read(out),
                Stream::Local(block) => block.read(out),
                Stream::Hedged(block) => {
                    let mut watcher = Watcher { source: self, cursor: &mut *cursor, block: &open.block };
                    block.read(out, &mut watcher).map_err(|failed| {
                        let (node, failure) = *failed;
                        open.node = node;
                        failure
                    })
                }
            };
            match read {
                Ok(read) => {
                    cursor.position += read as u64;
                    cursor.progress();
                    match open.stream {
                        Stream::Remote(stream) if stream.is_done() => stream.finish(),
                        _ if open.stream.is_done() => {}
                        _ => cursor.stream = Some(open),
                    }
                    return Ok(read);
                }
                Err(failure) => self.failed(cursor, &open, &failure),
            }
        }
    }

    fn failed(&self, cursor: &mut Cursor, open: &Open, failure: &Failure) {
        match open.stream {
            Stream::Remote(_) | Stream::Hedged(_) => self.node_failed(cursor, &open.block, &open.node, failure),
            Stream::Local(_) => {
                // The files may have changed under an append: only the datanode knows what belongs together. If the
                // replica is corrupt, its bytes are so over TCP too.
                let (block, node, reason) = (open.block.block, &open.node, failure.text());
                tracing::info!(path = %self.path, %block, datanode = %node, reason, "going on over TCP");
                cursor.over_tcp = Some((block.id, open.node.uuid.clone()));
            }
        }
    }

    /// Opens the nearest replica that has not failed.
    fn open_stream(&self, cursor: &mut Cursor) -> Result<Open, ClientError> {
        loop {
            let block = self.block_at(cursor.position)?;
            let Some(node) = self.known().best(&block, &[]) else {
                self.refetch(cursor, &block)?;
                continue;
            };
            let from = cursor.position - block.offset;
            // A cursor that was moved beyond its end reads to the end of the file.
            let end = if cursor.end > cursor.position { cursor.end.min(self.len) } else { self.len };
            let to = (end - block.offset).min(block.block.len);
            let hedges = self.shared.config.hedged_read_threads > 0;
            if !hedges && let Some(local) = self.open_local(cursor, &block, &node, from) {
                return Ok(Open { stream: Stream::Local(local), block, node });
            }
            let opened = if hedges {
                HedgedBlock::start(Arc::clone(&self.shared), block.clone(), node.clone(), from..to)
                    .map(|hedged| Stream::Hedged(Box::new(hedged)))
            } else {
                BlockStream::open(&self.shared, &block, &node, from..to, |_| {}).map(Stream::Remote)
            };
            match opened {
                Ok(stream) => return Ok(Open { stream, block, node }),
                Err(failure) => self.node_failed(cursor, &block, &node, &failure),
            }
        }
    }

    /// The files of a replica on this machine, if its datanode gives them and they make sense.
    fn open_local(
        &self,
        cursor: &mut Cursor,
        block: &LocatedBlock,
        node: &DatanodeInfo,
        from: u64,
    ) -> Option<LocalBlock> {
        if cursor.over_tcp.as_ref().is_some_and(|(id, uuid)| *id == block.block.id && *uuid == node.uuid) {
            return None;
        }
        // The block may have grown since the file was opened.
        let len = block.block.len.min(self.len.saturating_sub(block.offset));
        short_circuit::open_block(&self.shared, block, node, from..len)
    }

    fn block_at(&self, position: u64) -> Result<LocatedBlock, ClientError> {
        if let Some(block) = self.known().locations.block_at(position) {
            return Ok(block.clone());
        }
        let found = locations::fetch(&self.shared, &self.path, position)?;
        let mut known = self.known();
        known.locations.take_in(found);
        known.locations.block_at(position).cloned().ok_or_else(|| ClientError::Read {
            path: self.path.to_string(),
            block: "unknown".to_owned(),
            offset: position,
            tried: "the namenode knows no block there; the file has changed since it was opened".to_owned(),
        })
    }

    /// Every replica has failed: asks the namenode for others, unless that was done often enough.
    fn refetch(&self, cursor: &mut Cursor, block: &LocatedBlock) -> Result<(), ClientError> {
        cursor.refetches += 1;
        if cursor.refetches > self.shared.config.block_acquire_failures {
            let tried =
                if cursor.tried.is_empty() { "no live datanode has it".to_owned() } else { cursor.tried.join("; ") };
            // Whoever reads on nevertheless starts afresh.
            cursor.progress();
            self.known().dead.clear();
            return Err(ClientError::Read {
                path: self.path.to_string(),
                block: block.block.to_string(),
                offset: cursor.position,
                tried,
            });
        }
        std::thread::sleep(locations::pause_before(cursor.refetches));
        let found = locations::fetch(&self.shared, &self.path, cursor.position)?;
        let mut known = self.known();
        known.locations.take_in(found);
        known.dead.clear();
        Ok(())
    }

    fn node_failed(&self, cursor: &mut Cursor, block: &LocatedBlock, node: &DatanodeInfo, failure: &Failure) {
        let text = failure.text();
        tracing::debug!(path = %self.path, block = %block.block, datanode = %node, "replica passed over: {text}");
        if cursor.tried.len() >= TRIED_MAX {
            cursor.tried.remove(0);
        }
        cursor.tried.push(format!("datanode {node}: {text}"));
        self.known().dead.insert(node.uuid.clone());
        if matches!(failure, Failure::Corrupt(_)) {
            self.report(block, node);
        }
    }

    /// Tells the namenode of a corrupt replica. Best effort: the next reader will find it as well.
    fn report(&self, block: &LocatedBlock, node: &DatanodeInfo) {
        let at = block.nodes.iter().position(|other| other.uuid == node.uuid);
        let pick = |list: &[String]| at.and_then(|at| list.get(at)).cloned().into_iter().collect();
        let bad = LocatedBlock {
            nodes: vec![node.clone()],
            storage_ids: pick(&block.storage_ids),
            storage_types: at.and_then(|at| block.storage_types.get(at)).copied().into_iter().collect(),
            ..block.clone()
        };
        if let Err(error) = self.shared.report_bad_blocks(&[bad]) {
            tracing::warn!(path = %self.path, block = %block.block, datanode = %node, %error, "corrupt replica not reported");
        }
    }
}
