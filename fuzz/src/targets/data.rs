//! The data-transfer protocol: operations, packets, acknowledgements, and what a client makes of a block on its way.

use crate::feed::{Feed, put_part};
use bytes::Bytes;
use mammoth_net::data::{DataReader, DataWriter};
use mammoth_protocol::datatransfer::packet::PacketHeader;
use mammoth_protocol::datatransfer::{Op, OpRequest, ack, checksum};
use mammoth_protocol::hadoop::{extended_block, hdfs};
use mammoth_protocol::limits::PACKET_MAX;
use mammoth_protocol::{Block, BlockId, GenStamp};
use prost::Message;

/// Most reads of one input: a stream that never ends would otherwise look like one that goes on.
const READS_MAX: usize = 100_000;

pub(super) fn ops(bytes: &[u8]) {
    let mut reader = DataReader::new(bytes);
    for _ in 0..READS_MAX {
        let Ok(Some(request)) = reader.read_op() else { return };
        let mut again = Vec::new();
        request.encode(&mut again);
        let back = DataReader::new(again.as_slice()).read_op().expect("its own request");
        assert_eq!(back.as_ref(), Some(&request));
        if let OpRequest::WriteBlock(write) = &request {
            let _ = checksum::chunk_size(&write.requested_checksum);
        }
    }
}

fn read_block() -> OpRequest {
    let block = extended_block("BP-1", Block { id: BlockId(1 << 30), stamp: GenStamp(1001), len: 512 });
    let base_header = hdfs::BaseHeaderProto { block, token: None, trace_info: None };
    let header = hdfs::ClientOperationHeaderProto { base_header, client_name: "c".to_owned() };
    let request = hdfs::OpReadBlockProto { header, len: 512, ..hdfs::OpReadBlockProto::default() };
    OpRequest::ReadBlock(Box::new(request))
}

pub(super) fn op_seeds() -> Vec<Vec<u8>> {
    let mut read = Vec::new();
    read_block().encode(&mut read);
    let (prefix, message) = read.split_at(4);
    // The header is the first field of most operations, so that each gets an input that parses.
    let all = Op::ALL.into_iter().map(|op| {
        let mut bytes = prefix.to_vec();
        if let Some(code) = bytes.get_mut(2) {
            *code = op as u8;
        }
        bytes.extend_from_slice(message);
        bytes
    });
    all.collect()
}

pub(super) fn packets(bytes: &[u8]) {
    let mut reader = DataReader::new(bytes);
    let mut seen = 0;
    for _ in 0..READS_MAX {
        let Ok(packet) = reader.read_packet() else { return };
        assert!(packet.raw.len() <= PACKET_MAX && packet.data.len() == packet.header.data_len);
        seen += packet.raw.len();
        assert!(seen <= bytes.len(), "more came out than went in");
        let _ = checksum::verify(packet.data, packet.checksums, 512);
        if i64::try_from(packet.header.offset).is_err() {
            continue;
        }
        let mut again = Vec::new();
        let sent = DataWriter::new(&mut again).send_packet(&packet.header, packet.checksums, packet.data);
        sent.expect("it came as a packet");
        let mut back = DataReader::new(again.as_slice());
        let back = back.read_packet().expect("its own packet");
        assert_eq!((back.header, back.checksums, back.data), (packet.header, packet.checksums, packet.data));
    }
}

pub(super) fn packet_seeds() -> Vec<Vec<u8>> {
    let data: Vec<u8> = (0..=255).cycle().take(1500).collect();
    vec![stream_of(&data, 512, 0, &[512, 600, 388]), stream_of(&data, 512, 0, &[1500])]
}

/// Packets of these lengths of data, with checksums, from a place in the block on; an empty one ends them.
fn stream_of(data: &[u8], chunk: usize, start: u64, lengths: &[usize]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = DataWriter::new(&mut out);
    let mut header = PacketHeader { offset: start, ..PacketHeader::default() };
    let mut rest = data;
    for len in lengths {
        let (part, after) = rest.split_at((*len).min(rest.len()));
        rest = after;
        if part.is_empty() {
            continue;
        }
        let mut sums = Vec::new();
        checksum::append_checksums(&mut sums, part, chunk);
        header.data_len = part.len();
        writer.send_packet(&header, &sums, part).expect("short");
        header.offset += part.len() as u64;
        header.seqno += 1;
    }
    (header.data_len, header.last) = (0, true);
    writer.send_packet(&header, &[], &[]).expect("short");
    drop(writer);
    out
}

