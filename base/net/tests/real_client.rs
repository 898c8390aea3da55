//! A client that is not ours (`hdfs-native`) against this crate's RPC server and data streams: our two ends agreeing with
//! each other proves little. Behind them stand a namenode and a datanode of a few lines, which keep one file in memory.

#![allow(clippy::unwrap_used)]

use hdfs_native::{ClientBuilder, HdfsError, WriteOptions};
use mammoth_net::data::{DataStream, SocketOptions};
use mammoth_net::rpc::server::{
    ConnectionThreads, RpcCall, RpcFuture, RpcHandler, RpcResult, ServerLimits, reply, serve,
};
use mammoth_platform::Shutdown;
use mammoth_protocol::datatransfer::packet::{PacketHeader, data_per_packet};
use mammoth_protocol::datatransfer::{OpRequest, ack, checksum};
use mammoth_protocol::hadoop::{self, hdfs};
use mammoth_protocol::rpc::RpcFailure;
use mammoth_protocol::{Block, BlockId, ErrorCode, FsError, GenStamp};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

const BLOCK: Block = Block { id: BlockId((1 << 30) + 1), stamp: GenStamp(1001), len: 0 };
const POOL: &str = "BP-1-127.0.0.1-1";

/// The one block, as the datanode keeps it.
type Stored = Arc<Mutex<Vec<u8>>>;

struct Namenode {
    stored: Stored,
    datanode: SocketAddr,
    user: Mutex<String>,
}

impl Namenode {
    fn len(&self) -> u64 {
        self.stored.lock().unwrap().len() as u64
    }

    fn status(&self, name: &str) -> hdfs::HdfsFileStatusProto {
        hdfs::HdfsFileStatusProto {
            file_type: hdfs::hdfs_file_status_proto::FileType::IsFile as i32,
            path: name.as_bytes().to_vec(),
            length: self.len(),
            permission: hdfs::FsPermissionProto { perm: 0o644 },
            owner: "alice".into(),
            group: "supergroup".into(),
            block_replication: Some(1),
            blocksize: Some(128 << 20),
            file_id: Some(16386),
            ..Default::default()
        }
    }

    fn located(&self) -> hdfs::LocatedBlockProto {
        let id = hdfs::DatanodeIdProto {
            ip_addr: self.datanode.ip().to_string(),
            host_name: "localhost".into(),
            datanode_uuid: "00000000-0000-4000-8000-000000000001".into(),
            xfer_port: u32::from(self.datanode.port()),
            ..Default::default()
        };
        hdfs::LocatedBlockProto {
            b: hadoop::extended_block(POOL, Block { len: self.len(), ..BLOCK }),
            locs: vec![hdfs::DatanodeInfoProto { id, ..Default::default() }],
            block_token: hadoop::empty_token(),
            storage_types: vec![hdfs::StorageTypeProto::Disk as i32],
            storage_ids: vec!["DS-1".into()],
            ..Default::default()
        }
    }

    fn answer(&self, call: &RpcCall) -> RpcResult {
        assert_eq!(call.protocol, hadoop::CLIENT_PROTOCOL);
        *self.user.lock().unwrap() = call.user.to_string();
        let exists = |src: &str| src == "/dir/file";
        match call.method.as_str() {
            "getServerDefaults" => reply(&hdfs::GetServerDefaultsResponseProto {
                server_defaults: hdfs::FsServerDefaultsProto {
                    block_size: 128 << 20,
                    bytes_per_checksum: 512,
                    write_packet_size: 64 * 1024,
                    replication: 1,
                    file_buffer_size: 4096,
                    checksum_type: Some(hdfs::ChecksumTypeProto::ChecksumCrc32c as i32),
                    ..Default::default()
                },
            }),
            "create" => reply(&hdfs::CreateResponseProto { fs: Some(self.status("")) }),
            "addBlock" => reply(&hdfs::AddBlockResponseProto { block: self.located() }),
            "complete" => {
                let request: hdfs::CompleteRequestProto = call.request()?;
                let last = hadoop::block_of(&request.last.expect("a block was written"));
                let result = last == Block { len: self.len(), ..BLOCK };
                reply(&hdfs::CompleteResponseProto { result })
            }
            "getFileInfo" => {
                let request: hdfs::GetFileInfoRequestProto = call.request()?;
                reply(&hdfs::GetFileInfoResponseProto { fs: exists(&request.src).then(|| self.status("")) })
            }
            "getListing" => reply(&hdfs::GetListingResponseProto {
                dir_list: Some(hdfs::DirectoryListingProto {
                    partial_listing: vec![self.status("file")],
                    remaining_entries: 0,
                }),
            }),
            "getBlockLocations" => {
                let request: hdfs::GetBlockLocationsRequestProto = call.request()?;
                if !exists(&request.src) {
                    return Err(FsError::new(ErrorCode::FileNotFound, format!("no file {}", request.src)).into());
                }
                let locations = hdfs::LocatedBlocksProto {
                    file_length: self.len(),
                    blocks: vec![self.located()],
                    is_last_block_complete: true,
                    ..Default::default()
                };
                reply(&hdfs::GetBlockLocationsResponseProto { locations: Some(locations) })
            }
            other => Err(RpcFailure::no_such_method(&call.protocol, other)),
        }
    }
}

struct Door(Arc<Namenode>);

