//! Queries: answers from the present state, without changing it.
//!
//! A query tells which inodes its answer (or refusal) depends on, so that the driver can hold the answer back while an edit
//! of one of them is not durable yet: no client learns of something that a crash could undo.

mod fsck;
mod health;
mod ledger;
mod listing;
mod locations;
mod open;
mod status;
mod summary;
#[cfg(test)]
mod tests;

use crate::access::{Access, READ};
use crate::api::{Answer, LocatedBlock, Query};
use crate::blocks::TargetRequest;
use crate::decide::leased_file;
use crate::errors::{not_a_file, not_found};
use crate::paths::{At, Resolved};
use crate::rows::Inode;
use crate::state::State;
use mammoth_protocol::{Block, Caller, DatanodeId, DfsPath, ErrorCode, FsError, InodeId, Now, StorageId};

impl State {
    /// Answers a query. `saw` gets the ids of all inodes that the answer or the refusal depends on.
    ///
    /// # Errors
    /// A refusal, in HDFS's words.
    pub fn query(
        &self,
        now: Now,
        entropy: u64,
        caller: &Caller,
        query: &Query,
        saw: &mut Vec<InodeId>,
    ) -> Result<Answer, FsError> {
        Asker { state: self, now, entropy, caller, saw }.answer(query)
    }
}

/// One query on its way.
struct Asker<'a, 's> {
    state: &'a State,
    now: Now,
    entropy: u64,
    caller: &'a Caller,
    saw: &'s mut Vec<InodeId>,
}