pub(super) fn acks(bytes: &[u8]) {
    let mut reader = DataReader::new(bytes);
    let mut message = hdfs::PipelineAckProto::default();
    let mut own = hdfs::PipelineAckProto::default();
    for _ in 0..READS_MAX {
        if reader.read_ack(&mut message).is_err() {
            return;
        }
        let statuses: Vec<_> = ack::statuses(&message).collect();
        let failed = ack::first_failure(&message);
        if ack::check(&message, 3).is_ok() {
            assert!((1..=3).contains(&statuses.len()) && (statuses.len() == 3 || failed.is_some()));
        }
        ack::fill(&mut own, message.seqno, hdfs::Status::Success, Some(&message));
        assert!(ack::statuses(&own).skip(1).eq(statuses.iter().copied()), "a node passes on what it got");
        assert_eq!(ack::first_failure(&own), failed.map(|(at, status)| (at + 1, status)));
        let back = hdfs::PipelineAckProto::decode(own.encode_to_vec().as_slice());
        assert_eq!(back.as_ref(), Ok(&own));
    }
}

pub(super) fn ack_seeds() -> Vec<Vec<u8>> {
    let mut down = hdfs::PipelineAckProto::default();
    ack::fill(&mut down, 7, hdfs::Status::ErrorChecksum, None);
    let mut up = hdfs::PipelineAckProto::default();
    ack::fill(&mut up, 7, hdfs::Status::Success, Some(&down));
    let old = hdfs::PipelineAckProto { flag: Vec::new(), ..up.clone() };
    [down, up, old].into_iter().map(|message| message.encode_length_delimited_to_vec()).collect()
}

/// Chunk sizes that streams are tried with.
const CHUNKS: [usize; 4] = [1, 7, 512, 4096];

/// How a client reads: chunk size, range and buffer, then either the bytes as they came, or data that is sent in packets of
/// these lengths with one byte of the stream changed at most.
pub(super) fn block_stream(bytes: &[u8]) {
    let mut feed = Feed::new(bytes);
    let kind = feed.byte();
    let chunk = CHUNKS.get(usize::from(kind >> 1) % CHUNKS.len()).copied().unwrap_or(512);
    let (from, len, buffer) = (u64::from(feed.u16()), u64::from(feed.u16()) + 1, usize::from(feed.u16()) + 1);
    let response = feed.part();
    let _ = mammoth_client::fuzzing::read_answer(response);
    if kind & 1 == 0 {
        let _ = mammoth_client::fuzzing::read_block(feed.rest(), chunk, from..from + len, buffer);
        return;
    }
    let start = from - from % chunk as u64;
    let lengths: Vec<usize> = (0..feed.byte() % 8).map(|_| usize::from(feed.u16()).div_ceil(chunk) * chunk).collect();
    let change = (feed.u16(), feed.byte());
    let data = feed.rest();
    let mut stream = stream_of(data, chunk, start, &lengths);
    if let Some(byte) = stream.get_mut(usize::from(change.0)) {
        *byte ^= change.1;
    }
    let end = start + data.len() as u64;
    if let Ok(found) = mammoth_client::fuzzing::read_block(&stream, chunk, from..from + len, buffer) {
        let at = usize::try_from(from - start).unwrap_or(usize::MAX);
        let expected = data.get(at..).unwrap_or_default();
        let expected = expected.get(..found.len()).unwrap_or_default();
        assert!(from + len <= end && found == expected, "verified data is what was sent");
    }
}

pub(super) fn block_stream_seeds() -> Vec<Vec<u8>> {
    let data: Vec<u8> = (0..=255).cycle().take(1500).collect();
    let head = |kind: u8, from: u16, len: u16, buffer: u16| {
        let mut out = vec![kind];
        for number in [from, len - 1, buffer - 1] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        let answer = hdfs::BlockOpResponseProto { message: Some("no".to_owned()), ..Default::default() };
        put_part(&mut out, &answer.encode_length_delimited_to_vec());
        out
    };
    let mut raw = head(4, 0, 1500, 700);
    raw.extend_from_slice(&stream_of(&data, 512, 0, &[512, 1024]));
    let mut sent = head(5, 100, 1400, 300);
    sent.push(2);
    for number in [512_u16, 1024, u16::MAX] {
        sent.extend_from_slice(&number.to_le_bytes());
    }
    sent.push(0);
    sent.extend_from_slice(&data);
    vec![raw, sent, Bytes::from_static(b"\x05").to_vec()]
}
