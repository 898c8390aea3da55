//! Writing a file: [`FileWriter`] and the two threads behind it.
//!
//! The caller's thread cuts data into packets with checksums ([`packet`]) and hands them over ([`queue`]). The streamer
//! ([`streamer`]) gets blocks from the namenode, sets up their pipelines ([`pipeline`]) and sends; a second thread reads
//! acknowledgements ([`acks`]). A file that is closed before its first packet is full has no streamer's thread: the caller
//! sends by itself. A pipeline that fails is rebuilt ([`recovery`]) and what it did not acknowledge sent again.

mod acks;
mod calls;
mod packet;
pub(crate) mod pipeline;
mod queue;
mod recovery;
mod streamer;
#[cfg(test)]
mod tests;

use crate::client::ClientShared;
use crate::error::ClientError;
use crate::lease::LeaseGuard;
use crate::rpc::retry::Cancel;
use crate::types::FileStatus;
use calls::FileCalls;
use mammoth_protocol::DfsPath;
use mammoth_protocol::hadoop::hdfs;
use packet::{Assembler, Packet};
use pipeline::OpenBlock;
use queue::Queue;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use streamer::{End, Streamer};

/// An open file that is being written.
///
/// Data goes into packets, packets through a pipeline of datanodes. A datanode that fails is dropped from the pipeline (and
/// replaced, by policy) without the caller noticing; what was not acknowledged is sent again. Writing waits while more than
/// [`crate::ClientConfig::write_buffer`] is on its way. After an error every further call answers the same error.
///
/// [`Self::close`] must be called: it alone tells whether everything arrived. A writer that is dropped leaves its file open
/// with what has reached the datanodes; the namenode closes it once the lease expires, at the latest. [`Self::abandon`] asks
/// for that at once.
#[derive(Debug)]
pub struct FileWriter {
    calls: FileCalls,
    queue: Arc<Queue>,
    assembler: Assembler,
    packet_data: usize,
    position: u64,
    flushed: Arc<AtomicBool>,
    sending: Sending,
    _lease: LeaseGuard,
}

/// Who sends.
enum Sending {
    /// Nobody so far.
    NotYet(Box<Streamer>),
    /// A thread.
    Thread(JoinHandle<End>),
    /// The file is closed, or no thread could be started.
    Over,
}

impl std::fmt::Debug for Sending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotYet(_) => "NotYet",
            Self::Thread(_) => "Thread",
            Self::Over => "Over",
        })
    }
}

impl FileWriter {
    /// Starts to write at the end of a file that the namenode has just opened; `last_block` is its unfinished last block.
    pub(crate) fn start(
        shared: Arc<ClientShared>,
        lease: LeaseGuard,
        status: &FileStatus,
        last_block: Option<hdfs::LocatedBlockProto>,
    ) -> Result<Self, ClientError> {
        let reopened = |located| OpenBlock::new(&located, status.block_size, &shared.namenode);
        let block = last_block.map(reopened).transpose()?;
        let block = block.map(|block| OpenBlock { is_append: true, ..block });
        let in_block = block.as_ref().map_or(0, |block| block.sent);
        if status.block_size == 0 || in_block > status.block_size {
            let what =
                format!("{}: block size {} and {in_block} bytes in the last block", status.path, status.block_size);
            return Err(shared.namenode.bad_answer(what));
        }
        let packet_data = shared.config.packet_data;
        let memory_max = shared.config.write_buffer.max(2 * packet_data);
        let queue = Arc::new(Queue::new(Arc::clone(shared.namenode.clock()), memory_max));
        let flushed = Arc::new(AtomicBool::new(false));
        let calls = FileCalls {
            shared,
            path: status.path.clone(),
            file_id: status.file_id,
            block_size: status.block_size,
            cancel: Arc::new(Cancel::default()),
        };
        let streamer =
            Streamer::new(calls.clone(), Arc::clone(&queue), status.replication, Arc::clone(&flushed), block);
        Ok(Self {
            calls,
            queue,
            assembler: Assembler::new(status.block_size, packet_data, in_block),
            packet_data,
            position: status.len,
            flushed,
            sending: Sending::NotYet(Box::new(streamer)),
            _lease: lease,
        })
    }

    /// The file, by the name that it had when it was opened.
    #[must_use]
    pub fn path(&self) -> &DfsPath {
        &self.calls.path
    }

