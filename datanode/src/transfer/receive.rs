//! Receives the packets of a block: verifies each, passes it on to the next node, puts it on the disk, and has it
//! acknowledged.
//!
//! The last node of a pipeline acknowledges by itself, as soon as a packet is on its disk. Every other node must wait for the
//! nodes behind it: while little is on its way in the same thread ([`super::early`]), then in a second one ([`super::respond`]).

use super::connection::Link;
use super::early::{self, Early};
use super::mirror::Mirror;
use super::respond::{self, Behind, Due, Responder};
use super::server::STACK;
use super::write::PipelineStop;
use super::{Context, Next};
use crate::error::{DatanodeError, Result, chain};
use crate::store::replica::Stop;
use crate::store::{ReplicaWriter, Store, Ticket};
use mammoth_net::data::{DataError, DataReader, DataStream, DataWriter, Packet};
use mammoth_platform::Deadline;
use mammoth_protocol::datatransfer::packet::{HEARTBEAT_SEQNO, PacketHeader};
use mammoth_protocol::hadoop::hdfs::{BlockOpResponseProto, Status};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};

/// Packets that wait for their acknowledgement; a client has fewer on the way.
const DUE_MAX: usize = 1024;

/// What a stream of packets is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A client's pipeline: every packet is acknowledged.
    Pipeline,
    /// A copy of a complete replica; `answered` once at its end, if a client waits for it.
    Copy {
        /// Whether the sender waits for an answer.
        answered: bool,
    },
    /// A copy of an unfinished replica, so that this node can join its pipeline; answered once.
    JoinPipeline,
}

/// A block that is about to arrive.
pub(super) struct Reception<'a> {
    pub(super) context: &'a Context,
    pub(super) store: &'a Arc<Store>,
    pub(super) writer: ReplicaWriter,
    pub(super) mirror: Option<Mirror>,
    /// Nodes behind this one.
    pub(super) behind: usize,
    /// Packets carry checksums.
    pub(super) checked: bool,
    pub(super) kind: Kind,
    /// Bytes that the sender of a copy announced.
    pub(super) expected_len: u64,
    pub(super) stop: &'a PipelineStop,
}

/// Receives the whole block.
pub(super) fn run(reception: Reception<'_>, link: &mut Link<'_>) -> Result<Next> {
    match reception.kind {
        Kind::Pipeline => run_pipeline(reception, link),
        Kind::Copy { .. } | Kind::JoinPipeline => run_copy(reception, link),
    }
}

/// Who acknowledges.
enum Acks<'a> {
    /// This thread.
    Here(Responder<'a, &'a mut DataWriter<TcpStream>>),
    /// Another one.
    There(SyncSender<Due>),
}

fn run_pipeline(reception: Reception<'_>, link: &mut Link<'_>) -> Result<Next> {
    let Reception { context, store, writer, mirror, behind, checked, stop, .. } = reception;
    // A silent client must not be taken for the reason before a silent node behind this one can be.
    let patience = context.rules.answer_timeout(behind.saturating_add(2));
    super::connection::set_read_timeout(&link.conn.stream, patience)?;
    let ticket = writer.ticket().clone();
    let mut responder = Responder::new(store, &ticket, &mut link.output);
    let mut packets = Packets { context, writer, mirror: None, checked };
    let input = &mut link.input;
    let Some(Mirror { input: answers, output }) = mirror else {
        return packets.receive(input, &mut Acks::Here(responder)).map(|()| Next::Keep);
    };
    // Acknowledgements of the next node carry those of all behind it.
    let mut behind = Behind::new(answers, context.rules.answer_timeout(behind))?;
    packets.mirror = Some(output);
    let reader = match early::run(&mut packets, &mut responder, input, &mut behind, patience) {
        Ok(Early::Complete) => Ok(behind.input),
        Ok(Early::Streaming(due, by)) => stream(&mut packets, responder, input, behind, (due, by), stop),
        Err(error) => Err(error),
    };
    if reader.is_err() {
        packets.hang_up();
    }
    let reader = reader?;
    stop.release_mirror();
    if let Some(writer) = packets.mirror.take() {
        context.idle.put(DataStream { reader, writer });
    }
    Ok(Next::Keep)
}

/// Receives packets while another thread passes acknowledgements on, to the end of the block; `first` is due already. Gives the
/// reader of the next node back.
fn stream(
    packets: &mut Packets<'_>,
    responder: Responder<'_, &mut DataWriter<TcpStream>>,
    input: &mut DataReader<&TcpStream>,
    behind: Behind,
    first: (Due, Deadline),
    stop: &PipelineStop,
) -> Result<DataReader<TcpStream>> {
    let (sender, receiver) = sync_channel(DUE_MAX);
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("acks".to_owned()).stack_size(STACK).spawn_scoped(scope, || {
            let result = respond::run(responder, behind, first, receiver);
            if result.is_err() {
                // The receiving thread may be waiting for a packet or for the next node to take one.
                stop.stop();
            }
            result
        });
        let thread = thread.map_err(DataError::from)?;
        let mut acks = Acks::There(sender);
        let received = packets.receive(input, &mut acks);
        if received.is_err() {
            packets.hang_up();
        }
        // Ends the queue. The writer stays to the end, as the acknowledging thread speaks for it.
        drop(acks);
        let responded = thread.join().unwrap_or(Err(DatanodeError::Stopping));
        received.and(responded)
    })
}

