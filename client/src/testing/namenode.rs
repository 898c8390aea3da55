//! A namenode for tests: one file, in memory, with the rules that writers and readers depend on.

use super::rpc::{self, Answer, Received};
use mammoth_protocol::ErrorCode;
use mammoth_protocol::hadoop::{empty_token, hdfs};
use mammoth_protocol::rpc::RpcFailure;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard};

const POOL: &str = "BP-test";
pub(crate) const FILE_ID: u64 = 16_386;

/// What the test wants to go wrong, and what it sees.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) nodes: Vec<hdfs::DatanodeInfoProto>,
    pub(crate) replication: u32,
    pub(crate) block_size: u64,
    /// Blocks with the nodes that have them.
    pub(crate) blocks: Vec<(hdfs::ExtendedBlockProto, Vec<usize>)>,
    pub(crate) is_open: bool,
    last_id: u64,
    last_stamp: u64,
    /// Every call, in order.
    pub(crate) calls: Vec<Received>,
    /// How many replies to a method get lost after the call took effect.
    pub(crate) lost_replies: BTreeMap<&'static str, u32>,
    /// Refusals that a method answers with first, the last one first.
    pub(crate) refusals: BTreeMap<&'static str, Vec<ErrorCode>>,
    /// How often `complete` says "not yet".
    pub(crate) incomplete: u32,
    /// Nodes that a reader is sent to, whatever the pipelines were.
    pub(crate) bad_reports: Vec<hdfs::LocatedBlockProto>,
    pub(crate) pipeline_updates: Vec<hdfs::UpdatePipelineRequestProto>,
    pub(crate) abandoned: Vec<u64>,
    /// Answers by call, so that a repeated call does not run twice.
    answered: BTreeMap<i32, Vec<u8>>,
}

pub(crate) struct FakeNamenode {
    pub(crate) address: String,
    state: Arc<Mutex<State>>,
}

impl FakeNamenode {
    pub(crate) fn start(nodes: Vec<hdfs::DatanodeInfoProto>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = State { nodes, last_id: 1 << 30, last_stamp: 1000, ..State::default() };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        rpc::serve_on(listener, move |call| shared.lock().unwrap().receive(call));
        Self { address, state }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn blocks(&self) -> Vec<hdfs::ExtendedBlockProto> {
        self.state().blocks.iter().map(|(block, _)| block.clone()).collect()
    }

    pub(crate) fn calls(&self, method: &str) -> Vec<Received> {
        self.state().calls.iter().filter(|call| call.method == method).cloned().collect()
    }
}

fn refuse(code: ErrorCode, message: &str) -> Answer {
    Answer::Fail(RpcFailure::application(code.java_class(), message))
}

impl State {
    fn receive(&mut self, call: Received) -> Answer {
        self.calls.push(call.clone());
        if let Some(code) = self.refusals.get_mut(call.method.as_str()).and_then(Vec::pop) {
            return refuse(code, "as the test wants it");
        }
        let before = self.answered.get(&call.to.call_id).filter(|_| call.to.retry_count > 0);
        let answer = before.cloned().map(Answer::Reply).unwrap_or_else(|| self.run(&call));
        if let Answer::Reply(reply) = &answer {
            self.answered.insert(call.to.call_id, reply.clone());
        }
        match self.lost_replies.get_mut(call.method.as_str()) {
            Some(left) if *left > 0 => {
                *left -= 1;
                Answer::HangUp
            }
            _ => answer,
        }
    }

