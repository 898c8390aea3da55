//! Acknowledges packets upstream: each once it is on this disk and acknowledged by all nodes behind.
//!
//! A node that waits in vain for the next one says that the next one failed, by position, so that the client knows which to
//! drop. It waits only while something is due, and the longer the more nodes are behind it, so that the neighbour of a stuck
//! node speaks first.

use super::connection::set_read_timeout;
use crate::error::{DatanodeError, Result, chain};
use crate::store::{Store, Ticket};
use mammoth_net::data::{DataReader, DataWriter};
use mammoth_platform::{Deadline, SystemClock};
use mammoth_protocol::Block;
use mammoth_protocol::datatransfer::ack;
use mammoth_protocol::hadoop::hdfs::{PipelineAckProto, Status};
use std::borrow::BorrowMut;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// A packet whose acknowledgement is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub(super) seqno: i64,
    /// Bytes of the replica up to and with it.
    pub(super) end: u64,
    /// What became of it here.
    pub(super) own: Status,
    /// It completes the block.
    pub(super) last: bool,
    /// It was made durable.
    pub(super) sync: bool,
}

/// Writes acknowledgements.
pub(super) struct Responder<'a, W> {
    store: &'a Arc<Store>,
    ticket: &'a Ticket,
    output: W,
    ack: PipelineAckProto,
}

impl<'a, W: BorrowMut<DataWriter<TcpStream>>> Responder<'a, W> {
    pub(super) fn new(store: &'a Arc<Store>, ticket: &'a Ticket, output: W) -> Self {
        Self { store, ticket, output, ack: PipelineAckProto::default() }
    }

    /// Acknowledges one packet, with what the next node said of it. After a failure the stream is at its end.
    ///
    /// # Errors
    /// This node or one behind it failed; the client was told, or is gone itself.
    pub(super) fn acknowledge(&mut self, due: Due, behind: Option<&PipelineAckProto>) -> Result<()> {
        let mut own = due.own;
        let good_behind = behind.is_none_or(|ack| ack::first_failure(ack).is_none());
        let mut outcome = if own == Status::Success && good_behind { Ok(()) } else { Err(self.broken()) };
        if outcome.is_ok() {
            self.ticket.set_acked(due.end);
            if due.last
                && let Err(error) = self.finalize(due.sync, behind.is_some())
            {
                tracing::warn!(block = %self.ticket.block, error = %chain(&error), "replica not finalized");
                own = Status::Error;
                outcome = Err(error);
            }
        }
        ack::fill(&mut self.ack, due.seqno, own, behind.filter(|_| own == Status::Success));
        self.output.borrow_mut().send_message(&self.ack)?;
        outcome
    }

    /// The block is complete; `behind`: on the nodes behind this one already.
    fn finalize(&self, sync: bool, behind: bool) -> Result<Block> {
        let sync = sync || self.store.sync_on_close();
        if behind { self.store.finalize_second(self.ticket, sync) } else { self.store.finalize(self.ticket, sync) }
    }

    /// The pipeline ends here: the client was told why.
    fn broken(&self) -> DatanodeError {
        DatanodeError::Refused {
            peer: format!("the pipeline of {}", self.ticket.block),
            reason: "a packet was not taken".to_owned(),
        }
    }
}

/// The next node, as the one from which acknowledgements come.
pub(super) struct Behind {
    pub(super) input: DataReader<TcpStream>,
    /// How long each may take.
    pub(super) patience: Duration,
    ack: PipelineAckProto,
}

impl Behind {
    /// Waits for acknowledgements at `input`, for each as long as `patience` at most.
    pub(super) fn new(input: DataReader<TcpStream>, patience: Duration) -> Result<Self> {
        set_read_timeout(input.stream(), patience)?;
        Ok(Self { input, patience, ack: PipelineAckProto::default() })
    }

    /// Waits for the acknowledgement of a packet and passes it on.
    ///
    /// # Errors
    /// This node or one behind it failed; the client was told, or is gone itself.
    pub(super) fn answer<W: BorrowMut<DataWriter<TcpStream>>>(
        &mut self,
        responder: &mut Responder<'_, W>,
        due: Due,
    ) -> Result<()> {
        if due.own != Status::Success {
            return responder.acknowledge(due, None);
        }
        match next_ack(&mut self.input, &mut self.ack, due.seqno) {
            Ok(()) => responder.acknowledge(due, Some(&self.ack)),
            Err(error) => self.blame(responder, due, &error),
        }
    }

    /// As [`Self::answer`], until then at most: the packet has waited for some time already.
    fn answer_by<W: BorrowMut<DataWriter<TcpStream>>>(
        &mut self,
        responder: &mut Responder<'_, W>,
        due: Due,
        by: Deadline,
    ) -> Result<()> {
        let left = by.left(&SystemClock).max(Duration::from_millis(1));
        set_read_timeout(self.input.stream(), left)?;
        self.answer(responder, due)?;
        set_read_timeout(self.input.stream(), self.patience)
    }

    /// The acknowledgement of a packet does not come: the client hears that the next node failed.
    ///
    /// # Errors
    /// Always: the pipeline ends here.
    pub(super) fn blame<W: BorrowMut<DataWriter<TcpStream>>>(
        &mut self,
        responder: &mut Responder<'_, W>,
        due: Due,
        error: &DatanodeError,
    ) -> Result<()> {
        tracing::info!(block = %responder.ticket.block, error = %chain(error), "no answer from the next datanode");
        ack_of_failed_node(&mut self.ack);
        responder.acknowledge(due, Some(&self.ack))
    }
}

/// The thread between two nodes: one acknowledgement from behind for each packet that is due, first for `first`, by then. Gives
/// the reader back at the end.
pub(super) fn run<W: BorrowMut<DataWriter<TcpStream>>>(
    mut responder: Responder<'_, W>,
    mut behind: Behind,
    first: (Due, Deadline),
    queue: Receiver<Due>,
) -> Result<DataReader<TcpStream>> {
    behind.answer_by(&mut responder, first.0, first.1)?;
    while let Ok(due) = queue.recv() {
        behind.answer(&mut responder, due)?;
        if due.last {
            break;
        }
    }
    Ok(behind.input)
}

/// Reads the acknowledgement of one packet.
fn next_ack(input: &mut DataReader<TcpStream>, ack: &mut PipelineAckProto, seqno: i64) -> Result<()> {
    input.read_ack(ack)?;
    if ack.seqno == seqno && ack::statuses(ack).next().is_some() {
        return Ok(());
    }
    let reason = format!("acknowledged packet {} instead of {seqno}", ack.seqno);
    Err(DatanodeError::Refused { peer: "the next datanode".to_owned(), reason })
}

/// What the next node would say of itself if it could.
fn ack_of_failed_node(ack: &mut PipelineAckProto) {
    ack::fill(ack, 0, Status::Error, None);
}
