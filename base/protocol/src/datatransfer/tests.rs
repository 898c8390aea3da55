//! Golden bytes spelled by hand from the published format, then round trips, truncations and rubbish.

use super::ack::Congestion;
use super::checksum::BadChecksum;
use super::packet::{HEADER_MAX, PREFIX, PacketHeader, Prefix, data_per_packet};
use super::*;
use crate::hadoop::hdfs::{PacketHeaderProto, PipelineAckProto, Status};
use crate::limits::PACKET_MAX;
use proptest::prelude::*;

fn read_block() -> OpRequest {
    let block = hdfs::ExtendedBlockProto { pool_id: "B".into(), block_id: 1, generation_stamp: 2, num_bytes: None };
    let base_header = hdfs::BaseHeaderProto { block, token: None, trace_info: None };
    let header = hdfs::ClientOperationHeaderProto { base_header, client_name: "c".into() };
    let message =
        hdfs::OpReadBlockProto { header, offset: 3, len: 4, send_checksums: Some(true), caching_strategy: None };
    OpRequest::ReadBlock(Box::new(message))
}

#[test]
fn a_request_is_spelled_as_published() {
    // block: 0a 01 42 10 01 18 02 (7); base: 0a 07 block (9); header: 0a 09 base 12 01 63 (14);
    // request: 0a 0e header 10 03 18 04 20 01 (22).
    let golden = [
        0, 28, 81, 22, 0x0a, 14, 0x0a, 9, 0x0a, 7, 0x0a, 1, b'B', 0x10, 1, 0x18, 2, 0x12, 1, b'c', 0x10, 3, 0x18, 4,
        0x20, 1,
    ];
    let mut out = Vec::new();
    read_block().encode(&mut out);
    assert_eq!(out, golden);
    assert_eq!(parse_op_prefix([0, 28, 81]), Ok(Op::ReadBlock));
    assert_eq!(OpRequest::decode(Op::ReadBlock, &golden[4..]), Ok(read_block()));
    // The parser does not insist on fields, only on whole ones: the cuts that it accepts lie between fields.
    let message = &golden[4..];
    let accepted: Vec<_> =
        (0..message.len()).filter(|cut| OpRequest::decode(Op::ReadBlock, &message[..*cut]).is_ok()).collect();
    assert_eq!(accepted, [0, 16, 18, 20]);
}

#[test]
fn other_versions_and_operations_are_refused() {
    assert_eq!(parse_op_prefix([0, 27, 81]), Err(WireError::Unexpected { what: "data transfer version", found: 27 }));
    assert!(parse_op_prefix([0xde, 0xad, 0xbe]).is_err());
    assert_eq!(parse_op_prefix([0, 28, 90]), Err(WireError::Unexpected { what: "data transfer operation", found: 90 }));
    let codes: Vec<u8> = (0..=255).filter(|code| parse_op_prefix([0, 28, *code]).is_ok()).collect();
    assert_eq!(codes, [80, 81, 83, 84, 85, 86, 87, 88, 89]);
}

#[test]
fn a_packet_header_is_spelled_as_published() {
    let header = PacketHeader { offset: 0x0102, seqno: 3, last: false, data_len: 512, sync: false };
    let golden =
        [0, 0, 2, 8, 0, 25, 0x09, 2, 1, 0, 0, 0, 0, 0, 0, 0x11, 3, 0, 0, 0, 0, 0, 0, 0, 0x18, 0, 0x25, 0, 2, 0, 0];
    assert_eq!(header.encode(4).expect("short").as_slice(), golden);
    let synced = PacketHeader { seqno: -1, last: true, data_len: 0, offset: 0, sync: true };
    let golden = [
        0, 0, 0, 4, 0, 27, 0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0x11, 255, 255, 255, 255, 255, 255, 255, 255, 0x18, 1, 0x25,
        0, 0, 0, 0, 0x28, 1,
    ];
    assert_eq!(synced.encode(0).expect("short").as_slice(), golden);
    assert_eq!(golden.len(), HEADER_MAX);
}

