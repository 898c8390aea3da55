//! The beginning of a block at a node in the middle of a pipeline: one thread receives packets and passes acknowledgements on,
//! whichever comes first.
//!
//! A small block is one packet, and whoever flushes again and again waits for each: a second thread ([`super::respond`]) would
//! cost more than it gains. It is started when a packet arrives while another one still waits for its acknowledgement: passing
//! that packet on may take as long as the next node pleases, and meanwhile somebody must notice that it acknowledges nothing.

use super::receive::Packets;
use super::respond::{Behind, Due, Responder};
use crate::error::{DatanodeError, Result};
use mammoth_net::data::{DataError, DataReader, DataWriter};
use mammoth_platform::{Deadline, SystemClock};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::borrow::BorrowMut;
use std::net::TcpStream;
use std::time::Duration;

/// How the beginning ended.
pub(super) enum Early {
    /// The block is complete.
    Complete,
    /// There is more to come than one thread can see to; this packet waits for its acknowledgement, until then.
    Streaming(Due, Deadline),
}

/// What there is to do.
enum Ready {
    /// A packet arrives.
    Packet,
    /// An acknowledgement arrives, or will not any more.
    Ack,
    /// An acknowledgement is overdue.
    Silence,
}

/// Both ends of a node in the middle, and when each has been silent for too long.
struct Ends<'a, 's> {
    input: &'a mut DataReader<&'s TcpStream>,
    behind: &'a mut Behind,
    input_by: Deadline,
    behind_by: Deadline,
}

/// Receives packets and has each acknowledged, until the block is complete or several are on their way. The client may be silent
/// for `patience`.
///
/// # Errors
/// Either end failed; whoever is at the other one was told as far as it could be.
pub(super) fn run<W: BorrowMut<DataWriter<TcpStream>>>(
    packets: &mut Packets<'_>,
    responder: &mut Responder<'_, W>,
    input: &mut DataReader<&TcpStream>,
    behind: &mut Behind,
    patience: Duration,
) -> Result<Early> {
    let (input_by, behind_by) = (deadline(patience), deadline(behind.patience));
    let mut ends = Ends { input, behind, input_by, behind_by };
    let mut due: Option<Due> = None;
    loop {
        match (ends.wait(due.is_some())?, due.take()) {
            (Ready::Packet, None) => {
                let (next, taken) = packets.next(ends.input)?;
                if taken.is_err() || next.last {
                    // Nothing more comes from the front, so that this thread may wait for what is behind.
                    ends.behind.answer(responder, next)?;
                    return taken.map(|()| Early::Complete);
                }
                due = Some(next);
                (ends.input_by, ends.behind_by) = (deadline(patience), deadline(ends.behind.patience));
            }
            (Ready::Packet, Some(due)) => return Ok(Early::Streaming(due, ends.behind_by)),
            (Ready::Ack, Some(due)) => ends.behind.answer(responder, due)?,
            (Ready::Silence, Some(due)) => ends.behind.blame(responder, due, &DataError::Timeout.into())?,
            // Neither is waited for then.
            (Ready::Ack | Ready::Silence, None) => {}
        }
    }
}

impl Ends<'_, '_> {
    /// Waits for the one or, if an acknowledgement is `due`, for either.
    fn wait(&self, due: bool) -> Result<Ready> {
        loop {
            if due && !self.behind.input.has_taken_all() {
                return Ok(Ready::Ack);
            }
            if !self.input.has_taken_all() {
                return Ok(Ready::Packet);
            }
            let mut left = self.input_by.left(&SystemClock);
            if due {
                left = left.min(self.behind_by.left(&SystemClock));
            }
            let mut ends = [
                PollFd::new(*self.input.stream(), PollFlags::IN),
                PollFd::new(self.behind.input.stream(), PollFlags::IN),
            ];
            let watched = if due { &mut ends[..] } else { &mut ends[..1] };
            match poll(watched, Some(&timespec(left))) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(DataError::Io(error.into()).into()),
            }
            // An end that failed is ready as well: reading tells how.
            let [input, behind] = ends.map(|end| !end.revents().is_empty());
            if behind {
                return Ok(Ready::Ack);
            }
            if input {
                return Ok(Ready::Packet);
            }
            if due && self.behind_by.is_over(&SystemClock) {
                return Ok(Ready::Silence);
            }
            if self.input_by.is_over(&SystemClock) {
                return Err(DatanodeError::Data(DataError::Timeout));
            }
        }
    }
}

fn deadline(timeout: Duration) -> Deadline {
    Deadline::after(&SystemClock, timeout)
}

fn timespec(time: Duration) -> Timespec {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timespec { tv_sec: seconds, tv_nsec: i64::from(time.subsec_nanos()) }
}
