//! Datanodes on loopback with no namenode, and a client that says exactly what a test tells it to.

use crate::store::testing::{bytes, identity, open_dirs, rules};
use crate::store::{SpaceRules, Store, StoreRules};
use crate::transfer::{Balance, Context, Counters, Server, Sockets, TransferRules};
use mammoth_net::data::{DataError, DataStream, IdleStreams, SocketOptions};
use mammoth_platform::{Shutdown, SystemClock, Workers};
use mammoth_protocol::Block;
use mammoth_protocol::datatransfer::packet::PacketHeader;
use mammoth_protocol::datatransfer::{OpRequest, ack, checksum};
use mammoth_protocol::hadoop::hdfs::op_write_block_proto::BlockConstructionStage as Stage;
use mammoth_protocol::hadoop::hdfs::{
    BaseHeaderProto, BlockOpResponseProto, ClientOperationHeaderProto, ClientReadStatusProto, DatanodeIdProto,
    DatanodeInfoProto, OpReadBlockProto, OpWriteBlockProto, PipelineAckProto, Status,
};
use mammoth_protocol::hadoop::{empty_token, extended_block};
use mammoth_protocol::internal::{DatanodeAddr, ReplicaPlace};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Short, so that a stuck peer is noticed soon; long enough for a busy machine.
pub(super) const TIMEOUT: Duration = Duration::from_millis(1500);

pub(super) fn transfer_rules() -> TransferRules {
    TransferRules {
        socket_timeout: TIMEOUT,
        write_timeout: Duration::from_secs(20),
        keepalive: Duration::from_secs(4),
        op_timeout: Duration::from_secs(2),
        connections: 64,
        by_name: false,
        readahead: 128 * 1024,
    }
}

/// A datanode without its other doors.
pub(super) struct Node {
    pub(super) store: Arc<Store>,
    pub(super) context: Arc<Context>,
    pub(super) addr: SocketAddr,
    shutdown: Shutdown,
    workers: Workers,
    dir: tempfile::TempDir,
}

impl Node {
    pub(super) fn start() -> Self {
        Self::with(transfer_rules(), SpaceRules::default())
    }

    pub(super) fn with(transfers: TransferRules, space: SpaceRules) -> Self {
        Self::moving(transfers, space, (100, 1 << 30))
    }

