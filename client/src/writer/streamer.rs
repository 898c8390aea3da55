//! The thread that sends: takes packets from the queue, gets blocks for them, and keeps their pipeline alive.

use super::acks;
use super::calls::FileCalls;
use super::packet::Packet;
use super::pipeline::{self, OpenBlock, SetupFailure, Target};
use super::queue::{Event, Queue, Trouble};
use crate::error::ClientError;
use crate::text::chain;
use mammoth_net::data::{DataError, DataReader, DataStream, DataWriter};
use mammoth_platform::Deadline;
use mammoth_protocol::datatransfer::packet::PacketHeader;
use mammoth_protocol::hadoop::hdfs::{
    ExtendedBlockProto, LocatedBlockProto, op_write_block_proto::BlockConstructionStage as Stage,
};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a node that could not be reached is not asked for again (as in HDFS).
const EXCLUDED_FOR: Duration = Duration::from_secs(600);
/// How long the ack thread's verdict is waited for when sending failed.
const VERDICT: Duration = Duration::from_millis(500);

/// The sending thread of one open file.
pub(super) struct Streamer {
    pub(super) calls: FileCalls,
    pub(super) queue: Arc<Queue>,
    /// Replicas that the file wants.
    pub(super) replication: u16,
    /// The file's data was flushed at least once, so that somebody may have read it: it must not lose replicas lightly.
    pub(super) flushed: Arc<AtomicBool>,
    /// The block that is being written.
    pub(super) block: Option<OpenBlock>,
    pub(super) connection: Option<Connection>,
    /// The last block that ended.
    previous: Option<ExtendedBlockProto>,
    excluded: Vec<(Target, Deadline)>,
    pub(super) recoveries: u32,
    /// Last acknowledged packet at the last failure.
    pub(super) acked_at_failure: i64,
}

/// A pipeline that is set up.
pub(super) struct Connection {
    writer: DataWriter<TcpStream>,
    acks: JoinHandle<Option<DataReader<TcpStream>>>,
}

/// How a streamer ended.
pub(super) enum End {
    /// Everything is on the datanodes; this is the file's last block.
    Closed(Option<ExtendedBlockProto>),
    /// The writer went away or failed; the queue knows why.
    Broken,
}

/// Fails the queue if the thread panics, so that nobody waits for it for ever.
struct Watch(Arc<Queue>);

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let cause = "it panicked".to_owned();
            self.0.fail(ClientError::Local { what: "the thread that sends has ended", cause });
        }
    }
}

impl Streamer {
    pub(super) fn new(
        calls: FileCalls,
        queue: Arc<Queue>,
        replication: u16,
        flushed: Arc<AtomicBool>,
        block: Option<OpenBlock>,
    ) -> Self {
        Self {
            calls,
            queue,
            replication,
            flushed,
            block,
            connection: None,
            previous: None,
            excluded: Vec::new(),
            recoveries: 0,
            acked_at_failure: i64::MIN,
        }
    }

    /// Runs to the end of the file.
    pub(super) fn run(mut self) -> End {
        let _watch = Watch(Arc::clone(&self.queue));
        let result = self.stream();
        self.disconnect();
        match result {
            Ok(true) => return End::Closed(self.previous.take()),
            Ok(false) => self.queue.fail(self.failure("the writer was dropped".to_owned())),
            Err(error) => self.queue.fail(error),
        }
        End::Broken
    }

    /// True at the end, false if the writer went away.
    fn stream(&mut self) -> Result<bool, ClientError> {
        // A pipeline that is silent for its timeout is given up, so it must hear of us twice as often.
        let idle = self.calls.shared.config.socket_timeout / 2;
        loop {
            match self.queue.next(idle) {
                Event::Packet(packet) => self.send(&packet)?,
                Event::BlockEnded => {
                    self.keep_connection();
                    self.end_block();
                }
                Event::Trouble(trouble) => self.recover(trouble)?,
                Event::Idle => self.heartbeat()?,
                Event::Closed => return Ok(true),
                Event::Stopped => return Ok(false),
            }
        }
    }

    fn send(&mut self, packet: &Packet) -> Result<(), ClientError> {
        match (&self.block, &self.connection) {
            (None, _) => self.next_block()?,
            // A file that was reopened in the middle of a block.
            (Some(_), None) => return self.reopen_block(),
            (Some(_), Some(_)) => {}
        }
        let (Some(block), Some(connection)) = (&mut self.block, &mut self.connection) else {
            return Ok(());
        };
        self.queue.begin();
        block.sent = block.sent.max(packet.end());
        let sent = connection.writer.send_packet(&packet.header, &packet.buffers.checksums, &packet.buffers.data);
        match sent {
            Ok(()) => Ok(()),
            Err(error) => self.recover_from(&error),
        }
    }

