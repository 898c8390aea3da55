//! REQUEST_SHORT_CIRCUIT_FDS: a client on this machine gets the open files of a replica and reads them itself.
//!
//! The client asks over a Unix socket. It hears success, then gets one byte with two descriptors: data and checksums, both for
//! reading only. The byte tells whether a receipt is expected, which the client may have asked for. Only complete replicas
//! are given away, under the same checks as for reading over TCP; what happens to the replica afterwards does not concern
//! whoever has its files open.
//!
//! What is absent: shared memory, by which HDFS tells clients that keep descriptors for long that a replica is gone. Clients
//! that hear so go on without it.

use super::server::Conn;
use super::{Context, Next};
use crate::error::{DatanodeError, Result, chain};
use crate::store::ReplicaReader;
use mammoth_net::data::{DataError, DataReader, DataWriter, domain};
use mammoth_protocol::datatransfer::OpRequest;
use mammoth_protocol::hadoop::hdfs::{
    BlockOpResponseProto, OpRequestShortCircuitAccessProto, ReleaseShortCircuitAccessResponseProto,
    ShortCircuitShmResponseProto, Status,
};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Version of the files' format; clients that know only older ones are refused.
const FORMAT_VERSION: u32 = 1;
/// The byte with the descriptors: no receipt is expected, or one byte is.
const NO_RECEIPT: u8 = 0;
const RECEIPT: u8 = 1;
const NO_SHARED_MEMORY: &str = "shared memory is not supported by this datanode; descriptors are given without it";

type Input<'a> = DataReader<&'a UnixStream>;
type Output<'a> = DataWriter<&'a UnixStream>;

/// Serves a connection to its end. Never fails: what goes wrong concerns this client alone.
pub(super) fn serve(context: &Context, conn: &Arc<Conn<UnixStream>>) {
    if let Err(error) = serve_ops(context, conn) {
        tracing::debug!(peer = conn.peer, error = %chain(&error), "connection closed");
    }
}

fn serve_ops(context: &Context, conn: &Arc<Conn<UnixStream>>) -> Result<()> {
    let rules = &context.rules;
    set_timeouts(&conn.stream, rules.op_timeout, rules.write_timeout)?;
    let (mut input, mut output) = (DataReader::new(&conn.stream), DataWriter::new(&conn.stream));
    loop {
        let request = match input.read_op() {
            Ok(Some(request)) => request,
            Ok(None) | Err(DataError::Timeout) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if !conn.claim() {
            return Ok(());
        }
        let outcome = serve_op(context, &mut input, &mut output, &request);
        context.count(outcome.is_err());
        if outcome? == Next::Close || rules.keepalive.is_zero() {
            return Ok(());
        }
        set_timeouts(&conn.stream, rules.keepalive, rules.write_timeout)?;
        conn.idle.store(true, Ordering::Relaxed);
    }
}

fn set_timeouts(stream: &UnixStream, read: Duration, write: Duration) -> Result<()> {
    let some = |timeout: Duration| (!timeout.is_zero()).then_some(timeout);
    stream
        .set_read_timeout(some(read))
        .and_then(|()| stream.set_write_timeout(some(write)))
        .map_err(DataError::from)?;
    Ok(())
}

fn serve_op(context: &Context, input: &mut Input<'_>, output: &mut Output<'_>, request: &OpRequest) -> Result<Next> {
    let unsupported = || (Status::ErrorUnsupported as i32, Some(NO_SHARED_MEMORY.to_owned()));
    match request {
        OpRequest::ShortCircuitFds(request) => give(context, input, output, request)?,
        OpRequest::ShortCircuitMemory(_) => {
            let (status, error) = unsupported();
            output.send_message(&ShortCircuitShmResponseProto { status, error, id: None })?;
        }
        OpRequest::ShortCircuitRelease(_) => {
            let (status, error) = unsupported();
            output.send_message(&ReleaseShortCircuitAccessResponseProto { status, error })?;
        }
        other => {
            let reason = format!("{:?} is served over TCP only, this socket gives open files away", other.op());
            output.send_message(&context.refusal(&DatanodeError::Unsupported(reason)))?;
        }
    }
    Ok(Next::Keep)
}

fn give(
    context: &Context,
    input: &mut Input<'_>,
    output: &mut Output<'_>,
    request: &OpRequestShortCircuitAccessProto,
) -> Result<()> {
    let reader = match open(context, request) {
        Ok(reader) => reader,
        Err(error) => {
            tracing::debug!(block = request.header.block.block_id, error = %chain(&error), "short circuit refused");
            output.send_message(&BlockOpResponseProto {
                short_circuit_access_version: Some(FORMAT_VERSION),
                ..context.refusal(&error)
            })?;
            return Ok(());
        }
    };
    let files = reader.files()?;
    // Before the reader has them: whoever asks after a read finds it counted.
    context.counters.short_circuits.fetch_add(1, Ordering::Relaxed);
    output.send_message(&BlockOpResponseProto {
        status: Status::Success as i32,
        short_circuit_access_version: Some(FORMAT_VERSION),
        ..BlockOpResponseProto::default()
    })?;
    let receipt = request.supports_receipt_verification();
    domain::send_files(output.stream(), if receipt { RECEIPT } else { NO_RECEIPT }, files)?;
    if receipt {
        input.read_byte()?;
    }
    Ok(())
}

fn open(context: &Context, request: &OpRequestShortCircuitAccessProto) -> Result<ReplicaReader> {
    if request.max_version < FORMAT_VERSION {
        let reason = format!("files have format {FORMAT_VERSION}, the client knows up to {}", request.max_version);
        return Err(DatanodeError::Unsupported(reason));
    }
    if request.slot_id.is_some() {
        return Err(DatanodeError::Unsupported(NO_SHARED_MEMORY.to_owned()));
    }
    let block = context.block(&request.header.block)?;
    let reader = context.store()?.open_reader(block, 0)?;
    reader.files()?;
    Ok(reader)
}