/// Receives a copy: nothing is acknowledged on the way.
fn run_copy(reception: Reception<'_>, link: &mut Link<'_>) -> Result<Next> {
    let Reception { context, store, writer, mirror, checked, kind, expected_len, .. } = reception;
    let ticket: Ticket = writer.ticket().clone();
    let mirror = mirror.map(|mirror| mirror.output);
    let mut packets = Packets { context, writer, mirror, checked };
    loop {
        let packet = link.input.read_packet()?;
        let (last, sync) = (packet.header.last, packet.header.sync);
        packets.verify(&packet)?;
        packets.forward(&packet);
        packets.store(&packet)?;
        if last {
            let sync = sync || store.sync_on_close();
            if sync {
                packets.writer.sync(kind == Kind::JoinPipeline)?;
            }
            if kind == Kind::JoinPipeline {
                store.convert_to_rbw(&ticket, expected_len)?;
            } else {
                store.finalize(&ticket, sync)?;
            }
            packets.writer.keep();
            break;
        }
    }
    drop(packets);
    if matches!(kind, Kind::JoinPipeline | Kind::Copy { answered: true }) {
        let done = BlockOpResponseProto { status: Status::Success as i32, ..BlockOpResponseProto::default() };
        link.output.send_message(&done)?;
    }
    Ok(Next::Keep)
}

/// The stream of packets.
pub(super) struct Packets<'a> {
    pub(super) context: &'a Context,
    pub(super) writer: ReplicaWriter,
    /// The next node.
    pub(super) mirror: Option<DataWriter<TcpStream>>,
    /// Packets carry checksums.
    pub(super) checked: bool,
}

impl Packets<'_> {
    /// Receives packets up to the last one, and has each acknowledged.
    fn receive(&mut self, input: &mut DataReader<&TcpStream>, acks: &mut Acks<'_>) -> Result<()> {
        loop {
            let (due, taken) = self.next(input)?;
            match acks {
                Acks::Here(responder) => responder.acknowledge(due, None)?,
                Acks::There(queue) => queue.send(due).map_err(|_| DatanodeError::Data(DataError::Closed))?,
            }
            taken?;
            if due.last {
                return Ok(());
            }
        }
    }

    /// Receives one packet and takes it; whether that went well is the second of the answers, and part of the first.
    pub(super) fn next(&mut self, input: &mut DataReader<&TcpStream>) -> Result<(Due, Result<()>)> {
        let packet = input.read_packet()?;
        let PacketHeader { seqno, last, sync, .. } = packet.header;
        let taken = self.take(&packet);
        let own = match &taken {
            Ok(()) => Status::Success,
            Err(DatanodeError::Data(DataError::Checksum { .. })) => Status::ErrorChecksum,
            Err(_) => Status::Error,
        };
        if let Err(error) = &taken {
            tracing::warn!(block = %self.writer.block(), seqno, error = %chain(error), "packet refused");
        }
        Ok((Due { seqno, end: self.writer.block().len, own, last, sync }, taken))
    }

    /// Nothing more will come: the next node, and whoever waits for it, must hear of it.
    fn hang_up(&self) {
        if let Some(mirror) = &self.mirror {
            let _ = mirror.stream().shutdown(std::net::Shutdown::Both);
        }
    }

    fn take(&mut self, packet: &Packet<'_>) -> Result<()> {
        self.verify(packet)?;
        self.forward(packet);
        self.store(packet)?;
        if packet.header.sync || (packet.header.last && self.writer.sync_on_close()) {
            self.writer.sync(!packet.header.last)?;
        }
        Ok(())
    }

    pub(super) fn verify(&self, packet: &Packet<'_>) -> Result<()> {
        if self.checked && !packet.data.is_empty() {
            packet.verify(self.writer.chunk())?;
        }
        Ok(())
    }

    /// Passes a packet on. A next node that fails is noticed by whoever waits for its acknowledgements.
    fn forward(&mut self, packet: &Packet<'_>) {
        let Some(mirror) = &mut self.mirror else { return };
        if let Err(error) = mirror.send_raw(packet.raw) {
            tracing::info!(block = %self.writer.block(), error = %chain(&error), "the next datanode takes no more");
            let _ = mirror.stream().shutdown(std::net::Shutdown::Both);
            self.mirror = None;
        }
    }

    pub(super) fn store(&mut self, packet: &Packet<'_>) -> Result<()> {
        if packet.header.seqno == HEARTBEAT_SEQNO || packet.data.is_empty() {
            return Ok(());
        }
        let checksums = if self.checked { packet.checksums } else { &[] };
        self.writer.write(packet.header.offset, packet.data, checksums)?;
        self.context.counters.bytes_written.fetch_add(packet.data.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}