    fn heartbeat(&mut self) -> Result<(), ClientError> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        self.queue.begin_heartbeat();
        let sent = connection.writer.send_packet(&PacketHeader::HEARTBEAT, &[], &[]);
        match sent {
            Ok(()) => Ok(()),
            Err(error) => self.recover_from(&error),
        }
    }

    /// Sending failed. The pipeline may have said why before it went; otherwise its first node is to blame.
    fn recover_from(&mut self, error: &DataError) -> Result<(), ClientError> {
        let trouble = self.queue.wait_trouble(VERDICT);
        self.recover(trouble.unwrap_or_else(|| Trouble { node: None, cause: chain(error) }))
    }

    /// Gets a block and sets its pipeline up, with other nodes if some cannot be reached.
    fn next_block(&mut self) -> Result<(), ClientError> {
        let mut failures = Vec::new();
        loop {
            self.check_alive()?;
            let excluded = self.excluded_nodes();
            let located = self.calls.add_block(self.previous.as_ref(), excluded)?;
            let block = self.open_block(&located)?;
            self.queue.start_block(block.block.num_bytes());
            match pipeline::set_up(&self.calls.shared, &self.queue, &block, Stage::PipelineSetupCreate, 0) {
                Ok(stream) => {
                    self.recoveries = 0;
                    self.block = Some(block);
                    return self.connect(stream);
                }
                Err(failure) => failures.push(self.exclude(&block, failure)?),
            }
            if failures.len() > self.calls.shared.config.block_write_retries as usize {
                return Err(self.failure(format!("no pipeline could be set up: {}", failures.join("; "))));
            }
        }
    }

    fn open_block(&self, located: &LocatedBlockProto) -> Result<OpenBlock, ClientError> {
        let block = OpenBlock::new(located, self.calls.block_size, &self.calls.shared.namenode)?;
        if block.targets.is_empty() {
            return Err(self.calls.shared.namenode.bad_answer(format!("{} without datanodes", block.name())));
        }
        Ok(block)
    }

    /// Gives a block back and remembers which node it failed at; the text tells people.
    fn exclude(&mut self, block: &OpenBlock, failure: SetupFailure) -> Result<String, ClientError> {
        let Some(target) = block.targets.get(failure.node) else { return Ok(failure.cause) };
        let text = format!("datanode {}: {}", target.addr(), failure.cause);
        tracing::warn!(path = %self.calls.path, block = block.name(), "pipeline not set up, trying others: {text}");
        self.calls.abandon_block(&block.block)?;
        let until = Deadline::after(&**self.calls.shared.namenode.clock(), EXCLUDED_FOR);
        self.excluded.push((target.clone(), until));
        Ok(text)
    }

    fn excluded_nodes(&mut self) -> Vec<mammoth_protocol::hadoop::hdfs::DatanodeInfoProto> {
        let clock = &**self.calls.shared.namenode.clock();
        self.excluded.retain(|(_, until)| !until.is_over(clock));
        self.excluded.iter().map(|(target, _)| target.node.clone()).collect()
    }

    /// Starts the ack thread of a pipeline that was set up.
    pub(super) fn connect(&mut self, stream: DataStream) -> Result<(), ClientError> {
        let nodes = self.block.as_ref().map_or(0, |block| block.targets.len());
        let limit = pipeline::patience(&self.calls.shared.config, nodes);
        let local = |error| ClientError::local("cannot start receiving acknowledgements", &error);
        let DataStream { reader, writer } = stream;
        reader.stream().set_read_timeout(Some(acks::read_timeout(limit))).map_err(local)?;
        let queue = Arc::clone(&self.queue);
        let acks = std::thread::Builder::new()
            .name("dfs-acks".to_owned())
            .spawn(move || acks::run(reader, &queue, nodes, limit))
            .map_err(local)?;
        self.connection = Some(Connection { writer, acks });
        Ok(())
    }

    /// Stops here if the writer is gone.
    pub(super) fn check_alive(&self) -> Result<(), ClientError> {
        if self.calls.cancel.is_cancelled() { Err(self.failure("the writer was dropped".to_owned())) } else { Ok(()) }
    }

    /// Closes the connection and waits for its ack thread.
    pub(super) fn disconnect(&mut self) {
        // Whether the writer is gone shows at the next step.
        let _ = self.queue.set_socket(None);
        if let Some(Connection { writer, acks }) = self.connection.take() {
            // The ack thread ends with the socket. It cannot have panicked without having blamed nobody, and then the
            // packets are sent again all the same.
            let _ = writer.stream().shutdown(Shutdown::Both);
            let _ = acks.join();
        }
    }

    /// Keeps the connection of a block whose end is acknowledged, for a next one.
    fn keep_connection(&mut self) {
        let alive = self.queue.set_socket(None);
        let quiet = self.queue.end_block();
        let Some(Connection { writer, acks }) = self.connection.take() else { return };
        // The end of the block was the last that the thread waited for.
        if let Ok(Some(reader)) = acks.join()
            && alive
            && quiet
        {
            self.calls.shared.idle.put(DataStream { reader, writer });
        }
    }

    /// All of the block is on its datanodes.
    pub(super) fn end_block(&mut self) {
        self.disconnect();
        if let Some(mut block) = self.block.take() {
            block.block.num_bytes = Some(block.sent);
            self.previous = Some(block.block);
        }
    }

    /// An error at the present block, for people.
    pub(super) fn failure(&self, cause: String) -> ClientError {
        let block = self.block.as_ref().map_or_else(|| "no block yet".to_owned(), OpenBlock::name);
        ClientError::Write { path: self.calls.path.to_string(), block, cause }
    }
}
