//! One move: asks the target to fetch the replica, and waits for its word.

use crate::config::ClientConfig;
use crate::rpc::convert;
use crate::types::DatanodeInfo;
use mammoth_net::data::{DataError, DataStream, SocketOptions, datanode_addrs};
use mammoth_platform::chain;
use mammoth_protocol::Block;
use mammoth_protocol::datatransfer::OpRequest;
use mammoth_protocol::hadoop::hdfs::{BaseHeaderProto, BlockOpResponseProto, OpReplaceBlockProto, Status};
use mammoth_protocol::hadoop::{empty_token, extended_block};
use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::{Mutex, PoisonError};

/// A target says that a move goes on every half of a timeout; so many timeouts without a word are too many, as in HDFS.
const PATIENCE: u32 = 5;

/// What is to move.
#[derive(Clone, Debug)]
pub(super) struct Move {
    pub(super) block: Block,
    /// Whose replica is to go.
    pub(super) source: usize,
    pub(super) target: usize,
    /// Who sends it.
    pub(super) sender: usize,
}

/// Connections of all moves under way, so that they can be cut short.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: Mutex<(u64, BTreeMap<u64, TcpStream>)>,
}

impl Connections {
    /// Ends all moves under way, as far as this program waits for them.
    pub(super) fn cut(&self) {
        for stream in self.open.lock().unwrap_or_else(PoisonError::into_inner).1.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn add(&self, stream: TcpStream) -> u64 {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.0 += 1;
        let id = open.0;
        open.1.insert(id, stream);
        id
    }

    fn remove(&self, id: u64) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&id);
    }
}

/// Carries a move out.
///
/// # Errors
/// Why it did not come about, in one line; nothing was deleted then.
pub(super) fn carry_out(
    config: &ClientConfig,
    pool: &str,
    nodes: &[DatanodeInfo],
    order: &Move,
    connections: &Connections,
) -> Result<(), String> {
    let (source, target, sender) = (&nodes[order.source], &nodes[order.target], &nodes[order.sender]);
    let mut stream = connect(config, target).map_err(|error| chain(&error))?;
    let twin = stream.writer.stream().try_clone().map_err(|error| error.to_string())?;
    let id = connections.add(twin);
    let request = OpReplaceBlockProto {
        header: BaseHeaderProto {
            block: extended_block(pool, order.block),
            token: Some(empty_token()),
            ..BaseHeaderProto::default()
        },
        del_hint: source.uuid.clone(),
        source: convert::datanode_proto(sender),
        ..OpReplaceBlockProto::default()
    };
    let answer = ask(&mut stream, request);
    connections.remove(id);
    match answer.map_err(|error| chain(&error))? {
        answer if answer.status == Status::Success as i32 => Ok(()),
        answer => {
            let status =
                Status::try_from(answer.status).map_or_else(|_| answer.status.to_string(), |s| format!("{s:?}"));
            Err(format!("{status} {}", answer.message.unwrap_or_default()).trim().to_owned())
        }
    }
}

fn ask(stream: &mut DataStream, request: OpReplaceBlockProto) -> Result<BlockOpResponseProto, DataError> {
    stream.writer.send_op(&OpRequest::ReplaceBlock(Box::new(request)))?;
    loop {
        let answer: BlockOpResponseProto = stream.reader.read_message("answer to a move")?;
        if answer.status != Status::InProgress as i32 {
            return Ok(answer);
        }
    }
}

fn connect(config: &ClientConfig, node: &DatanodeInfo) -> Result<DataStream, DataError> {
    let options = SocketOptions {
        connect_timeout: config.socket_timeout,
        read_timeout: config.socket_timeout.saturating_mul(PATIENCE),
        write_timeout: config.socket_timeout,
        ..SocketOptions::default()
    };
    let id = convert::datanode_proto(node).id;
    let mut last = DataError::Closed;
    for addr in datanode_addrs(&id, config.use_datanode_hostname)? {
        match DataStream::connect(addr, &options) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
