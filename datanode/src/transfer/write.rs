//! WRITE_BLOCK: opens the replica as the stage of the pipeline demands, connects the next node, and answers upstream. The
//! packets that follow are [`super::receive`]'s.

use super::connection::Link;
use super::mirror::{self, Mirror, bad_link, forwarded, link_name};
use super::receive::{self, Kind, Reception};
use super::server::Conn;
use super::{Context, Next, client_header};
use crate::error::{DatanodeError, Result, chain};
use crate::store::replica::Stop;
use crate::store::{NewReplica, ReplicaWriter, Resume, Store};
use mammoth_net::data::DataError;
use mammoth_protocol::datatransfer::checksum;
use mammoth_protocol::hadoop::hdfs::op_write_block_proto::BlockConstructionStage as Stage;
use mammoth_protocol::hadoop::hdfs::{BlockOpResponseProto, DatanodeInfoProto, OpWriteBlockProto, Status};
use mammoth_protocol::limits::{BYTES_PER_CHECKSUM, REPLICATION_MAX};
use mammoth_protocol::{Block, GenStamp};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Closes the sockets of a pipeline: the one towards the writer and the one towards the next node.
pub(super) struct PipelineStop {
    conn: Arc<Conn>,
    mirror: Mutex<Towards>,
}

/// The connection to the next node.
#[derive(Default)]
struct Towards {
    stream: Option<TcpStream>,
    /// The pipeline is stopped: there shall be none any more.
    stopped: bool,
}

impl PipelineStop {
    /// The connection to the next node is not this pipeline's any more.
    pub(super) fn release_mirror(&self) {
        self.towards().stream = None;
    }

    /// The connection to the next node is this one.
    fn hold(&self, mirror: &Mirror) -> Result<()> {
        let mut towards = self.towards();
        if towards.stopped {
            mirror.close();
            return Err(DatanodeError::Stopping);
        }
        towards.stream = Some(mirror.output.stream().try_clone().map_err(DataError::from)?);
        Ok(())
    }