    fn run(&mut self, call: &Received) -> Answer {
        match call.method.as_str() {
            "create" => self.create(&call.message()),
            "append" => self.append(),
            "addBlock" => self.add_block(&call.message()),
            "abandonBlock" => self.abandon_block(&call.message()),
            "updateBlockForPipeline" => self.update_block(&call.message()),
            "updatePipeline" => self.update_pipeline(call.message()),
            "getAdditionalDatanode" => self.additional_datanode(&call.message()),
            "complete" => self.complete(&call.message()),
            "getBlockLocations" => self.locations(&call.message()),
            "reportBadBlocks" => {
                self.bad_reports.extend(call.message::<hdfs::ReportBadBlocksRequestProto>().blocks);
                Answer::of(&hdfs::ReportBadBlocksResponseProto {})
            }
            "renewLease" => Answer::of(&hdfs::RenewLeaseResponseProto {}),
            "recoverLease" => Answer::of(&hdfs::RecoverLeaseResponseProto { result: false }),
            "mkdirs" => Answer::of(&hdfs::MkdirsResponseProto { result: true }),
            "rename" => Answer::of(&hdfs::RenameResponseProto { result: true }),
            "getFileInfo" => Answer::of(&hdfs::GetFileInfoResponseProto { fs: None }),
            other => Answer::Fail(RpcFailure::no_such_method("test", other)),
        }
    }

    fn status(&self) -> hdfs::HdfsFileStatusProto {
        hdfs::HdfsFileStatusProto {
            file_type: hdfs::hdfs_file_status_proto::FileType::IsFile as i32,
            length: self.blocks.iter().map(|(block, _)| block.num_bytes()).sum(),
            permission: hdfs::FsPermissionProto { perm: 0o644 },
            owner: "tester".to_owned(),
            group: "testers".to_owned(),
            block_replication: Some(self.replication),
            blocksize: Some(self.block_size),
            file_id: Some(FILE_ID),
            ..hdfs::HdfsFileStatusProto::default()
        }
    }

    fn create(&mut self, request: &hdfs::CreateRequestProto) -> Answer {
        (self.replication, self.block_size) = (request.replication, request.block_size);
        self.blocks.clear();
        self.is_open = true;
        Answer::of(&hdfs::CreateResponseProto { fs: Some(self.status()) })
    }

    fn append(&mut self) -> Answer {
        self.is_open = true;
        let partial = self.blocks.last().filter(|(block, _)| block.num_bytes() < self.block_size);
        let block = partial.map(|(block, nodes)| self.located(block.clone(), nodes, 0));
        Answer::of(&hdfs::AppendResponseProto { block, stat: Some(self.status()) })
    }

    fn located(&self, b: hdfs::ExtendedBlockProto, nodes: &[usize], offset: u64) -> hdfs::LocatedBlockProto {
        hdfs::LocatedBlockProto {
            b,
            offset,
            locs: nodes.iter().map(|node| self.nodes[*node].clone()).collect(),
            block_token: empty_token(),
            storage_types: vec![hdfs::StorageTypeProto::Disk as i32; nodes.len()],
            storage_ids: nodes.iter().map(|node| format!("DS-{node}")).collect(),
            ..hdfs::LocatedBlockProto::default()
        }
    }

    fn index_of(&self, id: &hdfs::DatanodeIdProto) -> usize {
        self.nodes.iter().position(|node| node.id.datanode_uuid == id.datanode_uuid).expect("a node of ours")
    }

    fn commit(&mut self, previous: Option<&hdfs::ExtendedBlockProto>) {
        if let (Some(previous), Some((last, _))) = (previous, self.blocks.last_mut()) {
            assert_eq!(previous.block_id, last.block_id, "the previous block is the last one");
            assert_eq!(previous.generation_stamp, last.generation_stamp, "under its newest stamp");
            last.num_bytes = previous.num_bytes;
        }
    }

    fn add_block(&mut self, request: &hdfs::AddBlockRequestProto) -> Answer {
        assert!(self.is_open && request.file_id() == FILE_ID);
        self.commit(request.previous.as_ref());
        let excluded: Vec<_> = request.exclude_nodes.iter().map(|node| self.index_of(&node.id)).collect();
        let free = (0..self.nodes.len()).filter(|node| !excluded.contains(node));
        let chosen: Vec<_> = free.take(self.replication as usize).collect();
        if chosen.is_empty() {
            return refuse(ErrorCode::Io, "File /dir/file could only be written to 0 of the 1 minReplication nodes.");
        }
        self.last_id += 1;
        self.last_stamp += 1;
        let block = hdfs::ExtendedBlockProto {
            pool_id: POOL.to_owned(),
            block_id: self.last_id,
            generation_stamp: self.last_stamp,
            num_bytes: Some(0),
        };
        self.blocks.push((block.clone(), chosen.clone()));
        Answer::of(&hdfs::AddBlockResponseProto { block: self.located(block, &chosen, 0) })
    }

