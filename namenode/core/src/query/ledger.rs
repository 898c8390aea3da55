//! What operators' programs ask of blocks: those of a datanode, and all that repair and deletion have to do.

use super::Asker;
use crate::api::{Answer, BlockEntry, Ledger};
use mammoth_protocol::{BlockId, DatanodeId, ErrorCode, FsError};

impl Asker<'_, '_> {
    /// Blocks of a datanode, in HDFS's words if there is no such.
    pub(super) fn blocks_on(&mut self, datanode: DatanodeId, bytes: u64, min_len: u64) -> Result<Answer, FsError> {
        self.require_superuser()?;
        let unknown = || FsError::new(ErrorCode::IllegalArgument, format!("Datanode {datanode} not found."));
        let found = self.state.blocks.blocks_on(datanode, bytes, min_len, self.entropy).ok_or_else(unknown)?;
        self.saw.extend(found.iter().map(|block| block.file));
        Ok(Answer::BlocksOn(found))
    }

    /// All that repair and deletion have to do, in lists of at most `max`.
    pub(super) fn ledger(&mut self, max: usize) -> Result<Answer, FsError> {
        self.require_superuser()?;
        let blocks = &self.state.blocks;
        let (numbers, stats) = (blocks.numbers(self.now), blocks.stats(self.now));
        let work = blocks.work(max);
        let ledger = Ledger {
            inodes: self.state.tree.files() + self.state.tree.dirs(),
            blocks: numbers.blocks,
            live: numbers.live,
            dead: numbers.dead,
            under_replicated: numbers.under_replicated,
            waiting: self.entries(&work.waiting),
            misplaced: numbers.misplaced,
            apart: self.entries(&work.apart),
            missing: stats.missing_blocks,
            lost: self.entries(&blocks.missing_blocks(None, max)),
            pending_copies: numbers.pending_copies,
            pending: work.pending,
            deletions: work.deletions,
            corrupt_replicas: numbers.corrupt_replicas,
            corrupt: self.entries(&work.corrupt),
            datanodes: blocks.datanodes(self.now, crate::api::DatanodeKind::All),
        };
        Ok(Answer::Ledger(Box::new(ledger)))
    }

    fn entries(&mut self, ids: &[BlockId]) -> Vec<BlockEntry> {
        let mut entries = Vec::with_capacity(ids.len());
        for &id in ids {
            let Some(meta) = self.state.blocks.get(id) else { continue };
            let path = self.state.reachable(meta.inode).map(|_| self.state.path_of(meta.inode));
            self.saw.extend(self.state.ancestors(meta.inode));
            let block = mammoth_protocol::Block { id, stamp: meta.stamp, len: meta.len };
            entries.push(BlockEntry { path, block, replicas: self.state.blocks.replica_states(id) });
        }
        entries
    }
}