    /// One whose moves are bounded in number and in bytes a second.
    pub(super) fn moving(transfers: TransferRules, space: SpaceRules, moves: (usize, u64)) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let seed = dir
            .path()
            .as_os_str()
            .as_encoded_bytes()
            .iter()
            .fold(7, |sum: u64, byte| sum * 31 % (1 << 50) + u64::from(*byte));
        let rules = StoreRules { space, ..rules() };
        let store = open_dirs(&[dir.path().to_owned()], &identity(), rules, seed).expect("opened");
        let shutdown = Shutdown::new();
        let context = Arc::new(Context {
            store: Arc::new(OnceLock::from(Arc::clone(&store))),
            rules: transfers,
            counters: Counters::default(),
            balance: Balance::new(Arc::new(SystemClock), shutdown.clone(), moves.0, moves.1),
            sockets: Arc::new(Sockets::default()),
            local_sockets: Arc::new(Sockets::default()),
            idle: IdleStreams::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("bound");
        let workers = Workers::new(shutdown.clone());
        let server = Server::new(listener, Arc::clone(&context), shutdown.clone());
        workers.thread("transfer", move || server.run()).expect("a thread");
        Self { store, context, addr, shutdown, workers, dir }
    }

    /// Opens its door to clients on this machine.
    pub(super) fn open_local_door(&self) -> std::path::PathBuf {
        let path = self.dir.path().join("socket");
        let listener = mammoth_net::data::domain::listen(&path).expect("listens");
        let server = Server::new(listener, Arc::clone(&self.context), self.shutdown.clone());
        self.workers.thread("local", move || server.run()).expect("a thread");
        path
    }

    /// Closes its listener and all its connections, as a killed process would.
    pub(super) fn kill(&self) {
        self.shutdown.trigger();
        self.workers.join(Duration::from_secs(20)).expect("ends");
    }

    pub(super) fn info(&self) -> DatanodeInfoProto {
        info(self.addr)
    }

    pub(super) fn place(&self) -> ReplicaPlace {
        let addr = DatanodeAddr {
            ip: self.addr.ip(),
            hostname: "localhost".to_owned(),
            transfer_port: self.addr.port(),
            info_port: 0,
            ipc_port: 0,
        };
        ReplicaPlace { datanode: self.store.datanode, storage: self.store.usage()[0].storage, addr }
    }

    /// The folder of its block pool.
    pub(super) fn pool(&self) -> std::path::PathBuf {
        self.dir.path().join("current").join(identity().pool_id)
    }

    /// Where the complete replica of a small block id lies.
    pub(super) fn finalized(&self, name: &str) -> std::path::PathBuf {
        self.pool().join("current/finalized/subdir0/subdir0").join(name)
    }

    /// All bytes that a client gets, verified.
    pub(super) fn read(&self, block: Block) -> Result<Vec<u8>, String> {
        let mut client = Client::connect(self.addr);
        let (_, data) = client.read(block, 0, block.len)?;
        Ok(data)
    }

    /// Waits until something is so.
    pub(super) fn eventually(&self, what: &str, check: impl Fn(&Store) -> bool) {
        eventually(what, || check(&self.store));
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.shutdown.trigger();
        let _ = self.workers.join(Duration::from_secs(20));
    }
}

/// Polls until something is so.
pub(super) fn eventually(what: &str, check: impl Fn() -> bool) {
    let deadline = mammoth_platform::Deadline::after(&SystemClock, Duration::from_secs(20));
    while !check() {
        assert!(!deadline.is_over(&SystemClock), "never: {what}");
        let poll = Duration::from_millis(5);
        std::thread::sleep(poll);
    }
}

pub(super) fn info(addr: SocketAddr) -> DatanodeInfoProto {
    let id = DatanodeIdProto {
        ip_addr: addr.ip().to_string(),
        host_name: "localhost".to_owned(),
        datanode_uuid: "u".to_owned(),
        xfer_port: u32::from(addr.port()),
        ..DatanodeIdProto::default()
    };
    DatanodeInfoProto { id, ..DatanodeInfoProto::default() }
}

pub(super) fn header(block: Block, client: &str) -> ClientOperationHeaderProto {
    ClientOperationHeaderProto {
        base_header: BaseHeaderProto {
            block: extended_block(&identity().pool_id, block),
            token: Some(empty_token()),
            trace_info: None,
        },
        client_name: client.to_owned(),
    }
}

/// A request to write; the rest of the pipeline are `targets`.
pub(super) fn write_request(block: Block, stage: Stage, targets: Vec<DatanodeInfoProto>) -> OpWriteBlockProto {
    OpWriteBlockProto {
        header: header(block, "client"),
        targets,
        stage: stage as i32,
        latest_generation_stamp: block.stamp.0,
        requested_checksum: checksum::default_checksum(),
        ..OpWriteBlockProto::default()
    }
}

/// One connection of a client.
pub(super) struct Client {
    pub(super) stream: DataStream,
    seqno: i64,
}

impl Client {
    pub(super) fn connect(addr: SocketAddr) -> Self {
        let options = SocketOptions {
            read_timeout: Duration::from_secs(20),
            write_timeout: Duration::from_secs(20),
            ..SocketOptions::default()
        };
        Self { stream: DataStream::connect(addr, &options).expect("connected"), seqno: 0 }
    }

    /// How long it waits for whatever it reads.
    pub(super) fn set_patience(&self, time: Duration) {
        self.stream.reader.stream().set_read_timeout(Some(time)).expect("set");
    }

    pub(super) fn ask(&mut self, request: OpWriteBlockProto) -> BlockOpResponseProto {
        self.stream.writer.send_op(&OpRequest::WriteBlock(Box::new(request))).expect("sent");
        self.stream.reader.read_message("answer").expect("answered")
    }

    /// Builds a pipeline that is expected to stand.
    pub(super) fn pipeline(nodes: &[&Node], request: impl FnOnce(Vec<DatanodeInfoProto>) -> OpWriteBlockProto) -> Self {
        let mut client = Self::connect(nodes[0].addr);
        let answer = client.ask(request(nodes[1..].iter().map(|node| node.info()).collect()));
        assert_eq!(answer.status, Status::Success as i32, "{answer:?}");
        client
    }

    /// Builds a pipeline for a new block.
    pub(super) fn create(nodes: &[&Node], block: Block) -> Self {
        Self::pipeline(nodes, |targets| write_request(block, Stage::PipelineSetupCreate, targets))
    }

    /// Sends one packet of [`bytes`], with the checksums of its own chunks; gives its number.
    pub(super) fn send(&mut self, offset: u64, len: usize) -> i64 {
        self.packet(PacketHeader { offset, data_len: len, ..PacketHeader::default() }, &bytes(offset, len))
    }

