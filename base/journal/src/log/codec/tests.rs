use super::*;
use proptest::prelude::*;

fn record(seq: u64, place: u32, edits: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_record(&mut out, Seq(seq), Term(2), place, |o| o.extend_from_slice(edits)).unwrap();
    out
}

#[test]
fn a_record_is_laid_out_as_documented() {
    let bytes = record(0x0102, 3, b"ab");
    let head = [0, 0, 0, 22].into_iter().chain(crc32c::crc32c(&bytes[8..]).to_be_bytes());
    let tail = [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3, b'a', b'b'];
    assert_eq!(bytes, head.chain(tail).collect::<Vec<u8>>());
}

#[test]
fn a_header_is_laid_out_as_documented() {
    let bytes = Header { cluster: "CID-7".to_owned(), term: Term(1), first: Seq(2) }.encode();
    let mut expected = b"MAMMEDIT\0\0\0\x01\0\0\0\x05CID-7\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02".to_vec();
    let sum = crc32c::crc32c(&expected);
    expected.extend_from_slice(&sum.to_be_bytes());
    assert_eq!(bytes, expected);
}

#[test]
fn headers_are_read_back_or_refused() {
    let header = Header { cluster: "CID-1".to_owned(), term: Term(9), first: Seq(10) };
    let good = header.encode();
    assert_eq!(Header::decode(&good), Ok((header, good.len())));
    for cut in 0..good.len() {
        assert_eq!(Header::decode(&good[..cut]), Err(BadHeader::Short), "{cut}");
    }
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(Header::decode(&bad).is_err(), "{at}");
    }
    let mut newer = good;
    newer[11] = 2;
    assert_eq!(Header::decode(&newer), Err(BadHeader::Newer(2)));
}

#[test]
fn a_later_write_is_found_and_records_of_the_same_write_are_passed_over() {
    // Record 5 began a write of three and is bad; what follows it is the rest of that write.
    let mut rest = vec![0xff; 100];
    rest.extend(record(6, 1, b"six"));
    rest.extend(record(7, 2, b"seven"));
    assert_eq!(later_write(&rest, Seq(5)), None);
    let at = rest.len() + 3;
    rest.extend([1, 2, 3]);
    rest.extend(record(8, 0, b"eight"));
    assert_eq!(later_write(&rest, Seq(5)), Some((at, Seq(8))));
    assert_eq!(later_write(&[0; 1000], Seq(5)), None);
}

proptest! {
    #[test]
    fn records_round_trip(seq: u64, term: u64, place: u32, edits in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut out = vec![9; 3];
        encode_record(&mut out, Seq(seq), Term(term), place, |o| o.extend_from_slice(&edits)).unwrap();
        let whole = &out[3..];
        let expected = Record { seq: Seq(seq), term: Term(term), place, edits: &edits };
        prop_assert_eq!(decode_record(whole), Decoded::Record(expected));
        for cut in 0..whole.len() {
            let Decoded::More(need) = decode_record(&whole[..cut]) else { panic!("cut at {cut}") };
            prop_assert!(need > cut && need <= whole.len());
        }
    }

    #[test]
    fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), seq: u64) {
        let _ = decode_record(&bytes);
        let _ = Header::decode(&bytes);
        let _ = later_write(&bytes, Seq(seq));
    }
}
