//! Hedged reads: where a datanode has given nothing for a while, another one is asked for the same bytes, and whoever gives
//! them first is read on. The other one is let go.
//!
//! Each datanode is read by a thread of its own, which hands over pieces as they are verified, so that none holds up the
//! reader: neither one that takes a connection and says nothing, nor one that stops in the middle. Off by default, as it costs
//! a copy and a thread for each open block. The number of datanodes that are read beside those that readers go by is limited,
//! the ones that were let go and have not noticed included.

use super::short_circuit;
use super::stream::{BlockStream, Failure};
use crate::client::ClientShared;
use crate::types::{DatanodeInfo, HedgedReads, LocatedBlock};
use mammoth_platform::PlatformError;
use std::net::{Shutdown, TcpStream};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes of a piece, at most.
const PIECE_BYTES: usize = 256 * 1024;
/// Pieces that were read and not taken yet.
const PIECES: usize = 2;

/// What all hedged reads of a client share.
#[derive(Debug, Default)]
pub(crate) struct Hedging {
    /// Times that a further datanode was asked.
    ops: AtomicU64,
    /// Times that it was the first to answer.
    wins: AtomicU64,
    /// Further datanodes that are being read.
    running: Arc<AtomicUsize>,
}

impl Hedging {
    /// What they did so far.
    pub(crate) fn counts(&self) -> HedgedReads {
        HedgedReads { ops: self.ops.load(Ordering::Relaxed), wins: self.wins.load(Ordering::Relaxed) }
    }

    /// The right to read one datanode more, if fewer than `max` are.
    fn permit(&self, max: usize) -> Option<Permit> {
        let more = |running: usize| (running < max).then_some(running + 1);
        self.running.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Permit(Arc::clone(&self.running)))
    }
}