impl RpcHandler for Door {
    fn call(&self, call: RpcCall) -> RpcFuture {
        let namenode = Arc::clone(&self.0);
        Box::pin(async move { namenode.answer(&call) })
    }
}

fn success() -> hdfs::BlockOpResponseProto {
    hdfs::BlockOpResponseProto { status: hdfs::Status::Success as i32, ..Default::default() }
}

fn receive(stream: &mut DataStream, stored: &Stored) {
    stream.writer.send_message(&success()).unwrap();
    let mut block = Vec::new();
    loop {
        let packet = stream.reader.read_packet().unwrap();
        packet.verify(512).unwrap();
        assert_eq!(packet.header.offset, block.len() as u64);
        block.extend_from_slice(packet.data);
        let header = packet.header;
        let mut answer = hdfs::PipelineAckProto::default();
        if header.last {
            *stored.lock().unwrap() = std::mem::take(&mut block);
        }
        ack::fill(&mut answer, header.seqno, hdfs::Status::Success, None);
        stream.writer.send_message(&answer).unwrap();
        if header.last {
            return;
        }
    }
}

fn send(stream: &mut DataStream, stored: &Stored, offset: u64, len: u64) {
    let block = stored.lock().unwrap().clone();
    let start = offset as usize / 512 * 512;
    let end = ((offset + len) as usize).next_multiple_of(512).min(block.len());
    let info = hdfs::ReadOpChecksumInfoProto { checksum: checksum::default_checksum(), chunk_offset: start as u64 };
    stream.writer.send_message(&hdfs::BlockOpResponseProto { read_op_checksum_info: Some(info), ..success() }).unwrap();
    let mut at = start;
    let mut seqno = 0;
    for data in block[start..end].chunks(data_per_packet(64 * 1024, 512)) {
        let header = PacketHeader { offset: at as u64, seqno, data_len: data.len(), ..Default::default() };
        stream.writer.send_data(&header, data, 512).unwrap();
        at += data.len();
        seqno += 1;
    }
    let last = PacketHeader { offset: at as u64, seqno, last: true, ..Default::default() };
    stream.writer.send_packet(&last, &[], &[]).unwrap();
    let status: hdfs::ClientReadStatusProto = stream.reader.read_message("read status").unwrap();
    assert!(matches!(status.status(), hdfs::Status::ChecksumOk | hdfs::Status::Success));
}

/// Serves connections until the test ends; the client keeps them open between operations.
fn datanode(stored: Stored) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let stored = Arc::clone(&stored);
            let socket = socket.unwrap();
            SocketOptions::default().apply(&socket).unwrap();
            thread::spawn(move || {
                let mut stream = DataStream::new(socket).unwrap();
                while let Some(request) = stream.reader.read_op().unwrap() {
                    match request {
                        OpRequest::WriteBlock(_) => receive(&mut stream, &stored),
                        OpRequest::ReadBlock(read) => send(&mut stream, &stored, read.offset, read.len),
                        other => panic!("unexpected {other:?}"),
                    }
                }
            });
        }
    });
    addr
}

#[test]
fn a_file_written_listed_and_read_back_by_hdfs_native() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let session = async {
        let stored = Stored::default();
        let datanode = datanode(Arc::clone(&stored));
        let namenode = Arc::new(Namenode { stored: Arc::clone(&stored), datanode, user: Mutex::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("hdfs://{}", listener.local_addr().unwrap());
        let shutdown = Shutdown::new();
        let door = Arc::new(Door(Arc::clone(&namenode)));
        let threads = ConnectionThreads::start("rpc", 2, 1, || ()).expect("threads");
        let serving = tokio::spawn(serve(listener, door, ServerLimits::default(), shutdown.clone(), Some(threads)));

        let client = ClientBuilder::new().with_url(url).with_user("alice").build().unwrap();
        let content: Vec<u8> = (0..3_000_001_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut writer = client.create("/dir/file", WriteOptions::default()).await.unwrap();
        writer.write_bytes(content.clone().into()).await.unwrap();
        writer.close().await.unwrap();
        assert!(*stored.lock().unwrap() == content);
        assert_eq!(*namenode.user.lock().unwrap(), "alice");

        let listing = client.list_status("/dir", false).await.unwrap();
        assert_eq!(listing.len(), 1);
        assert_eq!((listing[0].path.as_str(), listing[0].length), ("/dir/file", content.len()));

        let mut reader = client.read("/dir/file").await.unwrap();
        let read = reader.read_bytes(content.len()).await.unwrap();
        assert!(read == content);
        assert!(reader.read_range(1_000_001, 70_000).await.unwrap() == content[1_000_001..1_070_001]);

        let missing = client.get_file_info("/none").await;
        assert!(matches!(missing, Err(HdfsError::FileNotFound(_))), "{missing:?}");
        let refused = client.set_owner("/dir/file", Some("bob"), None).await;
        let Err(HdfsError::RPCError(class, _)) = refused else { panic!("{refused:?}") };
        assert_eq!(class, "org.apache.hadoop.ipc.RpcNoSuchMethodException");

        shutdown.trigger();
        serving.await.unwrap();
    };
    let minute = std::time::Duration::from_secs(60);
    runtime.block_on(async { tokio::time::timeout(minute, session).await }).expect("done within a minute");
}
