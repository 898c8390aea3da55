//! What the check of a file system asks beside listings: single blocks, and blocks that nobody can read.

use super::Asker;
use crate::api::{Answer, BlockState};
use mammoth_protocol::{BlockId, DfsPath, FsError};

impl Asker<'_, '_> {
    /// What is known of a block and its replicas; `None` for one that no file owns.
    pub(super) fn block_state(&mut self, id: BlockId) -> Result<Answer, FsError> {
        self.require_superuser()?;
        let state = self.state;
        let Some(meta) = state.blocks.get(id) else { return Ok(Answer::BlockState(None)) };
        if state.reachable(meta.inode).is_none() {
            return Ok(Answer::BlockState(None));
        }
        self.saw.extend(state.ancestors(meta.inode));
        let file = DfsPath::parse(&state.path_of(meta.inode))?;
        let replicas = state.blocks.replica_states(id);
        Ok(Answer::BlockState(Some(Box::new(BlockState { file, wanted: meta.wanted, replicas }))))
    }

    /// Blocks without any good replica, ascending after `after`, with their files, of at most `max` blocks looked at; and
    /// where to go on.
    pub(super) fn corrupt_blocks(&mut self, after: Option<BlockId>, max: usize) -> Result<Answer, FsError> {
        self.require_superuser()?;
        let state = self.state;
        let blocks = state.blocks.missing_blocks(after, max);
        let next = blocks.last().copied().filter(|_| blocks.len() == max);
        let mut found = Vec::new();
        for id in blocks {
            let Some(meta) = state.blocks.get(id) else { continue };
            if state.reachable(meta.inode).is_some() {
                self.saw.extend(state.ancestors(meta.inode));
                found.push((id, DfsPath::parse(&state.path_of(meta.inode))?));
            }
        }
        Ok(Answer::CorruptBlocks { found, next })
    }
}
