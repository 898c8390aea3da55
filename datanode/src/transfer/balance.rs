//! Moves of replicas, for the balancer: REPLACE_BLOCK fetches one from another datanode with COPY_BLOCK, and tells the namenode
//! whose replica it is meant to take the place of. Nothing is deleted here: that is the namenode's decision, once the new
//! replica is confirmed.
//!
//! Moves are bounded in number, and all of them together in bytes a second, at either end, so that clients hardly notice. The
//! source verifies what it sends and the receiver what it gets.

use super::connection::Link;
use super::copy::open_complete;
use super::mirror::{check_answer, connect};
use super::receive::Packets;
use super::send::{Range, SendMode, send_paced};
use super::{Context, Next};
use crate::error::{DatanodeError, Result, chain};
use crate::store::replica::Stop;
use crate::store::{NewReplica, ReplicaReader, ReplicaWriter};
use mammoth_net::data::{DataError, DataStream, DataWriter};
use mammoth_platform::{Clock, Shutdown};
use mammoth_protocol::datatransfer::{OpRequest, checksum};
use mammoth_protocol::hadoop::hdfs::{
    BaseHeaderProto, BlockOpResponseProto, ChecksumProto, ChecksumTypeProto, OpCopyBlockProto, OpReplaceBlockProto,
    ReadOpChecksumInfoProto, Status,
};
use mammoth_protocol::{Block, DatanodeId};
use std::net::{Shutdown as Close, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest part of a pause after which the end of the daemon is looked for.
const SLICE: Duration = Duration::from_millis(500);
/// How often whoever asked for a move hears of it, where the timeout of sockets says nothing.
const WORD: Duration = Duration::from_secs(30);
/// What a datanode sends behind a replica, as HDFS's do: it no longer counts as a move.
const DONE: [u8; 2] = [0, b'd'];

/// What all moves of this datanode share.
pub(crate) struct Balance {
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
    max: usize,
    under_way: AtomicUsize,
    pace: Mutex<Pace>,
}

/// How fast moves go.
#[derive(Debug)]
struct Pace {
    bytes_per_second: u64,
    /// When all bytes so far are paid for, monotonic nanoseconds.
    free_ns: u64,
    /// How often the speed was changed.
    changes: u64,
}

/// A move, as long as it lives.
struct Moving<'a>(&'a Balance);

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Balance {
    /// At most `max` moves at a time, with so many bytes a second together.
    pub(crate) fn new(clock: Arc<dyn Clock>, shutdown: Shutdown, max: usize, bytes_per_second: u64) -> Self {
        let pace = Mutex::new(Pace { bytes_per_second: bytes_per_second.max(1), free_ns: 0, changes: 0 });
        Self { clock, shutdown, max, under_way: AtomicUsize::new(0), pace }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes a second.
    pub(crate) fn rate(&self) -> u64 {
        self.pace().bytes_per_second
    }

    /// The operator wants another speed; 0 means nothing, as in HDFS. Who waits for the old one goes on, its bytes unpaid.
    pub(crate) fn set_rate(&self, bytes_per_second: u64) {
        let mut pace = self.pace();
        if bytes_per_second > 0 && pace.bytes_per_second != bytes_per_second {
            tracing::info!(before = pace.bytes_per_second, now = bytes_per_second, "bandwidth of moves changed");
            *pace = Pace { bytes_per_second, free_ns: 0, changes: pace.changes + 1 };
        }
    }

    /// Moves under way, in both directions.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    fn begin(&self) -> Result<Moving<'_>> {
        let more = |count| (count < self.max).then_some(count + 1);
        match self.under_way.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(Moving(self)),
            Err(_) => Err(DatanodeError::TooManyMoves { max: self.max }),
        }
    }

    /// Waits until these bytes may be on their way; calls `word` now and then.
    pub(super) fn wait(&self, bytes: usize, word: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        let (until_ns, speed) = {
            let mut pace = self.pace();
            let cost = u128::from(bytes as u64) * 1_000_000_000 / u128::from(pace.bytes_per_second);
            let cost = u64::try_from(cost).unwrap_or(u64::MAX);
            pace.free_ns = pace.free_ns.max(self.clock.monotonic_ns()).saturating_add(cost);
            (pace.free_ns, pace.changes)
        };
        loop {
            word()?;
            let left = Duration::from_nanos(until_ns.saturating_sub(self.clock.monotonic_ns()));
            if left.is_zero() || self.pace().changes != speed {
                return Ok(());
            }
            if self.shutdown.wait(left.min(SLICE)) {
                return Err(DatanodeError::Stopping);
            }
        }
    }
}

