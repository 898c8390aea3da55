//! Codecs of the shuffle: bytes by hand, round trips, rubbish.

use super::*;
use proptest::prelude::*;

#[test]
fn a_frame_header_has_these_bytes() {
    let header = FrameHeader::of(Codec::None, b"123456789", 9, 2).unwrap();
    let mut expected = vec![0, 9, 0, 0, 0, 9, 0, 0, 0, 2, 0, 0, 0];
    let crc = crc32c::crc32c(&[&expected[..], b"123456789"].concat());
    assert_eq!(crc, 0xc574_bd0f);
    expected.extend_from_slice(&crc.to_le_bytes());
    assert_eq!(header.encode().to_vec(), expected);
    assert_eq!(Codec::Lz4.code(), 1);
}

#[test]
fn an_index_has_these_bytes() {
    let segments = vec![
        Segment { offset: 0, len: 0x0102, raw: 0x0304, records: 5 },
        Segment { offset: 0x0102, len: 1, raw: 0, records: 0 },
    ];
    let bytes = Index { segments }.encode().unwrap();
    let mut expected = b"MAMMSHUF\x01\0\0\0\x02\0\0\0".to_vec();
    for word in [0_u64, 0x0102, 0x0304, 5, 0x0102, 1, 0, 0] {
        expected.extend_from_slice(&word.to_le_bytes());
    }
    assert_eq!(bytes[..80], expected[..]);
    assert_eq!(bytes.len(), Index::encoded_len(2));
    assert_eq!(bytes[80..], crc32c::crc32c(&expected).to_le_bytes());
}

#[test]
fn foreign_indexes_are_refused_by_name() {
    let good = Index { segments: vec![Segment { offset: 0, len: 7, raw: 7, records: 1 }] }.encode().unwrap();
    let sealed = |mut bytes: Vec<u8>| {
        let end = bytes.len() - 4;
        let crc = crc32c::crc32c(&bytes[..end]);
        bytes[end..].copy_from_slice(&crc.to_le_bytes());
        Index::decode(&bytes)
    };
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    assert!(sealed(good.clone()).is_ok());
    assert_eq!(sealed(changed(0, b'X')), Err(ShuffleError::Magic));
    assert_eq!(sealed(changed(8, 2)), Err(ShuffleError::Version(2)));
    assert_eq!(sealed(changed(16, 1)), Err(ShuffleError::Gap { partition: 0 }));
    assert!(matches!(sealed(changed(15, 0xff)), Err(ShuffleError::TooLarge { .. })));
    assert!(matches!(sealed(changed(12, 2)), Err(ShuffleError::Length { expected: 84, found: 52, .. })));
    for end in 0..good.len() {
        assert!(Index::decode(&good[..end]).is_err(), "cut at {end}");
    }
    for (at, byte) in good.iter().enumerate() {
        assert!(Index::decode(&changed(at, byte ^ 0x40)).is_err(), "byte {at} changed");
    }
}

#[test]
fn every_changed_byte_of_a_frame_is_noticed() {
    let payload = b"some records";
    let header = FrameHeader::of(Codec::Lz4, payload, 20, 3).unwrap();
    let bytes = [&header.encode()[..], payload].concat();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << bit;
            let (head, rest) = bad.split_first_chunk().unwrap();
            let noticed = FrameHeader::decode(head).and_then(|header| header.verify(rest));
            assert!(noticed.is_err(), "bit {bit} of byte {at}");
        }
    }
    assert_eq!(header.verify(payload), Ok(()));
}

#[test]
fn large_frames_are_refused_before_anything_is_allocated() {
    let mut bytes = FrameHeader::of(Codec::None, b"", 0, 0).unwrap().encode();
    bytes[4] = 0x7f;
    assert!(matches!(FrameHeader::decode(&bytes), Err(ShuffleError::TooLarge { what: "frame", .. })));
    let mut bytes = FrameHeader::of(Codec::Lz4, b"", 0, 0).unwrap().encode();
    bytes[8] = 0x7f;
    assert!(matches!(FrameHeader::decode(&bytes), Err(ShuffleError::TooLarge { what: "decompressed frame", .. })));
    let mut bytes = FrameHeader::of(Codec::None, b"", 0, 0).unwrap().encode();
    bytes[5] = 1;
    assert_eq!(FrameHeader::decode(&bytes), Err(ShuffleError::Lengths { len: 0, raw_len: 1 }));
    assert!(FrameHeader::of(Codec::Lz4, b"", FRAME_MAX as usize + 1, 0).is_err());
}

#[test]
fn names_of_outputs_are_plain() {
    assert!(is_output_name("attempt_1_0001_m_000000_0"));
    assert!(is_output_name(&"a".repeat(OUTPUT_NAME_MAX)));
    for bad in ["", ".", "..", "a/b", "a.b", "a b", "ä", &"a".repeat(OUTPUT_NAME_MAX + 1)] {
        assert!(!is_output_name(bad), "{bad}");
    }
    let route = route("job_1_0001", "attempt_1_0001_m_000000_0", 7, Uuid::default());
    assert!(route.starts_with("/shuffle/v1/job_1_0001/attempt_1_0001_m_000000_0/7?generation="), "{route}");
}

proptest! {
    #[test]
    fn indexes_come_back(lengths in prop::collection::vec((0_u64..1 << 40, any::<u64>(), any::<u64>()), 0..50)) {
        let mut offset = 0;
        let mut segments = Vec::new();
        for (len, raw, records) in lengths {
            segments.push(Segment { offset, len, raw, records });
            offset += len;
        }
        let index = Index { segments };
        prop_assert_eq!(Index::decode(&index.encode().unwrap()), Ok(index.clone()));
        prop_assert_eq!(index.data_len(), offset);
    }

    #[test]
    fn frames_come_back(payload in prop::collection::vec(any::<u8>(), 0..200), extra in 0_usize..100, records: u32) {
        let header = FrameHeader::of(Codec::Lz4, &payload, payload.len() + extra, records).unwrap();
        let back = FrameHeader::decode(&header.encode()).unwrap();
        prop_assert_eq!(back, header);
        prop_assert_eq!(back.verify(&payload), Ok(()));
    }

    #[test]
    fn rubbish_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..300), head: [u8; FRAME_HEADER_LEN]) {
        let _ = Index::decode(&bytes);
        if bytes.len() >= 12 {
            bytes[..12].copy_from_slice(b"MAMMSHUF\x01\0\0\0");
            let _ = Index::decode(&bytes);
        }
        let _ = FrameHeader::decode(&head).map(|header| header.verify(&bytes));
    }
}