#[test]
fn a_packet_above_the_limit_is_refused_before_anything_is_allocated() {
    let prefix = |payload: u32, header: u16| {
        let [a, b, c, d] = payload.to_be_bytes();
        let [e, f] = header.to_be_bytes();
        Prefix::parse([a, b, c, d, e, f])
    };
    assert_eq!(prefix(4, 25), Ok(Prefix { header_len: 25, body_len: 0 }));
    for (payload, header) in
        [(3, 25), (0, 25), (u32::MAX, 25), (16 << 20, 25), (4, 0), (4, 24), (4, 256), (4, u16::MAX)]
    {
        assert!(prefix(payload, header).is_err(), "{payload} {header}");
    }
    let header = PacketHeader { data_len: PACKET_MAX, ..PacketHeader::default() };
    assert!(header.encode(0).is_err());
    assert!(PacketHeader { data_len: 8, ..header }.encode(usize::MAX).is_err());
    assert!(PacketHeader { data_len: PACKET_MAX - HEADER_MAX, ..header }.encode(0).is_ok());
}

#[test]
fn a_header_must_fit_its_packet() {
    let parse = |proto: PacketHeaderProto, body_len: usize| {
        let bytes = proto.encode_to_vec();
        Prefix { header_len: bytes.len(), body_len }.parse_header(&bytes)
    };
    let proto = PacketHeaderProto { data_len: 10, ..PacketHeaderProto::default() };
    assert!(parse(proto, 14).is_ok());
    assert!(parse(proto, 9).is_err());
    assert!(parse(PacketHeaderProto { data_len: -1, ..proto }, 14).is_err());
    assert!(parse(PacketHeaderProto { offset_in_block: -1, ..proto }, 14).is_err());
}

#[test]
fn packets_of_64_kib_hold_126_chunks() {
    assert_eq!(data_per_packet(64 * 1024, 512), 126 * 512);
    assert_eq!(data_per_packet(10, 512), 512);
    assert!(data_per_packet(1 << 20, 512) + 4 * data_per_packet(1 << 20, 512) / 512 + HEADER_MAX <= 1 << 20);
}

#[test]
fn an_acknowledgement_is_spelled_as_published() {
    let mut downstream = PipelineAckProto::default();
    ack::fill(&mut downstream, 5, Status::Error, None);
    let mut mine = PipelineAckProto { downstream_ack_time_nanos: Some(1), ..PipelineAckProto::default() };
    ack::fill(&mut mine, 5, Status::Success, Some(&downstream));
    // seqno 5 (zig-zag 10), reply 0 and 1 unpacked, flags 0 and 1 packed.
    assert_eq!(mine.encode_to_vec(), [0x08, 10, 0x10, 0, 0x10, 1, 0x22, 2, 0, 1]);
    assert_eq!(ack::statuses(&mine).collect::<Vec<_>>(), [Status::Success, Status::Error]);
    assert_eq!(ack::first_failure(&mine), Some((1, Status::Error)));
    // A heartbeat: seqno -1 (zig-zag 1).
    ack::fill(&mut mine, packet::HEARTBEAT_SEQNO, Status::Success, None);
    assert_eq!(mine.encode_to_vec(), [0x08, 1, 0x10, 0, 0x22, 1, 0]);
}

#[test]
fn flags_carry_status_and_congestion() {
    assert_eq!(ack::flag(Status::ErrorChecksum, Congestion::Yes), 0x62);
    assert_eq!(ack::parse_flag(0x62), (Status::ErrorChecksum, Congestion::Yes));
    assert_eq!(ack::parse_flag(0x20), (Status::Success, Congestion::No));
    assert_eq!(ack::parse_flag(0x0f), (Status::Error, Congestion::Unknown));
    // Old datanodes send no flags; statuses that we do not know are errors.
    let old = PipelineAckProto { reply: vec![0, 77], ..PipelineAckProto::default() };
    assert_eq!(ack::statuses(&old).collect::<Vec<_>>(), [Status::Success, Status::Error]);
}

#[test]
fn an_acknowledgement_must_cover_the_pipeline() {
    let with = |codes: &[i32]| PipelineAckProto { reply: codes.to_vec(), ..PipelineAckProto::default() };
    assert!(ack::check(&with(&[0, 0, 0]), 3).is_ok());
    assert!(ack::check(&with(&[0, 1]), 3).is_ok());
    assert!(ack::check(&with(&[0, 0]), 3).is_err());
    assert!(ack::check(&with(&[0, 0, 0, 0]), 3).is_err());
    assert!(ack::check(&with(&[]), 3).is_err());
}

