//! A pipeline: which datanodes a block goes through, and the connection to the first of them.

use super::queue::Queue;
use crate::client::ClientShared;
use crate::config::ClientConfig;
use crate::rpc::namenode::Namenode;
use crate::text::chain;
use crate::types::host_port;
use mammoth_net::data::{self, DataError, DataStream, SocketOptions, answer_timeout};
use mammoth_protocol::datatransfer::OpRequest;
use mammoth_protocol::datatransfer::checksum::default_checksum;
use mammoth_protocol::hadoop::common::TokenProto;
use mammoth_protocol::hadoop::hdfs::{
    self, BlockOpResponseProto, DatanodeInfoProto, ExtendedBlockProto, Status,
    op_write_block_proto::BlockConstructionStage as Stage,
};
use std::net::TcpStream;
use std::time::Duration;

/// One volume of one datanode.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) node: DatanodeInfoProto,
    pub(super) storage_id: String,
    pub(super) storage_type: i32,
}

impl Target {
    /// The name by which people and other nodes know it.
    pub(super) fn addr(&self) -> String {
        addr_of(&self.node)
    }

    pub(super) fn is(&self, node: &DatanodeInfoProto) -> bool {
        self.node.id.datanode_uuid == node.id.datanode_uuid
    }
}

/// `ip:port` of a datanode's data-transfer door.
pub(super) fn addr_of(node: &DatanodeInfoProto) -> String {
    host_port(&node.id.ip_addr, u16::try_from(node.id.xfer_port).unwrap_or_default())
}

/// A list of nodes for a message to people.
pub(super) fn names(targets: &[Target]) -> String {
    let names: Vec<_> = targets.iter().map(Target::addr).collect();
    format!("[{}]", names.join(", "))
}

/// The targets that the namenode chose.
pub(super) fn targets_of(block: &hdfs::LocatedBlockProto) -> Result<Vec<Target>, String> {
    let wanted = block.locs.len();
    if wanted > usize::from(mammoth_protocol::limits::REPLICATION_MAX) {
        return Err(format!("a block with {wanted} datanodes"));
    }
    if block.storage_ids.len() != wanted || block.storage_types.len() != wanted {
        return Err(format!(
            "a block with {wanted} datanodes, {} storages and {} storage types",
            block.storage_ids.len(),
            block.storage_types.len()
        ));
    }
    let parts = block.locs.iter().zip(&block.storage_ids).zip(&block.storage_types);
    let target = |((node, id), medium): ((&DatanodeInfoProto, &String), &i32)| Target {
        node: node.clone(),
        storage_id: id.clone(),
        storage_type: *medium,
    };
    Ok(parts.map(target).collect())
}

/// A block on its way.
#[derive(Clone, Debug)]
pub(super) struct OpenBlock {
    /// The block with its present stamp; its length is what is acknowledged.
    pub(super) block: ExtendedBlockProto,
    pub(super) token: TokenProto,
    pub(super) targets: Vec<Target>,
    /// Nodes that failed and must not come back.
    pub(super) failed: Vec<Target>,
    /// End of the data that was sent, acknowledged or not.
    pub(super) sent: u64,
    /// Bytes that it may grow to; datanodes keep room for them.
    pub(super) size_max: u64,
    /// The block was reopened: readers may have seen its data.
    pub(super) is_append: bool,
}

impl OpenBlock {
    pub(super) fn new(
        located: &hdfs::LocatedBlockProto,
        size_max: u64,
        namenode: &Namenode,
    ) -> Result<Self, crate::ClientError> {
        let targets = targets_of(located).map_err(|what| namenode.bad_answer(what))?;
        Ok(Self {
            block: located.b.clone(),
            token: located.block_token.clone(),
            targets,
            failed: Vec::new(),
            sent: located.b.num_bytes(),
            size_max,
            is_append: false,
        })
    }

    /// `blk_1_2`, for people.
    pub(super) fn name(&self) -> String {
        block_name(&self.block)
    }
}

