//! What the three threads of a writer share: the packets on their way, and how far they are.
//!
//! ```text
//! writer ── push ──▶ unsent ── begin ──▶ unacked ── acked ──▶ (memory used again)
//!                       ▲        streamer    │ ack thread
//!                       └──── requeue ───────┘ after a failure in the pipeline
//! ```
//!
//! The packet that ends a block leaves only after all packets before it are acknowledged, so that a failure finds either
//! data or the end outstanding, never both. Memory is bounded: the writer waits while too much is on its way.

use super::packet::{Buffers, Packet};
use crate::error::ClientError;
use mammoth_platform::Clock;
use std::collections::VecDeque;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Something is wrong with the pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Position of the node to blame, if the pipeline said.
    pub(super) node: Option<usize>,
    /// What happened.
    pub(super) cause: String,
}

/// What the streamer has to do next.
#[derive(Debug)]
pub(super) enum Event {
    /// Send this packet, after [`Queue::begin`].
    Packet(Arc<Packet>),
    /// Everything up to the end of the block is acknowledged.
    BlockEnded,
    /// The pipeline failed.
    Trouble(Trouble),
    /// Nothing happened for the time given.
    Idle,
    /// All is acknowledged and nothing more will come.
    Closed,
    /// The writer is gone.
    Stopped,
}

/// See the module's head.
pub(super) struct Queue {
    clock: Arc<dyn Clock>,
    memory_max: usize,
    state: Mutex<State>,
    /// For the streamer: packets, acknowledgements it waits for, trouble, the end.
    work: Condvar,
    /// For the writer: acknowledgements, room, failure.
    progress: Condvar,
}

#[derive(Default)]
struct State {
    unsent: VecDeque<Arc<Packet>>,
    unacked: VecDeque<Arc<Packet>>,
    /// Memory of all packets in both.
    memory: usize,
    spare: Vec<Buffers>,
    last_queued: i64,
    last_acked: i64,
    /// Bytes of the present block that are acknowledged.
    acked_len: u64,
    /// The end of the block is on its way or acknowledged.
    ending: bool,
    heartbeats: u32,
    /// Since when an acknowledgement is due, nanoseconds.
    waiting_since: Option<u64>,
    trouble: Option<Trouble>,
    failure: Option<ClientError>,
    closing: bool,
    stopped: bool,
    /// To wake a streamer that is stuck in a write.
    socket: Option<TcpStream>,
}

