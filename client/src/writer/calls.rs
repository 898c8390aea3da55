//! What a writer asks of the namenode.

use super::pipeline::{OpenBlock, Target};
use crate::client::ClientShared;
use crate::error::ClientError;
use crate::rpc::namenode::CallOptions;
use crate::rpc::retry::{Backoff, Cancel};
use mammoth_protocol::hadoop::hdfs::{self, DatanodeInfoProto, ExtendedBlockProto, LocatedBlockProto};
use mammoth_protocol::{DfsPath, ErrorCode, InodeId};
use std::sync::Arc;
use std::time::Duration;

/// First and longest pause while datanodes have not yet told the namenode about a block. The first is much shorter than
/// Hadoop's 400 ms, as the word is usually under way already.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// The calls about one open file.
#[derive(Clone, Debug)]
pub(super) struct FileCalls {
    pub(super) shared: Arc<ClientShared>,
    pub(super) path: DfsPath,
    pub(super) file_id: InodeId,
    /// Bytes of a full block.
    pub(super) block_size: u64,
    /// Ends pauses when the writer is dropped.
    pub(super) cancel: Arc<Cancel>,
}

impl FileCalls {
    fn call<Req, Resp>(&self, method: &'static str, request: &Req) -> Result<Resp, ClientError>
    where
        Req: prost::Message,
        Resp: prost::Message + Default,
    {
        self.shared.namenode.call(method, request, CallOptions::open_file(&self.cancel))
    }

    /// Commits `previous` and allocates the next block, on none of the `excluded` nodes.
    pub(super) fn add_block(
        &self,
        previous: Option<&ExtendedBlockProto>,
        excluded: Vec<DatanodeInfoProto>,
    ) -> Result<LocatedBlockProto, ClientError> {
        let request = hdfs::AddBlockRequestProto {
            src: self.path.to_string(),
            client_name: self.shared.name.clone(),
            previous: previous.cloned(),
            exclude_nodes: excluded,
            file_id: Some(self.file_id.0),
            favored_nodes: Vec::new(),
            flags: Vec::new(),
        };
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            let error = match self.call::<_, hdfs::AddBlockResponseProto>("addBlock", &request) {
                Ok(reply) => return Ok(reply.block),
                Err(error) => error,
            };
            // Only this refusal passes by itself and is not waited for in `call`.
            let retry = error.code() == ErrorCode::NotReplicatedYet && error.code().is_retryable();
            if !retry || !self.pause(&mut backoff) {
                return Err(error);
            }
        }
    }

    /// Waits before another attempt; false if there is to be none.
    fn pause(&self, backoff: &mut Backoff) -> bool {
        let budget = self.shared.config.complete_budget;
        let pause = backoff.next(&**self.shared.namenode.clock(), budget);
        pause.is_some_and(|pause| !self.cancel.pause(pause))
    }

    /// Gives a block back whose pipeline could not be set up.
    pub(super) fn abandon_block(&self, block: &ExtendedBlockProto) -> Result<(), ClientError> {
        let request = hdfs::AbandonBlockRequestProto {
            b: block.clone(),
            src: self.path.to_string(),
            holder: self.shared.name.clone(),
            file_id: Some(self.file_id.0),
        };
        self.call("abandonBlock", &request).map(|_: hdfs::AbandonBlockResponseProto| ())
    }

    /// One more datanode for a pipeline that lost some.
    pub(super) fn additional_datanode(&self, block: &OpenBlock) -> Result<LocatedBlockProto, ClientError> {
        let request = hdfs::GetAdditionalDatanodeRequestProto {
            src: self.path.to_string(),
            blk: block.block.clone(),
            existings: nodes(&block.targets),
            excludes: nodes(&block.failed),
            num_additional_nodes: 1,
            client_name: self.shared.name.clone(),
            existing_storage_uuids: block.targets.iter().map(|target| target.storage_id.clone()).collect(),
            file_id: Some(self.file_id.0),
        };
        self.call("getAdditionalDatanode", &request).map(|reply: hdfs::GetAdditionalDatanodeResponseProto| reply.block)
    }

    /// A new generation stamp: replicas that are left behind will be recognised by their old one.
    pub(super) fn update_block_for_pipeline(
        &self,
        block: &ExtendedBlockProto,
    ) -> Result<LocatedBlockProto, ClientError> {
        let request =
            hdfs::UpdateBlockForPipelineRequestProto { block: block.clone(), client_name: self.shared.name.clone() };
        let reply: hdfs::UpdateBlockForPipelineResponseProto = self.call("updateBlockForPipeline", &request)?;
        Ok(reply.block)
    }

    /// Tells which nodes have the block under its new stamp.
    pub(super) fn update_pipeline(&self, old: &OpenBlock, new: &ExtendedBlockProto) -> Result<(), ClientError> {
        let request = hdfs::UpdatePipelineRequestProto {
            client_name: self.shared.name.clone(),
            old_block: old.block.clone(),
            new_block: new.clone(),
            new_nodes: old.targets.iter().map(|target| target.node.id.clone()).collect(),
            storage_ids: old.targets.iter().map(|target| target.storage_id.clone()).collect(),
        };
        self.call("updatePipeline", &request).map(|_: hdfs::UpdatePipelineResponseProto| ())
    }

    /// Closes the file, once the namenode has heard of enough replicas of its last block.
    pub(super) fn complete(&self, last: Option<&ExtendedBlockProto>) -> Result<(), ClientError> {
        let request = hdfs::CompleteRequestProto {
            src: self.path.to_string(),
            client_name: self.shared.name.clone(),
            last: last.cloned(),
            file_id: Some(self.file_id.0),
        };
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            let reply: hdfs::CompleteResponseProto = self.call("complete", &request)?;
            if reply.result {
                return Ok(());
            }
            if !self.pause(&mut backoff) {
                let block = last.map_or_else(|| "no block".to_owned(), super::pipeline::block_name);
                let cause = format!(
                    "the file cannot be closed: the namenode has not heard of enough replicas of its last block within \
                     {} ms",
                    self.shared.config.complete_budget.as_millis()
                );
                return Err(ClientError::Write { path: self.path.to_string(), block, cause });
            }
        }
    }
}

fn nodes(targets: &[Target]) -> Vec<DatanodeInfoProto> {
    targets.iter().map(|target| target.node.clone()).collect()
}