pub(super) fn block_name(block: &ExtendedBlockProto) -> String {
    mammoth_protocol::hadoop::block_of(block).to_string()
}

/// Why a pipeline could not be set up.
#[derive(Clone, Debug)]
pub(super) struct SetupFailure {
    /// Position of the node at fault.
    pub(super) node: usize,
    pub(super) cause: String,
}

/// How long `nodes` datanodes, each waiting for the next, may take to answer.
pub(super) fn patience(config: &ClientConfig, nodes: usize) -> Duration {
    answer_timeout(config.socket_timeout, nodes)
}

/// Sockets for a pipeline of `nodes` datanodes. Writing has no timeout: the ack thread notices a pipeline that is stuck.
pub(super) fn socket_options(config: &ClientConfig, nodes: usize) -> SocketOptions {
    SocketOptions {
        connect_timeout: config.socket_timeout,
        read_timeout: patience(config, nodes),
        write_timeout: Duration::ZERO,
        ..SocketOptions::default()
    }
}

/// Connects to a datanode by one of its addresses.
pub(crate) fn connect_node(
    config: &ClientConfig,
    node: &DatanodeInfoProto,
    options: &SocketOptions,
) -> Result<TcpStream, DataError> {
    let mut last = None;
    for addr in data::datanode_addrs(&node.id, config.use_datanode_hostname)? {
        match data::connect(addr, options) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or(DataError::Resolve { host: node.id.host_name.clone(), port: node.id.xfer_port }))
}

/// Sets the pipeline of a block up. `stamp` is the new generation stamp, 0 for a new block. A writer that stops meanwhile
/// ends this too.
pub(super) fn set_up(
    shared: &ClientShared,
    queue: &Queue,
    block: &OpenBlock,
    stage: Stage,
    stamp: u64,
) -> Result<DataStream, SetupFailure> {
    let at_first = |error: DataError| SetupFailure { node: 0, cause: chain(&error) };
    let Some((first, rest)) = block.targets.split_first() else {
        return Err(SetupFailure { node: 0, cause: "no datanode".to_owned() });
    };
    let pipeline_size = u32::try_from(block.targets.len()).unwrap_or(u32::MAX);
    // A datanode without room for a whole block says so now, while another one can still be had.
    let expected = match stage {
        Stage::PipelineSetupCreate => ExtendedBlockProto { num_bytes: Some(block.size_max), ..block.block.clone() },
        _ => block.block.clone(),
    };
    let request = hdfs::OpWriteBlockProto {
        header: client_header(&expected, &block.token, &shared.name),
        targets: rest.iter().map(|target| target.node.clone()).collect(),
        source: None,
        stage: stage as i32,
        pipeline_size,
        min_bytes_rcvd: block.block.num_bytes(),
        max_bytes_rcvd: block.sent,
        latest_generation_stamp: stamp,
        requested_checksum: default_checksum(),
        caching_strategy: None,
        storage_type: Some(first.storage_type),
        target_storage_types: rest.iter().map(|target| target.storage_type).collect(),
        allow_lazy_persist: Some(false),
        pinning: Some(false),
        target_pinnings: Vec::new(),
        storage_id: Some(first.storage_id.clone()),
        target_storage_ids: rest.iter().map(|target| target.storage_id.clone()).collect(),
    };
    let request = OpRequest::WriteBlock(Box::new(request));
    // Of a new block nothing is anywhere yet, so that a request that went into a closed connection may be made again.
    let is_new = stage == Stage::PipelineSetupCreate;
    let options = socket_options(&shared.config, block.targets.len());
    loop {
        let idle = if is_new { idle_stream(shared, &first.node) } else { None };
        let reused = idle.is_some();
        let mut stream = match idle {
            Some(stream) => stream,
            None => connect_node(&shared.config, &first.node, &options)
                .and_then(|stream| Ok(DataStream::new(stream)?))
                .map_err(at_first)?,
        };
        let handle = stream.writer.stream().try_clone().map_err(|error| at_first(error.into()))?;
        if !queue.set_socket(Some(handle)) {
            return Err(SetupFailure { node: 0, cause: "the writer was dropped".to_owned() });
        }
        match ask(&mut stream, &request, &options) {
            Ok(response) => return check_setup(&response, &block.targets).map(|()| stream),
            Err(error) if reused && !matches!(error, DataError::Timeout) => {
                tracing::debug!(node = first.addr(), cause = chain(&error), "connecting anew");
            }
            Err(error) => return Err(at_first(error)),
        }
    }
}