    fn towards(&self) -> MutexGuard<'_, Towards> {
        self.mirror.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stop for PipelineStop {
    fn stop(&self) {
        self.conn.stop();
        let mut towards = self.towards();
        towards.stopped = true;
        if let Some(stream) = &towards.stream {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

/// A request whose parts make sense.
struct Order<'a> {
    request: &'a OpWriteBlockProto,
    block: Block,
    stage: Stage,
    stamp: GenStamp,
    /// Bytes that one checksum covers, and whether packets carry checksums at all.
    chunk: usize,
    checked: bool,
    kind: Kind,
}

impl<'a> Order<'a> {
    fn new(context: &Context, request: &'a OpWriteBlockProto) -> Result<Self> {
        let (block, client) = client_header(&request.header);
        let block = context.block(block)?;
        let unsupported = |what: String| DatanodeError::Unsupported(what);
        let stage = Stage::try_from(request.stage).map_err(|_| unsupported(format!("stage {}", request.stage)))?;
        if request.targets.len() > usize::from(REPLICATION_MAX) {
            return Err(unsupported(format!("a pipeline of {} nodes", request.targets.len())));
        }
        let chunk = checksum::chunk_size(&request.requested_checksum)?;
        let kind = match (client.is_empty(), stage) {
            (_, Stage::TransferRbw) => Kind::JoinPipeline,
            (true, _) | (_, Stage::TransferFinalized) => Kind::Copy { answered: !client.is_empty() },
            (false, _) => Kind::Pipeline,
        };
        Ok(Self {
            request,
            block,
            stage,
            stamp: GenStamp(request.latest_generation_stamp),
            chunk: chunk.unwrap_or(BYTES_PER_CHECKSUM),
            checked: chunk.is_some(),
            kind,
        })
    }

    /// Opens the replica; `None` if it is complete and there is nothing to receive.
    fn open(&self, store: &Arc<Store>, stop: &Arc<PipelineStop>) -> Result<Option<ReplicaWriter>> {
        let stop: Arc<dyn Stop> = Arc::clone(stop) as Arc<dyn Stop>;
        let (min, max) = (self.request.min_bytes_rcvd, self.request.max_bytes_rcvd);
        let resume = |how| store.resume(self.block, self.stamp, how, &stop).map(Some);
        if self.kind != Kind::Pipeline {
            return store.create(&self.new_replica(true, &stop)).map(Some);
        }
        match self.stage {
            Stage::PipelineSetupCreate => store.create(&self.new_replica(false, &stop)).map(Some),
            Stage::PipelineSetupAppend => resume(Resume::Append { len: min }),
            Stage::PipelineSetupAppendRecovery => resume(Resume::RecoverAppend { len: min }),
            Stage::PipelineSetupStreamingRecovery => resume(Resume::RecoverStreaming { acked: min, sent: max }),
            Stage::PipelineCloseRecovery => store.recover_close(self.block, self.stamp, min).map(|_| None),
            Stage::DataStreaming | Stage::PipelineClose | Stage::TransferRbw | Stage::TransferFinalized => {
                Err(DatanodeError::Unsupported(format!("a write cannot begin with stage {:?}", self.stage)))
            }
        }
    }

    fn new_replica(&self, temporary: bool, stop: &Arc<dyn Stop>) -> NewReplica {
        let storage = self.request.storage_id.as_deref().and_then(|id| id.parse().ok());
        NewReplica { block: self.block, storage, chunk: self.chunk, temporary, stop: Arc::clone(stop) }
    }
}

/// Serves the operation.
pub(super) fn serve(context: &Context, link: &mut Link<'_>, request: &OpWriteBlockProto) -> Result<Next> {
    let stop = Arc::new(PipelineStop { conn: Arc::clone(link.conn), mirror: Mutex::default() });
    let opened = Order::new(context, request)
        .and_then(|order| Ok((order.open(context.store()?, &stop)?, context.store()?, order)));
    let (writer, store, order) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let (block, _) = client_header(&request.header);
            tracing::info!(block = block.block_id, peer = %link.conn.peer, error = %chain(&error), "write refused");
            link.output.send_message(&context.refusal(&error))?;
            return Ok(Next::Close);
        }
    };
    let mirror = match connect_mirror(context, &order, &stop) {
        Ok(mirror) => mirror,
        Err(answer) if order.kind == Kind::Pipeline => {
            link.output.send_message(&*answer)?;
            return Ok(Next::Close);
        }
        // A copy goes on with the nodes that can be had.
        Err(_) => None,
    };
    if order.kind == Kind::Pipeline {
        let ready = BlockOpResponseProto {
            status: Status::Success as i32,
            first_bad_link: Some(String::new()),
            ..BlockOpResponseProto::default()
        };
        link.output.send_message(&ready)?;
    }
    let Some(writer) = writer else { return Ok(Next::Keep) };
    let reception = Reception {
        context,
        store,
        writer,
        mirror,
        behind: order.request.targets.len(),
        checked: order.checked,
        kind: order.kind,
        expected_len: order.block.len,
        stop: &stop,
    };
    receive::run(reception, link)
}

/// Connects to the next node, if there is one.
///
/// The error is the answer that tells the client which node to drop.
fn connect_mirror(
    context: &Context,
    order: &Order<'_>,
    stop: &PipelineStop,
) -> std::result::Result<Option<Mirror>, Box<BlockOpResponseProto>> {
    let Some(node) = order.request.targets.first() else { return Ok(None) };
    let failed = |link: String, reason: &str| {
        tracing::info!(block = %order.block, %link, reason, "pipeline not built");
        Box::new(BlockOpResponseProto {
            status: Status::Error as i32,
            first_bad_link: Some(link),
            message: Some(reason.to_owned()),
            ..BlockOpResponseProto::default()
        })
    };
    let behind = order.request.targets.len().saturating_sub(1);
    let unreachable = |error: DatanodeError| failed(link_name(node), &chain(&error));
    let request = forwarded(order.request);
    let admitted =
        |mirror, answer: &_| ready(mirror, answer, node).map(Some).map_err(|(link, reason)| failed(link, &reason));
    // Of a new block nothing is anywhere yet, so that a request that went into a closed connection may be made again.
    let is_new = order.kind == Kind::Pipeline && order.stage == Stage::PipelineSetupCreate;
    while let Some(mut mirror) = is_new.then(|| mirror::open_idle(context, node, behind, &request)).flatten() {
        stop.hold(&mirror).map_err(unreachable)?;
        match mirror.ready() {
            Ok(answer) => return admitted(mirror, &answer),
            Err(error) if !stop.towards().stopped && !matches!(error, DatanodeError::Data(DataError::Timeout)) => {
                tracing::debug!(link = link_name(node), error = %chain(&error), "connecting anew");
            }
            Err(error) => return Err(unreachable(error)),
        }
    }
    let mut mirror = mirror::open(context, node, behind, request).map_err(unreachable)?;
    stop.hold(&mirror).map_err(unreachable)?;
    if order.kind != Kind::Pipeline {
        return Ok(Some(mirror));
    }
    let answer = mirror.ready().map_err(unreachable)?;
    admitted(mirror, &answer)
}

/// The next node if it, and all behind it, are ready; otherwise who is not, and why.
fn ready(
    mirror: Mirror,
    answer: &BlockOpResponseProto,
    node: &DatanodeInfoProto,
) -> std::result::Result<Mirror, (String, String)> {
    match bad_link(answer, node) {
        None => Ok(mirror),
        Some(link) => {
            mirror.close();
            Err((link, answer.message.clone().unwrap_or_else(|| "refused".to_owned())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mammoth_net::data::{DataStream, SocketOptions};
    use std::io::Read;
    use std::net::TcpListener;
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    #[test]
    fn a_stopped_pipeline_closes_the_next_node_whether_it_has_it_or_gets_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connect = || {
            let stream = DataStream::connect(listener.local_addr().unwrap(), &SocketOptions::default()).unwrap();
            (Mirror { input: stream.reader, output: stream.writer }, listener.accept().unwrap().0)
        };
        let (writer, _far_writer) = connect();
        let stream = writer.output.stream().try_clone().unwrap();
        let conn = Arc::new(Conn { stream, peer: "writer".to_owned(), idle: AtomicBool::new(false) });
        let stop = PipelineStop { conn, mirror: Mutex::default() };
        let (held, mut far_held) = connect();
        stop.hold(&held).unwrap();
        stop.stop();
        let (late, mut far_late) = connect();
        assert!(matches!(stop.hold(&late), Err(DatanodeError::Stopping)));
        for far in [&mut far_held, &mut far_late] {
            far.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            assert_eq!(far.read(&mut [0]).unwrap(), 0);
        }
    }
}