    /// Length of the file with all that was written so far, flushed or not, bytes.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Returns once all datanodes of the pipeline have everything written so far, so that new readers see it. It is in
    /// their memory, not necessarily on their disks.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn hflush(&mut self) -> Result<(), ClientError> {
        self.flushed.store(true, Ordering::Relaxed);
        if self.assembler.has_unsent() {
            self.push_data(false)?;
        }
        self.queue.wait_acked()
    }

    /// As [`Self::hflush`], with the file's unfinished block on the disks of its datanodes. As in HDFS, blocks that were
    /// full before are on their way to the disks by then, but not waited for.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn hsync(&mut self) -> Result<(), ClientError> {
        self.flushed.store(true, Ordering::Relaxed);
        if self.assembler.has_unsent() {
            self.push_data(true)?;
        } else if self.assembler.in_block() > 0 {
            let marker = self.assembler.sync_marker();
            self.push(marker)?;
        }
        self.queue.wait_acked()
    }

    /// Sends what is left, waits until the datanodes have it, and closes the file. Its length is the answer.
    ///
    /// # Errors
    /// See [`ClientError`]; the file is then still open at the namenode.
    pub fn close(mut self) -> Result<u64, ClientError> {
        // Past `push`, which would start a thread: at most one packet, which the queue always has room for.
        if self.assembler.has_unsent() {
            let packet = self.seal(false);
            self.queue.push(packet)?;
        }
        if self.assembler.in_block() > 0 {
            self.queue.push(self.assembler.end_block())?;
        }
        self.queue.close();
        let end = match std::mem::replace(&mut self.sending, Sending::Over) {
            Sending::NotYet(streamer) => Some(streamer.run()),
            Sending::Thread(thread) => thread.join().ok(),
            Sending::Over => None,
        };
        match end {
            Some(End::Closed(last)) => self.calls.complete(last.as_ref())?,
            Some(End::Broken) | None => return Err(self.broken()),
        }
        Ok(self.position)
    }

    /// Gives the file up: stops sending, and asks the namenode to close it with what has reached the datanodes.
    ///
    /// # Errors
    /// The namenode cannot be asked; it will close the file when the lease expires.
    pub fn abandon(self) -> Result<(), ClientError> {
        // The sender ends by itself: its sockets are shut down and its pauses cut short.
        self.stop();
        self.calls.shared.recover_lease(&self.calls.path).map(|_| ())
    }

    fn push_data(&mut self, sync: bool) -> Result<(), ClientError> {
        let packet = self.seal(sync);
        self.push(packet)
    }

    fn seal(&mut self, sync: bool) -> Packet {
        self.assembler.seal(sync, || self.queue.buffers(self.packet_data))
    }

    fn push_end(&mut self) -> Result<(), ClientError> {
        let packet = self.assembler.end_block();
        self.push(packet)
    }

    /// Hands a packet to the thread that sends, which is started for the first.
    fn push(&mut self, packet: Packet) -> Result<(), ClientError> {
        self.sending = match std::mem::replace(&mut self.sending, Sending::Over) {
            Sending::NotYet(streamer) => {
                let thread = std::thread::Builder::new().name("dfs-streamer".to_owned()).spawn(move || streamer.run());
                let cannot = |error| {
                    let error = ClientError::local("cannot start the thread that sends", &error);
                    // Every further call hears of it: the packet is lost.
                    self.queue.fail(error.clone());
                    error
                };
                Sending::Thread(thread.map_err(cannot)?)
            }
            started => started,
        };
        self.queue.push(packet)
    }

    fn write_all_of(&mut self, data: &[u8]) -> Result<(), ClientError> {
        let mut rest = data;
        while !rest.is_empty() {
            if !self.assembler.has_memory() {
                self.assembler.set_memory(self.queue.buffers(self.packet_data));
            }
            let taken = self.assembler.push(rest);
            self.position += taken as u64;
            rest = rest.get(taken..).unwrap_or_default();
            if self.assembler.is_packet_full() {
                self.push_data(false)?;
            }
            if self.assembler.is_block_full() {
                self.push_end()?;
            }
        }
        Ok(())
    }

    fn broken(&self) -> ClientError {
        self.queue.failure().unwrap_or_else(|| ClientError::Write {
            path: self.calls.path.to_string(),
            block: "unknown block".to_owned(),
            cause: "the thread that sends has ended".to_owned(),
        })
    }

    fn stop(&self) {
        self.calls.cancel.cancel();
        self.queue.stop();
    }
}

impl Write for FileWriter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.write_all_of(data)?;
        Ok(data.len())
    }

    /// Only tells of a failure so far: data leaves when a packet is full. See [`FileWriter::hflush`].
    fn flush(&mut self) -> io::Result<()> {
        self.queue.failure().map_or(Ok(()), |failure| Err(failure.into()))
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        if !matches!(self.sending, Sending::Over) {
            self.stop();
        }
    }
}