/// A connection to a node that an earlier block has left.
fn idle_stream(shared: &ClientShared, node: &DatanodeInfoProto) -> Option<DataStream> {
    let addrs = data::datanode_addrs(&node.id, shared.config.use_datanode_hostname).ok()?;
    addrs.into_iter().find_map(|addr| shared.idle.take(addr))
}

/// Sends a request and waits for its answer.
fn ask(
    stream: &mut DataStream,
    request: &OpRequest,
    options: &SocketOptions,
) -> Result<BlockOpResponseProto, DataError> {
    stream.reader.stream().set_read_timeout(Some(options.read_timeout))?;
    stream.writer.send_op(request)?;
    stream.reader.read_message("pipeline setup answer")
}

fn check_setup(response: &BlockOpResponseProto, targets: &[Target]) -> Result<(), SetupFailure> {
    if response.status == Status::Success as i32 {
        return Ok(());
    }
    let link = response.first_bad_link();
    let at = targets.iter().position(|target| {
        let by_name = host_port(&target.node.id.host_name, u16::try_from(target.node.id.xfer_port).unwrap_or_default());
        !link.is_empty() && (target.addr() == link || by_name == link)
    });
    Err(SetupFailure { node: at.unwrap_or(0), cause: describe(response) })
}

/// A refusal of a datanode, for people.
pub(crate) fn describe(response: &BlockOpResponseProto) -> String {
    let status = Status::try_from(response.status).map_or_else(|_| response.status.to_string(), |s| format!("{s:?}"));
    let message = match response.message() {
        "" => String::new(),
        message => format!(" ({message})"),
    };
    match response.first_bad_link() {
        "" => format!("answered {status}{message}"),
        link => format!("answered {status}{message}, first bad link {link}"),
    }
}

/// What opens every operation of a client at a datanode.
pub(crate) fn client_header(
    block: &ExtendedBlockProto,
    token: &TokenProto,
    client: &str,
) -> hdfs::ClientOperationHeaderProto {
    let base_header = hdfs::BaseHeaderProto { block: block.clone(), token: Some(token.clone()), trace_info: None };
    hdfs::ClientOperationHeaderProto { base_header, client_name: client.to_owned() }
}

/// Asks a datanode of the pipeline to copy what it has of the block to `target`.
pub(super) fn transfer(
    shared: &ClientShared,
    block: &OpenBlock,
    source: &Target,
    target: &Target,
) -> Result<(), String> {
    // The copy takes its time: a timeout more for every 64 MiB.
    let copies = u32::try_from(block.block.num_bytes() >> 26).unwrap_or(u32::MAX).saturating_add(1);
    let mut options = socket_options(&shared.config, 2);
    options.read_timeout = options.read_timeout.saturating_mul(copies);
    let stream = connect_node(&shared.config, &source.node, &options).map_err(|error| chain(&error))?;
    let mut stream = DataStream::new(stream).map_err(|error| error.to_string())?;
    let request = hdfs::OpTransferBlockProto {
        header: client_header(&block.block, &block.token, &shared.name),
        targets: vec![target.node.clone()],
        target_storage_types: vec![target.storage_type],
        target_storage_ids: vec![target.storage_id.clone()],
    };
    let sent = stream.writer.send_op(&OpRequest::TransferBlock(Box::new(request)));
    sent.map_err(|error| chain(&error))?;
    let response: BlockOpResponseProto =
        stream.reader.read_message("transfer answer").map_err(|error| chain(&error))?;
    if response.status == Status::Success as i32 { Ok(()) } else { Err(describe(&response)) }
}