/// The right to read a further datanode; it is given back by whoever is the last to read.
#[derive(Debug)]
struct Permit(Arc<AtomicUsize>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What one thread has read, or why it cannot go on.
struct Piece {
    of: u32,
    result: Result<Vec<u8>, Failure>,
}

/// How a thread is told that nobody waits for it any more.
#[derive(Debug, Default)]
struct Line {
    state: Mutex<LineState>,
}

#[derive(Debug, Default)]
struct LineState {
    cut: bool,
    socket: Option<TcpStream>,
    permit: Option<Permit>,
}

impl Line {
    fn state(&self) -> MutexGuard<'_, LineState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers the socket, so that waiting for it can be ended.
    fn connected(&self, socket: &TcpStream) {
        let mut state = self.state();
        if state.cut {
            let _ = socket.shutdown(Shutdown::Both);
        }
        state.socket = socket.try_clone().ok();
    }

    /// Ends the thread: at once if it waits for its datanode, otherwise when it has connected. It keeps the right to run.
    fn cut(&self, permit: Option<Permit>) {
        let mut state = self.state();
        (state.cut, state.permit) = (true, permit);
        if let Some(socket) = &state.socket {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// One datanode that is read.
#[derive(Debug)]
struct Attempt {
    number: u32,
    node: DatanodeInfo,
    line: Arc<Line>,
    permit: Option<Permit>,
}

/// What a thread tells; that it ends without a word is told for it.
struct Teller {
    of: u32,
    line: Arc<Line>,
    pieces: SyncSender<Piece>,
    ended: bool,
}

impl Teller {
    /// Hands a piece over; false if nobody wants more.
    fn tell(&mut self, result: Result<Vec<u8>, Failure>) -> bool {
        if self.line.state().cut {
            // Somebody else was faster: a word of ours would only take the room of theirs.
            self.ended = true;
            return false;
        }
        self.ended = result.is_err();
        self.pieces.send(Piece { of: self.of, result }).is_ok()
    }

    /// All was told.
    fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        if !self.ended {
            self.tell(Err(Failure::Other("its reader ended".to_owned())));
        }
    }
}

/// A range of a block, read from one datanode or several.
pub(super) struct HedgedBlock {
    shared: Arc<ClientShared>,
    block: LocatedBlock,
    attempts: Vec<Attempt>,
    number: u32,
    sender: SyncSender<Piece>,
    pieces: Receiver<Piece>,
    /// What no thread has handed over yet, in the block.
    range: Range<u64>,
    kept: Vec<u8>,
    kept_from: usize,
}

/// What a reader of a file knows and does about datanodes.
pub(super) trait Watch {
    /// Another datanode of the block than these, the best first.
    fn another(&mut self, than: &[&str]) -> Option<DatanodeInfo>;
    /// A datanode failed while another one is still read.
    fn failed(&mut self, node: &DatanodeInfo, failure: &Failure);
    /// A datanode gave nothing in time, another one did.
    fn slow(&mut self, node: &DatanodeInfo);
}

impl HedgedBlock {
    /// Begins to read `range` (positions in the block, not empty) from a datanode.
    pub(super) fn start(
        shared: Arc<ClientShared>,
        block: LocatedBlock,
        node: DatanodeInfo,
        range: Range<u64>,
    ) -> Result<Self, Failure> {
        let (sender, pieces) = sync_channel(PIECES);
        let mut hedged = Self {
            shared,
            block,
            attempts: Vec::new(),
            number: 0,
            sender,
            pieces,
            range,
            kept: Vec::new(),
            kept_from: 0,
        };
        hedged.ask(node, None)?;
        Ok(hedged)
    }

    /// Whether the whole range was handed out.
    pub(super) fn is_done(&self) -> bool {
        self.range.is_empty() && self.kept_from >= self.kept.len()
    }

    /// Reads verified data, one byte at least unless the range is done or `out` is empty.
    ///
    /// # Errors
    /// The last datanode that was read failed: which, and why.
    pub(super) fn read(
        &mut self,
        out: &mut [u8],
        watch: &mut impl Watch,
    ) -> Result<usize, Box<(DatanodeInfo, Failure)>> {
        if out.is_empty() || self.is_done() {
            return Ok(0);
        }
        if self.kept_from >= self.kept.len() {
            self.kept = self.next_piece(watch)?;
            self.kept_from = 0;
            self.range.start += self.kept.len() as u64;
        }
        let kept = self.kept.get(self.kept_from..).unwrap_or_default();
        let taken = kept.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..taken), kept.get(..taken)) {
            to.copy_from_slice(from);
        }
        self.kept_from += taken;
        Ok(taken)
    }

    fn next_piece(&mut self, watch: &mut impl Watch) -> Result<Vec<u8>, Box<(DatanodeInfo, Failure)>> {
        let mut patience = Some(self.shared.config.hedged_read_threshold);
        loop {
            let Some(piece) = self.wait(patience) else {
                // With nobody else to ask, or no right to, those that were asked have the time that they need.
                if !self.hedge(watch) {
                    patience = None;
                }
                continue;
            };
            let Some(at) = self.attempts.iter().position(|attempt| attempt.number == piece.of) else { continue };
            let attempt = self.attempts.swap_remove(at);
            match piece.result {
                Ok(bytes) => {
                    self.won(attempt, watch);
                    return Ok(bytes);
                }
                Err(failure) if self.attempts.is_empty() => return Err(Box::new((attempt.node, failure))),
                Err(failure) => watch.failed(&attempt.node, &failure),
            }
        }
    }

    /// The next piece of any thread; `None` if there is none within `patience`.
    fn wait(&self, patience: Option<Duration>) -> Option<Piece> {
        match patience {
            Some(limit) => self.pieces.recv_timeout(limit).ok(),
            // There is a sender here as well, and a thread never ends without a word.
            None => self.pieces.recv().ok(),
        }
    }

    /// Asks one datanode more for what is missing; false if there is none, or no right to.
    fn hedge(&mut self, watch: &mut impl Watch) -> bool {
        let asked: Vec<&str> = self.attempts.iter().map(|attempt| attempt.node.uuid.as_str()).collect();
        let Some(node) = watch.another(&asked) else { return false };
        let Some(permit) = self.shared.hedging.permit(self.shared.config.hedged_read_threads) else { return false };
        let ops = self.shared.hedging.ops.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::debug!(hedged_read_ops = ops, block = %self.block.block, datanode = %node, "asking another datanode");
        let asked = self.ask(node, Some(permit));
        asked.inspect_err(|failure| tracing::debug!(reason = failure.text(), "nobody asked")).is_ok()
    }

    /// Lets those go that were not the first.
    fn won(&mut self, mut winner: Attempt, watch: &mut impl Watch) {
        for mut loser in self.attempts.drain(..) {
            if winner.permit.is_some() {
                let wins = self.shared.hedging.wins.fetch_add(1, Ordering::Relaxed) + 1;
                tracing::debug!(hedged_read_ops_win = wins, datanode = %winner.node, "the other datanode was faster");
                watch.slow(&loser.node);
            }
            loser.line.cut(loser.permit.take().or_else(|| winner.permit.take()));
        }
        // It is the one that the reader goes by now.
        winner.permit = None;
        self.attempts.push(winner);
    }

    fn ask(&mut self, node: DatanodeInfo, permit: Option<Permit>) -> Result<(), Failure> {
        self.number += 1;
        let line = Arc::new(Line::default());
        let mut teller = Teller { of: self.number, line: Arc::clone(&line), pieces: self.sender.clone(), ended: false };
        let (shared, block, range) = (Arc::clone(&self.shared), self.block.clone(), self.range.clone());
        let (asked, own) = (node.clone(), Arc::clone(&line));
        let read = move || {
            if let Err(failure) = read_all(&shared, &block, &asked, range, &own, &mut teller) {
                teller.tell(Err(failure));
            }
            teller.end();
        };
        let started = std::thread::Builder::new().name("hedged-read".to_owned()).spawn(read);
        started
            .map_err(|source| Failure::Other(PlatformError::System { action: "start a thread", source }.to_string()))?;
        self.attempts.push(Attempt { number: self.number, node, line, permit });
        Ok(())
    }
}

impl Drop for HedgedBlock {
    fn drop(&mut self) {
        // A thread that has handed all over tells its datanode so, and ends.
        if !self.range.is_empty() {
            self.attempts.drain(..).for_each(|mut attempt| attempt.line.cut(attempt.permit.take()));
        }
    }
}

fn read_all(
    shared: &ClientShared,
    block: &LocatedBlock,
    node: &DatanodeInfo,
    mut range: Range<u64>,
    line: &Line,
    teller: &mut Teller,
) -> Result<(), Failure> {
    // Files of this machine have no time limit of their own: a disk that hangs is what hedging is for, too.
    let mut local = short_circuit::open_block(shared, block, node, range.clone());
    while let Some(files) = local.as_mut().filter(|files| !files.is_done()) {
        match piece(|bytes| files.read(bytes)) {
            Ok(bytes) => {
                range.start += bytes.len() as u64;
                if !teller.tell(Ok(bytes)) {
                    return Ok(());
                }
            }
            Err(failure) => {
                tracing::info!(block = %block.block, datanode = %node, reason = failure.text(), "going on over TCP");
                local = None;
            }
        }
    }
    if range.is_empty() {
        return Ok(());
    }
    let mut stream = BlockStream::open(shared, block, node, range, |socket| line.connected(socket))?;
    while !stream.is_done() {
        if !teller.tell(Ok(piece(|bytes| stream.read(bytes))?)) {
            return Ok(());
        }
    }
    stream.finish();
    Ok(())
}

fn piece(read: impl FnOnce(&mut [u8]) -> Result<usize, Failure>) -> Result<Vec<u8>, Failure> {
    let mut bytes = vec![0; PIECE_BYTES];
    let len = read(&mut bytes)?;
    bytes.truncate(len);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_datanodes_are_read_than_allowed() {
        let hedging = Hedging::default();
        let first = hedging.permit(2).expect("none is read");
        let line = Line::default();
        line.cut(hedging.permit(2));
        assert!(hedging.permit(2).is_none(), "one that was let go counts until it has noticed");
        drop(line);
        let third = hedging.permit(2).expect("it has noticed");
        drop((first, third));
        assert_eq!(hedging.running.load(Ordering::Relaxed), 0);
    }
}
