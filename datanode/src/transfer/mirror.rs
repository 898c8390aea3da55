//! The next node of a pipeline: connecting to it, and what it says of itself and those behind it.

use super::Context;
use crate::error::{DatanodeError, Result};
use mammoth_net::data::{DataError, DataReader, DataStream, DataWriter, SocketOptions, datanode_addrs};
use mammoth_protocol::datatransfer::OpRequest;
use mammoth_protocol::hadoop::hdfs::{BlockOpResponseProto, DatanodeInfoProto, OpWriteBlockProto, Status};
use std::net::TcpStream;

/// A connection to the next node.
pub(super) struct Mirror {
    pub(super) input: DataReader<TcpStream>,
    pub(super) output: DataWriter<TcpStream>,
}

/// `address:port` of a node, as clients know it.
pub(super) fn link_name(node: &DatanodeInfoProto) -> String {
    let id = &node.id;
    if id.ip_addr.contains(':') {
        format!("[{}]:{}", id.ip_addr, id.xfer_port)
    } else {
        format!("{}:{}", id.ip_addr, id.xfer_port)
    }
}

/// The request for the next node: the same, less that node.
pub(super) fn forwarded(request: &OpWriteBlockProto) -> OpWriteBlockProto {
    let tail = |list: &[i32]| list.get(1..).unwrap_or_default().to_vec();
    let mut next = request.clone();
    next.targets = request.targets.get(1..).unwrap_or_default().to_vec();
    next.storage_type = request.target_storage_types.first().copied().or(request.storage_type);
    next.target_storage_types = tail(&request.target_storage_types);
    next.storage_id = request.target_storage_ids.first().cloned();
    next.target_storage_ids = request.target_storage_ids.get(1..).unwrap_or_default().to_vec();
    next.pinning = request.target_pinnings.first().copied();
    next.target_pinnings = request.target_pinnings.get(1..).unwrap_or_default().to_vec();
    next
}

/// Connects to `node`, behind which `behind` further nodes follow, and sends it `request`.
///
/// # Errors
/// It cannot be reached.
pub(super) fn open(
    context: &Context,
    node: &DatanodeInfoProto,
    behind: usize,
    request: OpWriteBlockProto,
) -> Result<Mirror> {
    let stream = connect(context, node, behind.saturating_add(1))?;
    let mut mirror = Mirror { input: stream.reader, output: stream.writer };
    mirror.output.send_op(&OpRequest::WriteBlock(Box::new(request)))?;
    Ok(mirror)
}

/// As [`open`], over a connection that an earlier pipeline has left. `None` if there is none that works.
pub(super) fn open_idle(
    context: &Context,
    node: &DatanodeInfoProto,
    behind: usize,
    request: &OpWriteBlockProto,
) -> Option<Mirror> {
    let addrs = datanode_addrs(&node.id, context.rules.by_name).ok()?;
    loop {
        let DataStream { reader: input, writer: output } = addrs.iter().find_map(|addr| context.idle.take(*addr))?;
        let mut mirror = Mirror { input, output };
        let timeout = context.rules.answer_timeout(behind.saturating_add(1));
        let usable = super::connection::set_read_timeout(mirror.input.stream(), timeout).is_ok();
        if usable && mirror.output.send_op(&OpRequest::WriteBlock(Box::new(request.clone()))).is_ok() {
            return Some(mirror);
        }
    }
}

/// Connects to `node`, whose answers wait for those of `nodes` datanodes.
///
/// # Errors
/// It cannot be reached.
pub(super) fn connect(context: &Context, node: &DatanodeInfoProto, nodes: usize) -> Result<DataStream> {
    let timeout = context.rules.answer_timeout(nodes);
    let options = SocketOptions {
        connect_timeout: timeout,
        read_timeout: timeout,
        write_timeout: context.rules.write_timeout,
        ..SocketOptions::default()
    };
    let mut last = DataError::Closed;
    for addr in datanode_addrs(&node.id, context.rules.by_name)? {
        match DataStream::connect(addr, &options) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last.into())
}

impl Mirror {
    /// Waits until the node, and all behind it, are ready or one of them is not.
    ///
    /// # Errors
    /// The node itself does not answer.
    pub(super) fn ready(&mut self) -> Result<BlockOpResponseProto> {
        Ok(self.input.read_message("answer of the next datanode")?)
    }

    /// Closes both directions, whoever waits at them.
    pub(super) fn close(&self) {
        let _ = self.output.stream().shutdown(std::net::Shutdown::Both);
    }
}

/// Who is to blame for a pipeline that could not be built: the node that the next one names, or the next one itself.
pub(super) fn bad_link(answer: &BlockOpResponseProto, next: &DatanodeInfoProto) -> Option<String> {
    if answer.status == Status::Success as i32 {
        return None;
    }
    let named = answer.first_bad_link.clone().filter(|link| !link.is_empty());
    Some(named.unwrap_or_else(|| link_name(next)))
}

/// An answer as an error, if it is one.
pub(super) fn check_answer(answer: &BlockOpResponseProto, peer: &DatanodeInfoProto) -> Result<()> {
    if answer.status == Status::Success as i32 {
        return Ok(());
    }
    let status = Status::try_from(answer.status).map_or_else(|_| answer.status.to_string(), |s| format!("{s:?}"));
    let reason = format!("{status} {}", answer.message.as_deref().unwrap_or_default());
    Err(DatanodeError::Refused { peer: format!("datanode {}", link_name(peer)), reason: reason.trim().to_owned() })
}