/// Serves COPY_BLOCK: sends a whole replica to the datanode that is to have it.
pub(super) fn copy(context: &Context, link: &mut Link<'_>, request: &OpCopyBlockProto) -> Result<Next> {
    let opened = context.balance.begin().and_then(|moving| Ok((moving, open(context, &request.header)?)));
    let (_moving, reader) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            tracing::info!(block = request.header.block.block_id, peer = %link.conn.peer, error = %chain(&error), "copy refused");
            link.output.send_message(&context.refusal(&error))?;
            return Ok(Next::Keep);
        }
    };
    let checksum = ChecksumProto {
        r#type: ChecksumTypeProto::ChecksumCrc32c as i32,
        bytes_per_checksum: u32::try_from(reader.chunk()).unwrap_or(u32::MAX),
    };
    link.output.send_message(&BlockOpResponseProto {
        status: Status::Success as i32,
        read_op_checksum_info: Some(ReadOpChecksumInfoProto { checksum, chunk_offset: 0 }),
        ..BlockOpResponseProto::default()
    })?;
    let range = Range { start: 0, end: reader.block.len };
    let mut pace = |bytes| context.balance.wait(bytes, &mut || Ok(()));
    let sent =
        send_paced(context, &reader, range, SendMode::Verified, &mut link.output, &mut link.scratch, Some(&mut pace));
    if let Err(error) = sent {
        if let Some((storage, block, reason)) = error.bad_replica() {
            context.store()?.set_aside(storage, block, reason);
        }
        return Err(error);
    }
    // The other side may be gone already, as it has all that it wants.
    let _ = link.output.send_raw(&DONE);
    Ok(Next::Keep)
}

fn open(context: &Context, header: &BaseHeaderProto) -> Result<ReplicaReader> {
    open_complete(context, context.block(&header.block)?)
}

/// Serves REPLACE_BLOCK: the move is done when its answer says so; before, others may say that it goes on.
pub(super) fn replace(context: &Context, link: &mut Link<'_>, request: &OpReplaceBlockProto) -> Result<Next> {
    let result = fetch(context, link, request);
    let answer = match &result {
        Ok(block) => {
            tracing::info!(%block, from = request.del_hint, "replica moved here");
            BlockOpResponseProto { status: Status::Success as i32, ..BlockOpResponseProto::default() }
        }
        Err(error) => {
            tracing::info!(
                block = request.header.block.block_id, peer = %link.conn.peer, error = %chain(error), "move failed"
            );
            context.refusal(error)
        }
    };
    link.output.send_message(&answer)?;
    Ok(Next::Keep)
}