impl<'a> Asker<'a, '_> {
    fn answer(&mut self, query: &Query) -> Result<Answer, FsError> {
        match query {
            Query::FileInfo { path } => self.file_info(path),
            Query::Listing { path, start_after, need_location } => self.listing(path, start_after, *need_location),
            Query::BlockLocations { path, offset, len } => self.block_locations(path, *offset, *len),
            Query::ContentSummary { path } => self.content_summary(path),
            Query::FsStats => Ok(Answer::Stats(self.state.blocks.stats(self.now))),
            Query::Datanodes { kind } => Ok(Answer::Datanodes(self.state.blocks.datanodes(self.now, *kind))),
            Query::IsFileClosed { path } => self.is_file_closed(path),
            Query::AdditionalDatanode { path, file, client, block, existing, exclude, count } => {
                self.state.check_safe_mode(self.now, &format!("Cannot add datanode; src={path}, blk={block}"))?;
                let (open, lease) = leased_file(self.state, self.access(), path, *file, client)?;
                self.saw.extend(self.state.ancestors(open.id));
                self.additional_datanode(open.id, lease.addr, *block, existing, exclude, *count)
            }
            Query::CheckAccess { path, mode } => {
                let resolved = self.resolve(path)?;
                resolved.last().ok_or_else(|| not_found(path))?;
                self.access().on_path(&resolved, *mode)?;
                Ok(Answer::Unit)
            }
            Query::OpenFiles { after, below, blocking, max } => self.open_files(*after, below, *blocking, *max),
            Query::Health => Ok(Answer::Health(Box::new(self.state.health(self.now)))),
            Query::BlockState { id } => self.block_state(*id),
            Query::CorruptBlocks { after, max } => self.corrupt_blocks(*after, *max),
            Query::BlocksOn { datanode, bytes, min_len } => self.blocks_on(*datanode, *bytes, *min_len),
            Query::Ledger { max } => self.ledger(*max),
            Query::CorruptFiles { max } => Ok(Answer::Paths(self.corrupt_files(*max))),
        }
    }

    fn access(&self) -> Access<'a> {
        Access::new(self.state, self.caller)
    }

    /// Refuses callers that may not administrate.
    fn require_superuser(&self) -> Result<(), FsError> {
        if !self.state.config.permissions || self.access().is_superuser() {
            return Ok(());
        }
        let message = format!("Access denied for user {}. Superuser privilege is required", self.caller.user);
        Err(FsError::new(ErrorCode::AccessControl, message))
    }

    /// Looks a path up that the caller can get to.
    fn resolve<'p>(&mut self, path: &'p DfsPath) -> Result<Resolved<'p>, FsError> {
        let resolved = self.state.resolve(At::Current, path);
        self.saw.extend_from_slice(&resolved.chain);
        self.access().traverse(&resolved)?;
        Ok(resolved)
    }

    /// Looks a path up that must be a file.
    fn resolve_file<'p>(&mut self, path: &'p DfsPath) -> Result<(Resolved<'p>, InodeId, Inode<'a>), FsError> {
        let resolved = self.resolve(path)?;
        let id = resolved.last().ok_or_else(|| not_found(path))?;
        let inode = self.state.rows.inode(id).ok_or_else(|| not_found(path))?;
        if inode.is_dir() { Err(not_a_file(path)) } else { Ok((resolved, id, inode)) }
    }

    fn file_info(&mut self, path: &DfsPath) -> Result<Answer, FsError> {
        let resolved = self.resolve(path)?;
        let status = resolved.last().and_then(|id| self.state.status_of(id, String::new()));
        Ok(Answer::FileInfo(status.map(Box::new)))
    }

    fn block_locations(&mut self, path: &DfsPath, offset: u64, len: u64) -> Result<Answer, FsError> {
        let (resolved, id, _) = self.resolve_file(path)?;
        self.access().on_path(&resolved, READ)?;
        Ok(Answer::Blocks(Box::new(self.state.blocks_in_range(id, offset, len, self.caller.addr))))
    }

    fn is_file_closed(&mut self, path: &DfsPath) -> Result<Answer, FsError> {
        let (_, _, inode) = self.resolve_file(path)?;
        Ok(Answer::Bool(inode.lease().is_none()))
    }

    /// The existing places first, then the new ones: so the client tells them apart.
    fn additional_datanode(
        &self,
        file: InodeId,
        writer: Option<std::net::IpAddr>,
        block: Block,
        existing: &[StorageId],
        exclude: &[DatanodeId],
        count: usize,
    ) -> Result<Answer, FsError> {
        let state = self.state;
        let pipeline = state.blocks.places_of_pipeline(block.id);
        let kept = existing.iter().filter_map(|storage| pipeline.iter().find(|place| place.storage == *storage));
        let mut places: Vec<_> = kept.cloned().collect();
        let request = TargetRequest {
            count: count.min(usize::from(state.config.replication_max)),
            writer,
            exclude: exclude.to_vec(),
            chosen: existing.to_vec(),
            favored: Vec::new(),
            block_size: state.rows.inode(file).map_or(0, |inode| inode.attrs.block_size),
            entropy: self.entropy,
        };
        places.extend(state.blocks.choose_targets(&request));
        Ok(Answer::Block(Box::new(LocatedBlock { block, offset: 0, places, corrupt: false })))
    }

    /// Files with blocks that no reader can get.
    fn corrupt_files(&mut self, max: usize) -> Vec<DfsPath> {
        let mut paths = Vec::new();
        let mut after = None;
        let mut last = None;
        while paths.len() < max {
            let blocks = self.state.blocks.missing_blocks(after, max);
            let Some(end) = blocks.last() else { break };
            after = Some(*end);
            for file in blocks.iter().filter_map(|block| self.state.blocks.get(*block)).map(|meta| meta.inode) {
                // A file's blocks mostly follow each other.
                if last.replace(file) == Some(file) || self.state.reachable(file).is_none() {
                    continue;
                }
                self.saw.extend(self.state.ancestors(file));
                if let Ok(path) = DfsPath::parse(&self.state.path_of(file))
                    && paths.len() < max
                    && !paths.contains(&path)
                {
                    paths.push(path);
                }
            }
        }
        paths
    }
}