impl Queue {
    pub(super) fn new(clock: Arc<dyn Clock>, memory_max: usize) -> Self {
        let state = State { last_queued: -1, last_acked: -1, ..State::default() };
        Self { clock, memory_max, state: Mutex::new(state), work: Condvar::new(), progress: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- the writer's side ----

    /// Memory for a packet.
    pub(super) fn buffers(&self, data: usize) -> Buffers {
        self.state().spare.pop().unwrap_or_else(|| Buffers::with_capacity(data))
    }

    /// Hands a packet over, when there is room.
    pub(super) fn push(&self, packet: Packet) -> Result<(), ClientError> {
        let memory = packet.buffers.memory();
        let mut state = self.state();
        while state.failure.is_none() && state.memory > 0 && state.memory + memory > self.memory_max {
            state = self.progress.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(failure) = &state.failure {
            return Err(failure.clone());
        }
        state.memory += memory;
        state.last_queued = packet.header.seqno;
        state.unsent.push_back(Arc::new(packet));
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    /// Waits until all that was handed over is acknowledged.
    pub(super) fn wait_acked(&self) -> Result<(), ClientError> {
        let mut state = self.state();
        let target = state.last_queued;
        loop {
            if let Some(failure) = &state.failure {
                return Err(failure.clone());
            }
            if state.last_acked >= target {
                return Ok(());
            }
            state = self.progress.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The failure that ended the writer, if any.
    pub(super) fn failure(&self) -> Option<ClientError> {
        self.state().failure.clone()
    }

    /// Nothing more will come: the streamer ends once all is acknowledged.
    pub(super) fn close(&self) {
        self.state().closing = true;
        self.work.notify_one();
    }

    /// The writer gives up: the streamer ends at once.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        state.stopped = true;
        if let Some(socket) = state.socket.take() {
            let _ = socket.shutdown(Shutdown::Both);
        }
        drop(state);
        self.work.notify_all();
    }

    // ---- the streamer's side ----

    /// Waits for something to do, for `idle` at most.
    pub(super) fn next(&self, idle: Duration) -> Event {
        let mut state = self.state();
        loop {
            if state.stopped {
                return Event::Stopped;
            }
            if let Some(trouble) = state.trouble.take() {
                return Event::Trouble(trouble);
            }
            if state.ending && state.unacked.is_empty() {
                state.ending = false;
                state.acked_len = 0;
                return Event::BlockEnded;
            }
            match state.unsent.front() {
                Some(_) if state.ending => {}
                Some(packet) if packet.header.last && !state.unacked.is_empty() => {}
                Some(packet) => return Event::Packet(Arc::clone(packet)),
                None if state.closing && state.unacked.is_empty() => return Event::Closed,
                None => {}
            }
            let (next, timeout) = self.work.wait_timeout(state, idle).unwrap_or_else(PoisonError::into_inner);
            state = next;
            if timeout.timed_out() {
                return Event::Idle;
            }
        }
    }

    /// A block has ended. Tells whether nothing of it is on its way any more, not even the answer to a heartbeat.
    pub(super) fn end_block(&self) -> bool {
        let mut state = self.state();
        state.waiting_since = None;
        std::mem::take(&mut state.heartbeats) == 0
    }

    /// The packet at the front is about to be sent.
    pub(super) fn begin(&self) {
        let now = self.clock.monotonic_ns();
        let mut state = self.state();
        let Some(packet) = state.unsent.pop_front() else { return };
        state.ending = packet.header.last;
        state.unacked.push_back(packet);
        state.waiting_since.get_or_insert(now);
    }

    /// A heartbeat is about to be sent.
    pub(super) fn begin_heartbeat(&self) {
        let now = self.clock.monotonic_ns();
        let mut state = self.state();
        state.heartbeats += 1;
        state.waiting_since.get_or_insert(now);
    }

    /// A block starts, `len` bytes of which are on the datanodes.
    pub(super) fn start_block(&self, len: u64) {
        self.state().acked_len = len;
    }

    /// Keeps a handle to the pipeline's socket, to wake whoever is stuck in it. False if the writer is gone.
    #[must_use]
    pub(super) fn set_socket(&self, socket: Option<TcpStream>) -> bool {
        let mut state = self.state();
        state.socket = socket;
        !state.stopped
    }

    /// After the pipeline failed and its ack thread ended: what is not acknowledged will be sent again. Tells whether all
    /// data is acknowledged and only the end of the block was outstanding.
    pub(super) fn requeue(&self) -> bool {
        let mut state = self.state();
        let only_end = state.ending;
        while let Some(packet) = state.unacked.pop_back() {
            state.unsent.push_front(packet);
        }
        state.ending = false;
        state.heartbeats = 0;
        state.waiting_since = None;
        state.trouble = None;
        only_end
    }

    /// The end of the block, which is at the front, counts as sent and acknowledged.
    pub(super) fn skip_end(&self) {
        let mut state = self.state();
        if let Some(packet) = state.unsent.pop_front_if(|packet| packet.header.last) {
            state.last_acked = packet.header.seqno;
            state.release(packet);
        }
        state.acked_len = 0;
        drop(state);
        self.progress.notify_all();
    }

    /// Waits for the ack thread's verdict on a pipeline whose socket failed.
    pub(super) fn wait_trouble(&self, time: Duration) -> Option<Trouble> {
        let waited =
            self.work.wait_timeout_while(self.state(), time, |state| state.trouble.is_none() && !state.stopped);
        waited.unwrap_or_else(PoisonError::into_inner).0.trouble.take()
    }

    /// Number of the last acknowledged packet, and acknowledged bytes of the block.
    pub(super) fn acked(&self) -> (i64, u64) {
        let state = self.state();
        (state.last_acked, state.acked_len)
    }

    /// The writer can go no further.
    pub(super) fn fail(&self, failure: ClientError) {
        let mut state = self.state();
        state.failure.get_or_insert(failure);
        // Nobody will send these.
        state.unsent.clear();
        state.unacked.clear();
        state.socket = None;
        drop(state);
        self.progress.notify_all();
        self.work.notify_all();
    }

    // ---- the ack thread's side ----

    /// A packet is acknowledged by all nodes; `Ok(true)` if it ended the block.
    pub(super) fn acknowledge(&self, seqno: i64) -> Result<bool, String> {
        let now = self.clock.monotonic_ns();
        let mut state = self.state();
        let packet = match state.unacked.pop_front_if(|packet| packet.header.seqno == seqno) {
            Some(packet) => packet,
            None => {
                let due = state.unacked.front().map_or_else(|| "none".to_owned(), |p| p.header.seqno.to_string());
                return Err(format!("acknowledgement of packet {seqno}, but {due} was due"));
            }
        };
        state.last_acked = seqno;
        state.acked_len = state.acked_len.max(packet.end());
        let last = packet.header.last;
        state.release(packet);
        state.acknowledged(now);
        let wake_streamer = state.unacked.is_empty();
        drop(state);
        self.progress.notify_all();
        if wake_streamer {
            self.work.notify_one();
        }
        Ok(last)
    }

    /// A heartbeat is acknowledged.
    pub(super) fn acknowledge_heartbeat(&self) {
        let now = self.clock.monotonic_ns();
        let mut state = self.state();
        state.heartbeats = state.heartbeats.saturating_sub(1);
        state.acknowledged(now);
    }

    /// How long an acknowledgement has been due.
    pub(super) fn overdue(&self) -> Duration {
        let now = self.clock.monotonic_ns();
        self.state().waiting_since.map_or(Duration::ZERO, |since| Duration::from_nanos(now.saturating_sub(since)))
    }

    /// The pipeline failed; the first report counts.
    pub(super) fn report(&self, trouble: Trouble) {
        let mut state = self.state();
        state.trouble.get_or_insert(trouble);
        if let Some(socket) = state.socket.take() {
            // The streamer may be stuck in a write.
            let _ = socket.shutdown(Shutdown::Both);
        }
        drop(state);
        self.work.notify_all();
    }
}

impl State {
    fn acknowledged(&mut self, now: u64) {
        let more = !self.unacked.is_empty() || self.heartbeats > 0;
        self.waiting_since = more.then_some(now);
    }

    /// Takes a packet's memory back.
    fn release(&mut self, packet: Arc<Packet>) {
        self.memory = self.memory.saturating_sub(packet.buffers.memory());
        // The streamer may still hold it, having just sent it; then its memory goes with it.
        if let Some(packet) = Arc::into_inner(packet)
            && packet.buffers.memory() > 0
        {
            let mut buffers = packet.buffers;
            buffers.clear();
            self.spare.push(buffers);
        }
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mammoth_platform::SystemClock;

    #[test]
    fn a_block_leaves_its_connection_quiet_only_if_no_heartbeat_waits_for_its_answer() {
        let queue = Queue::new(Arc::new(SystemClock), 1);
        assert!(queue.end_block());
        queue.begin_heartbeat();
        queue.begin_heartbeat();
        queue.acknowledge_heartbeat();
        assert!(!queue.end_block());
        // The next block's connection owes nothing.
        assert!(queue.end_block());
        assert_eq!(queue.overdue(), Duration::ZERO);
        queue.begin_heartbeat();
        queue.acknowledge_heartbeat();
        assert!(queue.end_block());
    }
}