    fn abandon_block(&mut self, request: &hdfs::AbandonBlockRequestProto) -> Answer {
        let (last, _) = self.blocks.pop().expect("a block to abandon");
        assert_eq!(last.block_id, request.b.block_id);
        self.abandoned.push(last.block_id);
        Answer::of(&hdfs::AbandonBlockResponseProto {})
    }

    fn update_block(&mut self, request: &hdfs::UpdateBlockForPipelineRequestProto) -> Answer {
        self.last_stamp += 1;
        let block = hdfs::ExtendedBlockProto { generation_stamp: self.last_stamp, ..request.block.clone() };
        Answer::of(&hdfs::UpdateBlockForPipelineResponseProto { block: self.located(block, &[], 0) })
    }

    fn update_pipeline(&mut self, request: hdfs::UpdatePipelineRequestProto) -> Answer {
        let nodes: Vec<_> = request.new_nodes.iter().map(|id| self.index_of(id)).collect();
        let (last, holders) = self.blocks.last_mut().expect("an open block");
        assert_eq!(last.block_id, request.new_block.block_id);
        assert_eq!(last.generation_stamp, request.old_block.generation_stamp);
        assert_eq!(request.storage_ids.len(), nodes.len());
        last.generation_stamp = request.new_block.generation_stamp;
        *holders = nodes;
        self.pipeline_updates.push(request);
        Answer::of(&hdfs::UpdatePipelineResponseProto {})
    }

    fn additional_datanode(&mut self, request: &hdfs::GetAdditionalDatanodeRequestProto) -> Answer {
        let existing: Vec<_> = request.existings.iter().map(|node| self.index_of(&node.id)).collect();
        let excluded: Vec<_> = request.excludes.iter().map(|node| self.index_of(&node.id)).collect();
        let new = (0..self.nodes.len()).find(|node| !existing.contains(node) && !excluded.contains(node));
        let nodes: Vec<_> = existing.into_iter().chain(new).collect();
        let block = self.located(request.blk.clone(), &nodes, 0);
        Answer::of(&hdfs::GetAdditionalDatanodeResponseProto { block })
    }

    fn complete(&mut self, request: &hdfs::CompleteRequestProto) -> Answer {
        self.commit(request.last.as_ref());
        let result = self.incomplete == 0;
        self.incomplete = self.incomplete.saturating_sub(1);
        self.is_open &= !result;
        Answer::of(&hdfs::CompleteResponseProto { result })
    }

    fn locations(&mut self, request: &hdfs::GetBlockLocationsRequestProto) -> Answer {
        if self.block_size == 0 {
            return refuse(ErrorCode::FileNotFound, "File does not exist: /dir/file");
        }
        let mut offset = 0;
        let mut all = Vec::new();
        for (block, nodes) in &self.blocks {
            all.push(self.located(block.clone(), nodes, offset));
            offset += block.num_bytes();
        }
        let end = request.offset.saturating_add(request.length);
        let in_range = |block: &hdfs::LocatedBlockProto| {
            block.offset < end && (block.offset + block.b.num_bytes() > request.offset || block.b.num_bytes() == 0)
        };
        let blocks = all.iter().filter(|block| in_range(block)).cloned().collect();
        let locations = hdfs::LocatedBlocksProto {
            file_length: offset,
            blocks,
            under_construction: self.is_open,
            last_block: all.pop(),
            is_last_block_complete: !self.is_open,
            ..hdfs::LocatedBlocksProto::default()
        };
        Answer::of(&hdfs::GetBlockLocationsResponseProto { locations: Some(locations) })
    }
}
