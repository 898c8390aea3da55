//! One data-transfer connection: operations one after another, until the peer is done or sends what is none.

use super::server::Conn;
use super::{Context, Next, balance, checksum, copy, read, write};
use crate::error::{DatanodeError, Result, chain};
use mammoth_net::data::{DataError, DataReader, DataWriter, SocketOptions};
use mammoth_platform::IoBuffer;
use mammoth_protocol::datatransfer::OpRequest;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Both directions of a connection, and memory that its operations reuse.
pub(super) struct Link<'a> {
    pub(super) conn: &'a Arc<Conn>,
    pub(super) input: DataReader<&'a TcpStream>,
    pub(super) output: DataWriter<TcpStream>,
    pub(super) scratch: Scratch,
}

/// Reused memory.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) data: IoBuffer,
    pub(super) sums: Vec<u8>,
}

/// Serves a connection to its end. Never fails: what goes wrong concerns this peer alone.
pub(super) fn serve(context: &Context, conn: &Arc<Conn>) {
    if let Err(error) = serve_ops(context, conn) {
        // Peers come and go, and anybody may send rubbish.
        tracing::debug!(peer = %conn.peer, error = %chain(&error), "connection closed");
    }
}

fn serve_ops(context: &Context, conn: &Arc<Conn>) -> Result<()> {
    let rules = &context.rules;
    let options = SocketOptions {
        read_timeout: rules.op_timeout,
        write_timeout: rules.write_timeout,
        ..SocketOptions::default()
    };
    let setup = || {
        options.apply(&conn.stream)?;
        conn.stream.try_clone()
    };
    let output = setup().map_err(DataError::from)?;
    let mut link = Link {
        conn,
        input: DataReader::new(&conn.stream),
        output: DataWriter::new(output),
        scratch: Scratch::default(),
    };
    loop {
        let request = match link.input.read_op() {
            Ok(Some(request)) => request,
            Ok(None) | Err(DataError::Timeout) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if !conn.claim() {
            return Ok(());
        }
        set_read_timeout(&conn.stream, rules.socket_timeout)?;
        let outcome = serve_op(context, &mut link, &request);
        context.count(outcome.is_err());
        if outcome? == Next::Close || rules.keepalive.is_zero() {
            return Ok(());
        }
        set_read_timeout(&conn.stream, rules.keepalive)?;
        conn.idle.store(true, Ordering::Relaxed);
    }
}

fn serve_op(context: &Context, link: &mut Link<'_>, request: &OpRequest) -> Result<Next> {
    match request {
        OpRequest::WriteBlock(request) => write::serve(context, link, request),
        OpRequest::ReadBlock(request) => read::serve(context, link, request),
        OpRequest::TransferBlock(request) => copy::serve(context, link, request),
        OpRequest::BlockChecksum(request) => checksum::serve(context, link, request),
        OpRequest::ReplaceBlock(request) => balance::replace(context, link, request),
        OpRequest::CopyBlock(request) => balance::copy(context, link, request),
        OpRequest::ShortCircuitFds(_) | OpRequest::ShortCircuitRelease(_) | OpRequest::ShortCircuitMemory(_) => {
            let error = DatanodeError::Unsupported(format!("{:?} is not supported by this datanode", request.op()));
            link.output.send_message(&context.refusal(&error))?;
            Ok(Next::Keep)
        }
    }
}

/// How long reading from a socket waits; zero = for ever.
pub(super) fn set_read_timeout(stream: &TcpStream, timeout: Duration) -> Result<()> {
    let timeout = (!timeout.is_zero()).then_some(timeout);
    Ok(stream.set_read_timeout(timeout).map_err(DataError::from)?)
}
