//! Going on after a datanode of the pipeline failed: drop it, perhaps take another, rebuild the pipeline under a new
//! generation stamp, and send again what was not acknowledged. The block goes on where it was; its source may be a pipe.

use super::pipeline::{self, OpenBlock, Target, names, targets_of};
use super::queue::Trouble;
use super::streamer::Streamer;
use crate::config::ReplacePolicy;
use crate::error::ClientError;
use mammoth_protocol::hadoop::hdfs::{ExtendedBlockProto, op_write_block_proto::BlockConstructionStage as Stage};
use std::sync::atomic::Ordering;

/// Failures in a row without a single packet acknowledged, after which the writer gives up (as in HDFS).
const RECOVERIES_MAX: u32 = 5;
/// Nodes that are tried as a replacement of one that failed.
const REPLACEMENTS_MAX: usize = 3;

impl Streamer {
    /// The pipeline of the present block failed.
    pub(super) fn recover(&mut self, trouble: Trouble) -> Result<(), ClientError> {
        self.disconnect();
        let only_end = self.queue.requeue();
        let (last_acked, acked_len) = self.queue.acked();
        if self.acked_at_failure == last_acked && self.recoveries > 0 {
            self.recoveries += 1;
        } else {
            self.acked_at_failure = last_acked;
            self.recoveries = 1;
        }
        let Some(block) = &mut self.block else { return Ok(()) };
        block.block.num_bytes = Some(acked_len);
        if self.recoveries > RECOVERIES_MAX {
            let cause = format!("pipeline recovery failed {RECOVERIES_MAX} times in a row: {}", trouble.cause);
            return Err(self.failure(cause));
        }
        let stage = if only_end { Stage::PipelineCloseRecovery } else { Stage::PipelineSetupStreamingRecovery };
        let rebuilt = self.rebuild(stage, Some(trouble))?;
        if rebuilt && only_end {
            // Setting the pipeline up in this stage has finished the replicas.
            self.queue.skip_end();
            self.end_block();
        }
        Ok(())
    }

    /// Sets up the pipeline of a block that was reopened.
    pub(super) fn reopen_block(&mut self) -> Result<(), ClientError> {
        if let Some(block) = &self.block {
            self.queue.start_block(block.block.num_bytes());
        }
        self.rebuild(Stage::PipelineSetupAppend, None).map(|_| ())
    }

    /// Rebuilds the pipeline, without the node in trouble and those that fail meanwhile.
    fn rebuild(&mut self, mut stage: Stage, mut trouble: Option<Trouble>) -> Result<bool, ClientError> {
        loop {
            self.check_alive()?;
            if let Some(trouble) = trouble.take() {
                self.drop_node(&trouble)?;
                self.replace_node(stage)?;
            }
            let Some(block) = &self.block else { return Ok(false) };
            let renewed = self.calls.update_block_for_pipeline(&block.block)?;
            let stamp = renewed.b.generation_stamp;
            let mut attempt = block.clone();
            attempt.token = renewed.block_token;
            match pipeline::set_up(&self.calls.shared, &self.queue, &attempt, stage, stamp) {
                Ok(stream) => {
                    let new = ExtendedBlockProto { generation_stamp: stamp, ..attempt.block.clone() };
                    self.calls.update_pipeline(&attempt, &new)?;
                    attempt.block = new;
                    self.block = Some(attempt);
                    if stage != Stage::PipelineCloseRecovery {
                        self.connect(stream)?;
                    }
                    return Ok(true);
                }
                Err(failure) => {
                    trouble = Some(Trouble { node: Some(failure.node), cause: failure.cause });
                    if stage == Stage::PipelineSetupAppend {
                        // Some nodes may have reopened their replica already.
                        stage = Stage::PipelineSetupAppendRecovery;
                    }
                }
            }
        }
    }

    /// Takes the node at fault out of the pipeline.
    fn drop_node(&mut self, trouble: &Trouble) -> Result<(), ClientError> {
        let Some(block) = &mut self.block else { return Ok(()) };
        let at = trouble.node.filter(|node| *node < block.targets.len()).unwrap_or(0);
        if block.targets.len() <= 1 {
            let all: Vec<Target> = block.failed.iter().chain(&block.targets).cloned().collect();
            let cause = format!("All datanodes {} are bad. Aborting... Last: {}", names(&all), trouble.cause);
            return Err(self.failure(cause));
        }
        let bad = block.targets.remove(at);
        tracing::warn!(
            path = %self.calls.path,
            block = block.name(),
            datanode = bad.addr(),
            left = block.targets.len(),
            "datanode dropped from the pipeline: {}",
            trouble.cause
        );
        block.failed.push(bad);
        Ok(())
    }

    /// Takes another node into the pipeline, if the policy says so.
    fn replace_node(&mut self, stage: Stage) -> Result<(), ClientError> {
        let config = self.calls.shared.config.replace_datanode;
        let Some(block) = &self.block else { return Ok(()) };
        // At the end of a block there is no time left for it: the namenode will order another copy.
        if stage == Stage::PipelineCloseRecovery || !self.wants_replacement(config.policy, block) {
            return Ok(());
        }
        match self.add_node() {
            Err(error) if config.best_effort => {
                tracing::warn!(path = %self.calls.path, %error, "going on without a replacement");
                Ok(())
            }
            other => other,
        }
    }

    fn wants_replacement(&self, policy: ReplacePolicy, block: &OpenBlock) -> bool {
        let (wanted, left) = (usize::from(self.replication), block.targets.len());
        let may_be_read = || block.is_append || self.flushed.load(Ordering::Relaxed);
        left > 0
            && left < wanted
            && match policy {
                ReplacePolicy::Never => false,
                ReplacePolicy::Always => true,
                ReplacePolicy::Default => wanted >= 3 && (left <= wanted / 2 || may_be_read()),
            }
    }

    /// Asks for another datanode and has one of the others copy to it what it has of the block.
    fn add_node(&mut self) -> Result<(), ClientError> {
        let mut last = String::new();
        for attempt in 0..REPLACEMENTS_MAX {
            let Some(block) = &mut self.block else { return Ok(()) };
            let located = self.calls.additional_datanode(block)?;
            let offered = targets_of(&located).map_err(|what| self.calls.shared.namenode.bad_answer(what))?;
            let known = |target: &Target| block.targets.iter().chain(&block.failed).any(|old| old.is(&target.node));
            let Some(new) = offered.into_iter().find(|target| !known(target)) else {
                let cause = format!(
                    "Failed to replace a bad datanode on the existing pipeline due to no more good datanodes being \
                     available to try: left={} bad={}. The policy is in \
                     dfs.client.block.write.replace-datanode-on-failure.policy",
                    names(&block.targets),
                    names(&block.failed)
                );
                return Err(self.failure(cause));
            };
            let sources = block.targets.len();
            let Some(source) = block.targets.get(attempt % sources.max(1)) else { return Ok(()) };
            match pipeline::transfer(&self.calls.shared, block, source, &new) {
                Ok(()) => {
                    block.targets.push(new);
                    return Ok(());
                }
                Err(cause) => {
                    last = format!("copy from {} to {}: {cause}", source.addr(), new.addr());
                    tracing::warn!(path = %self.calls.path, block = block.name(), "replacement failed: {last}");
                    block.failed.push(new);
                }
            }
        }
        Err(self.failure(format!("no replacement for a bad datanode: {last}")))
    }
}
