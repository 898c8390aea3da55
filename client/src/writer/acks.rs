//! The thread that reads acknowledgements from a pipeline, and blames.
//!
//! It ends with the acknowledgement of the block's end, or with a report of what went wrong. By HDFS's rules the first node
//! whose status is no success is at fault; if the pipeline is silent or gone, its first node.

use super::queue::{Queue, Trouble};
use crate::text::chain;
use mammoth_net::data::{DataError, DataReader};
use mammoth_protocol::datatransfer::ack;
use mammoth_protocol::datatransfer::packet::HEARTBEAT_SEQNO;
use mammoth_protocol::hadoop::hdfs::PipelineAckProto;
use std::net::TcpStream;
use std::time::Duration;

/// Reads acknowledgements of a pipeline of `nodes` datanodes to their end. `limit` is how long one may be due. Gives the
/// reader back if all went well.
pub(super) fn run(
    mut reader: DataReader<TcpStream>,
    queue: &Queue,
    nodes: usize,
    limit: Duration,
) -> Option<DataReader<TcpStream>> {
    let mut message = PipelineAckProto::default();
    loop {
        let outcome = match reader.read_ack(&mut message) {
            Ok(()) => take(&message, queue, nodes),
            Err(DataError::Timeout) if queue.overdue() < limit => Ok(false),
            Err(DataError::Timeout) => {
                Err(Trouble { node: None, cause: format!("no acknowledgement within {} ms", limit.as_millis()) })
            }
            Err(error) => Err(Trouble { node: None, cause: chain(&error) }),
        };
        match outcome {
            Ok(false) => {}
            Ok(true) => return Some(reader),
            Err(trouble) => {
                queue.report(trouble);
                return None;
            }
        }
    }
}

/// How long one read may wait: often enough to notice in time that an acknowledgement is overdue.
pub(super) fn read_timeout(limit: Duration) -> Duration {
    (limit / 4).max(Duration::from_millis(1))
}

fn take(message: &PipelineAckProto, queue: &Queue, nodes: usize) -> Result<bool, Trouble> {
    let blame_first = |cause: String| Trouble { node: None, cause };
    ack::check(message, nodes).map_err(|error| blame_first(chain(&error)))?;
    if let Some((node, status)) = ack::first_failure(message) {
        return Err(Trouble { node: Some(node), cause: format!("answered {status:?} to packet {}", message.seqno) });
    }
    if message.seqno == HEARTBEAT_SEQNO {
        queue.acknowledge_heartbeat();
        return Ok(false);
    }
    queue.acknowledge(message.seqno).map_err(blame_first)
}