#[test]
fn checksums_by_hand() {
    // The check value of CRC-32C, and the one of 32 zero bytes from RFC 3720.
    assert_eq!(checksum::crc(b"123456789"), 0xe306_9283);
    assert_eq!(checksum::crc(&[0; 32]), 0x8a91_36aa);
    assert_eq!(checksum::extend_crc(checksum::crc(b"1234"), b"56789"), 0xe306_9283);
    assert_eq!(checksum::encode_meta_header(512), [0, 1, 2, 0, 0, 2, 0]);
    assert_eq!(checksum::parse_meta_header([0, 1, 2, 0, 0, 2, 0]), Ok(512));
    for bad in [[0, 2, 2, 0, 0, 2, 0], [0, 1, 1, 0, 0, 2, 0], [0, 1, 2, 0, 0, 0, 0], [0, 1, 2, 255, 0, 0, 0]] {
        assert!(checksum::parse_meta_header(bad).is_err(), "{bad:?}");
    }
    assert_eq!(checksum::checksums_len(0, 512), 0);
    assert_eq!(checksum::checksums_len(512, 512), 4);
    assert_eq!(checksum::checksums_len(513, 512), 8);
}

#[test]
fn only_crc32c_or_none_is_accepted() {
    let with = |kind: i32, bytes_per_checksum: u32| {
        checksum::chunk_size(&hdfs::ChecksumProto { r#type: kind, bytes_per_checksum })
    };
    assert_eq!(checksum::chunk_size(&checksum::default_checksum()), Ok(Some(512)));
    assert_eq!(with(0, 0), Ok(None));
    for (kind, chunk) in [(1, 512), (3, 512), (2, 0), (2, u32::MAX)] {
        assert!(with(kind, chunk).is_err(), "{kind} {chunk}");
    }
}

proptest! {
    #[test]
    fn the_hand_written_header_is_what_protobuf_writes(
        offset in 0..i64::MAX, seqno in any::<i64>(), last in any::<bool>(), data_len in 0_i32..1_000_000, sync in any::<bool>(),
        chunks in 0_usize..2000,
    ) {
        let proto = PacketHeaderProto {
            offset_in_block: offset, seqno, last_packet_in_block: last, data_len, sync_block: sync.then_some(true),
        };
        let header = PacketHeader { offset: offset.cast_unsigned(), seqno, last, data_len: data_len as usize, sync };
        let encoded = header.encode(4 * chunks).expect("below the limit");
        let bytes = encoded.as_slice();
        prop_assert_eq!(&bytes[PREFIX..], &proto.encode_to_vec()[..]);
        let prefix = Prefix::parse(bytes[..PREFIX].try_into().expect("six bytes")).expect("its own");
        prop_assert_eq!(prefix, Prefix { header_len: bytes.len() - PREFIX, body_len: 4 * chunks + data_len as usize });
        prop_assert_eq!(prefix.parse_header(&bytes[PREFIX..]), Ok(header));
    }

    #[test]
    fn a_flipped_bit_is_found_in_its_chunk(data in prop::collection::vec(any::<u8>(), 1..3000), at in any::<prop::sample::Index>(),
                                           bit in 0..8, chunk in prop::sample::select(vec![1_usize, 7, 512, 4096])) {
        let mut checksums = Vec::new();
        checksum::append_checksums(&mut checksums, &data, chunk);
        prop_assert_eq!(checksums.len(), checksum::checksums_len(data.len(), chunk));
        prop_assert_eq!(checksum::verify(&data, &checksums, chunk), Ok(()));
        let at = at.index(data.len());
        let mut bad = data.clone();
        bad[at] ^= 1_u8 << bit;
        prop_assert_eq!(checksum::verify(&bad, &checksums, chunk), Err(BadChecksum::Chunk { index: at / chunk }));
        checksums.pop();
        let short = checksum::verify(&data, &checksums, chunk);
        prop_assert!(matches!(short, Err(BadChecksum::Length { .. })), "{:?}", short);
    }

    #[test]
    fn rubbish_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), prefix in any::<[u8; PREFIX]>()) {
        if let Ok(prefix) = Prefix::parse(prefix) {
            let _ = prefix.parse_header(&bytes);
            prop_assert!(prefix.packet_len() <= PACKET_MAX);
        }
        for op in Op::ALL {
            let _ = OpRequest::decode(op, &bytes);
        }
        if let Ok(proto) = wire::decode::<PipelineAckProto>(&bytes, "ack") {
            let _ = ack::check(&proto, 3);
        }
    }
}