fn fetch(context: &Context, link: &mut Link<'_>, request: &OpReplaceBlockProto) -> Result<Block> {
    let block = context.block(&request.header.block)?;
    let store = context.store()?;
    let Ok(from) = request.del_hint.parse().map(DatanodeId) else {
        return Err(DatanodeError::Unsupported(format!("delHint is `{}`, no id of a datanode", request.del_hint)));
    };
    if from == store.datanode || request.source.id.datanode_uuid == store.datanode.to_string() {
        let what = "moving a replica between volumes of one datanode is not offered";
        return Err(DatanodeError::Unsupported(what.to_owned()));
    }
    let _moving = context.balance.begin()?;
    let mut source = connect(context, &request.source, 0)?;
    let twin = source.writer.stream().try_clone().and_then(|twin| Ok((twin.peer_addr()?, twin)));
    let (addr, twin) = twin.map_err(DataError::from)?;
    let stop = Arc::new(SourceStop(twin.try_clone().map_err(DataError::from)?));
    let _tracked = context.sockets.track(twin, addr).ok_or(DatanodeError::Stopping)?;
    source.writer.send_op(&OpRequest::CopyBlock(Box::new(OpCopyBlockProto { header: request.header.clone() })))?;
    let answer: BlockOpResponseProto = source.reader.read_message("answer of the source of a move")?;
    check_answer(&answer, &request.source)?;
    let offered = answer.read_op_checksum_info.map(|info| checksum::chunk_size(&info.checksum)).transpose()?;
    let Some(chunk) = offered.flatten() else {
        return Err(DatanodeError::Unsupported("the source offers no checksums".to_owned()));
    };
    let storage = request.storage_id.as_deref().and_then(|id| id.parse().ok());
    let writer = store.create(&NewReplica { block, storage, chunk, temporary: true, stop })?;
    let mut word = Word::new(context, &mut link.output);
    let received = receive(context, &mut source, writer, &mut word);
    let mut writer = received.inspect_err(|_| drop(source.writer.stream().shutdown(Close::Both)))?;
    let found = writer.block();
    if request.header.block.num_bytes.is_some_and(|len| len != found.len) {
        return Err(DatanodeError::Length { block, found: found.len, expected: block.len.to_string() });
    }
    let sync = store.sync_on_close();
    if sync {
        writer.sync(false)?;
    }
    let ticket = writer.ticket().clone();
    let moved = store.finalize_moved(&ticket, sync, from)?;
    writer.keep();
    Ok(moved)
}

/// Receives all packets; what was written of them is deleted with the writer unless it is kept.
fn receive(
    context: &Context,
    source: &mut DataStream,
    writer: ReplicaWriter,
    word: &mut Word<'_>,
) -> Result<ReplicaWriter> {
    let mut packets = Packets { context, writer, mirror: None, checked: true };
    loop {
        let packet = source.reader.read_packet()?;
        let (last, bytes) = (packet.header.last, packet.data.len());
        packets.verify(&packet)?;
        packets.store(&packet)?;
        context.balance.wait(bytes, &mut || word.give())?;
        if last {
            return Ok(packets.writer);
        }
    }
}

/// Closes the connection to the source when somebody else wants the replica.
struct SourceStop(TcpStream);

impl Stop for SourceStop {
    fn stop(&self) {
        let _ = self.0.shutdown(Close::Both);
    }
}

/// Tells whoever asked for a move now and then that it goes on.
struct Word<'a> {
    clock: &'a dyn Clock,
    output: &'a mut DataWriter<TcpStream>,
    every_ns: u64,
    last_ns: u64,
}

impl<'a> Word<'a> {
    fn new(context: &'a Context, output: &'a mut DataWriter<TcpStream>) -> Self {
        let half = context.rules.socket_timeout / 2;
        let every = if half.is_zero() { WORD } else { half };
        let clock = &*context.balance.clock;
        let every_ns = u64::try_from(every.as_nanos()).unwrap_or(u64::MAX);
        Self { clock, output, every_ns, last_ns: clock.monotonic_ns() }
    }

    fn give(&mut self) -> Result<()> {
        let now_ns = self.clock.monotonic_ns();
        if now_ns.saturating_sub(self.last_ns) < self.every_ns {
            return Ok(());
        }
        self.last_ns = now_ns;
        let going_on = BlockOpResponseProto { status: Status::InProgress as i32, ..BlockOpResponseProto::default() };
        Ok(self.output.send_message(&going_on)?)
    }
}