    pub(super) fn packet(&mut self, header: PacketHeader, data: &[u8]) -> i64 {
        let seqno = self.seqno;
        self.seqno += 1;
        // A datanode may have given up already, which its acknowledgements tell.
        let _ = self.stream.writer.send_data(&PacketHeader { seqno, ..header }, data, 512);
        seqno
    }

    /// Sends the last packet.
    pub(super) fn finish(&mut self, len: u64, sync: bool) -> i64 {
        self.packet(PacketHeader { offset: len, last: true, sync, ..PacketHeader::default() }, &[])
    }

    pub(super) fn ack(&mut self) -> Result<(i64, Vec<Status>), DataError> {
        let mut message = PipelineAckProto::default();
        self.stream.reader.read_ack(&mut message)?;
        Ok((message.seqno, ack::statuses(&message).collect()))
    }

    /// Expects success from all of `nodes` nodes for a packet.
    pub(super) fn acked(&mut self, seqno: i64, nodes: usize) {
        assert_eq!(self.ack().expect("acknowledged"), (seqno, vec![Status::Success; nodes]));
    }

    /// Reads acknowledgements until one is not all success: which node is to blame, and for what.
    pub(super) fn blame(&mut self) -> (usize, Status) {
        loop {
            let (_, statuses) = self.ack().expect("told before the connection ends");
            if let Some(found) = statuses.into_iter().enumerate().find(|(_, status)| *status != Status::Success) {
                return found;
            }
        }
    }

    /// Reads a range, verifies it, cuts it to what was asked, and says so.
    pub(super) fn read(
        &mut self,
        block: Block,
        offset: u64,
        len: u64,
    ) -> Result<(BlockOpResponseProto, Vec<u8>), String> {
        let request = OpReadBlockProto { header: header(block, "client"), offset, len, ..OpReadBlockProto::default() };
        self.stream.writer.send_op(&OpRequest::ReadBlock(Box::new(request))).map_err(|e| e.to_string())?;
        let answer: BlockOpResponseProto = self.stream.reader.read_message("answer").map_err(|e| e.to_string())?;
        if answer.status != Status::Success as i32 {
            return Err(answer.message.unwrap_or_default());
        }
        let start = answer.read_op_checksum_info.as_ref().expect("told").chunk_offset;
        let data = self.packets(start)?;
        let skip = usize::try_from(offset - start).expect("small");
        let data = data.get(skip..).and_then(|data| data.get(..len as usize)).ok_or("too few bytes")?.to_vec();
        let status = ClientReadStatusProto { status: Status::ChecksumOk as i32 };
        self.stream.writer.send_message(&status).map_err(|e| e.to_string())?;
        Ok((answer, data))
    }

    /// Receives and verifies packets from `start` up to the empty one at the end.
    pub(super) fn packets(&mut self, start: u64) -> Result<Vec<u8>, String> {
        let (mut data, mut seqno) = (Vec::new(), 0);
        loop {
            let packet = self.stream.reader.read_packet().map_err(|e| e.to_string())?;
            assert_eq!(packet.header.seqno, seqno);
            assert_eq!(packet.header.offset, start + data.len() as u64);
            seqno += 1;
            if packet.header.last {
                assert!(packet.data.is_empty() && packet.checksums.is_empty());
                return Ok(data);
            }
            assert!(!packet.data.is_empty());
            if !packet.checksums.is_empty() {
                packet.verify(512).map_err(|e| crate::error::chain(&e))?;
            }
            data.extend_from_slice(packet.data);
        }
    }
}

/// A datanode that says it is ready and then takes everything and answers nothing.
pub(super) struct Stuck {
    pub(super) addr: SocketAddr,
    _listener: TcpListener,
    _thread: std::thread::JoinHandle<()>,
}

impl Stuck {
    /// `ready`: whether it still answers the request itself.
    pub(super) fn start(ready: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("bound");
        let twin = listener.try_clone().expect("a descriptor");
        let thread = std::thread::spawn(move || {
            let Ok((stream, _)) = twin.accept() else { return };
            let Ok(mut stream) = DataStream::new(stream) else { return };
            let _ = stream.reader.read_op();
            if ready {
                let answer = BlockOpResponseProto { status: Status::Success as i32, ..BlockOpResponseProto::default() };
                let _ = stream.writer.send_message(&answer);
            }
            // Until the other side gives up.
            while stream.reader.read_packet().is_ok() {}
        });
        Self { addr, _listener: listener, _thread: thread }
    }
}

/// A connection without any protocol.
pub(super) fn raw(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    stream
}
