//! The client's connections to a datanode.

use crate::{Session, file_bytes, sessions, text};
use mammoth_net::data::{DataError, DataReader, DataWriter};
use mammoth_protocol::datatransfer::{OpRequest, ack, checksum};
use mammoth_protocol::hadoop::{self, hdfs};
use mammoth_protocol::wire;
use mammoth_protocol::{StorageId, Uuid};
use prost::Message;
use std::io::Read;

/// What is said on each connection of the scenario.
const EXPECTED: &[&[&str]] = &[
    &[
        "write blk_1073741825_1001+0 PipelineSetupCreate nodes=1 0..0 stamp=1001",
        "packet 0 0+3000, ack 0 [Success]",
        "packet 1 3000+0 last sync, ack 1 [Success]",
    ],
    &[
        "read blk_1073741825_1001+3000 0+3000 checksums=true",
        "Success from 0",
        "packet 0 0+3000",
        "packet 1 3000+0 last",
        "ChecksumOk",
        "read blk_1073741825_1001+3000 1000+600 checksums=true",
        "Success from 512",
        "packet 0 512+1536",
        "packet 1 2048+0 last",
        "ChecksumOk",
    ],
    &[
        "write blk_1073741825_1001+3000 PipelineSetupAppend nodes=1 3000..3000 stamp=1001",
        "packet 0 3000+72, ack 0 [Success]",
        "packet 1 3072+428 sync, ack 1 [Success]",
        "packet 2 3500+84, ack 2 [Success]",
        "packet 3 3584+416, ack 3 [Success]",
        "packet 4 4000+0 last sync, ack 4 [Success]",
    ],
];

const CHUNK: usize = 512;

/// Bytes that arrive a few at a time.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let few = buffer.len().min(7);
        self.0.read(&mut buffer[..few])
    }
}

/// One direction of a connection. Whatever is read from it is encoded again, and that must be the bytes that were recorded.
struct Stream<'a> {
    reader: DataReader<Trickle<'a>>,
    rest: &'a [u8],
}

impl<'a> Stream<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { reader: DataReader::new(Trickle(bytes)), rest: bytes }
    }

    #[track_caller]
    fn encoded_again(&mut self, bytes: &[u8]) {
        let (front, rest) = self.rest.split_at_checked(bytes.len()).unwrap();
        assert_eq!(front, bytes);
        self.rest = rest;
    }

    fn op(&mut self) -> Option<OpRequest> {
        let request = self.reader.read_op().unwrap()?;
        let mut again = Vec::new();
        request.encode(&mut again);
        self.encoded_again(&again);
        Some(request)
    }

    #[track_caller]
    fn message<M: Message + Default>(&mut self) -> M {
        let message: M = self.reader.read_message("message").unwrap();
        let mut again = Vec::new();
        wire::put_message(&mut again, &message);
        self.encoded_again(&again);
        message
    }

    /// A packet in words, and whether it is the last.
    fn packet(&mut self) -> (String, bool) {
        let packet = self.reader.read_packet().unwrap();
        packet.verify(CHUNK).unwrap();
        let header = packet.header;
        let from = header.offset as usize;
        assert!(packet.data == &file_bytes(4_000)[from..from + header.data_len], "data from {from}");
        // Our own writer has to find the same lengths, header and checksums.
        let mut writer = DataWriter::new(Vec::new());
        writer.send_data(&header, packet.data, CHUNK).unwrap();
        assert_eq!(writer.stream(), packet.raw);
        self.encoded_again(writer.stream());
        let last = if header.last { " last" } else { "" };
        let sync = if header.sync { " sync" } else { "" };
        (format!("packet {} {from}+{}{last}{sync}", header.seqno, header.data_len), header.last)
    }

    fn ack(&mut self) -> String {
        let mut acknowledgement = hdfs::PipelineAckProto::default();
        self.reader.read_ack(&mut acknowledgement).unwrap();
        ack::check(&acknowledgement, 1).unwrap();
        let statuses: Vec<_> = ack::statuses(&acknowledgement).collect();
        let mut again = Vec::new();
        wire::put_message(&mut again, &acknowledgement);
        self.encoded_again(&again);
        let mut ours = hdfs::PipelineAckProto::default();
        ack::fill(&mut ours, acknowledgement.seqno, hdfs::Status::Success, None);
        assert_eq!(ours, acknowledgement);
        format!("ack {} {statuses:?}", acknowledgement.seqno)
    }

    fn end(mut self) {
        assert_eq!(self.rest, b"");
        assert!(matches!(self.reader.read_packet(), Err(DataError::Closed)));
    }
}

/// Whose operation on which block.
fn header(header: &hdfs::ClientOperationHeaderProto) -> String {
    assert!(header.client_name.parse::<Uuid>().is_ok(), "{header:?}");
    assert_eq!(header.base_header.token, Some(hadoop::empty_token()));
    text::block(&header.base_header.block)
}

fn write(request: &hdfs::OpWriteBlockProto) -> String {
    assert!(request.storage_id().parse::<StorageId>().is_ok(), "{request:?}");
    assert_eq!(request.storage_type, Some(hdfs::StorageTypeProto::Disk as i32));
    assert_eq!(checksum::chunk_size(&request.requested_checksum), Ok(Some(CHUNK)));
    assert_eq!(request.requested_checksum, checksum::default_checksum());
    let (low, high, stamp) = (request.min_bytes_rcvd, request.max_bytes_rcvd, request.latest_generation_stamp);
    let (stage, nodes) = (request.stage(), request.pipeline_size);
    assert!(request.targets.is_empty());
    format!("write {} {stage:?} nodes={nodes} {low}..{high} stamp={stamp}", header(&request.header))
}

fn told(session: &Session) -> Vec<String> {
    let (mut client, mut server) = (Stream::new(&session.client), Stream::new(&session.server));
    let mut told = Vec::new();
    while let Some(request) = client.op() {
        match request {
            OpRequest::WriteBlock(request) => {
                told.push(write(&request));
                let response: hdfs::BlockOpResponseProto = server.message();
                assert_eq!((response.status(), response.first_bad_link()), (hdfs::Status::Success, ""));
                let mut last = false;
                while !last {
                    let (packet, is_last) = client.packet();
                    last = is_last;
                    told.push(format!("{packet}, {}", server.ack()));
                }
            }
            OpRequest::ReadBlock(request) => {
                let (offset, len, sums) = (request.offset, request.len, request.send_checksums.unwrap());
                told.push(format!("read {} {offset}+{len} checksums={sums}", header(&request.header)));
                let response: hdfs::BlockOpResponseProto = server.message();
                let info = response.read_op_checksum_info.unwrap();
                assert_eq!(info.checksum, checksum::default_checksum());
                told.push(format!("{:?} from {}", response.status(), info.chunk_offset));
                let mut last = false;
                while !last {
                    let (packet, is_last) = server.packet();
                    last = is_last;
                    told.push(packet);
                }
                told.push(format!("{:?}", client.message::<hdfs::ClientReadStatusProto>().status()));
            }
            other => panic!("{other:?}"),
        }
    }
    client.end();
    server.end();
    told
}

#[test]
fn operations_packets_and_acknowledgements_mean_what_they_should() {
    let sessions = sessions("datanode");
    for (number, (session, expected)) in sessions.iter().zip(EXPECTED).enumerate() {
        assert_eq!(told(session), *expected, "connection {number}");
    }
    assert_eq!(sessions.len(), EXPECTED.len());
}
