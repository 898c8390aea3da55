//! Golden frames spelled by hand from the published format, then round trips, truncations and rubbish.

use super::*;
use crate::hadoop::hdfs::{GetFileInfoRequestProto, GetFileInfoResponseProto};
use crate::wire;
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use prost::Message as _;

const CLIENT: [u8; 16] = *b"0123456789abcdef";

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        hex.bytes().filter(|b| !b.is_ascii_whitespace()).map(|b| (b as char).to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// Takes the length prefix off a frame that fills the buffer.
fn body(frame: &[u8]) -> Bytes {
    let len = frame_len(frame, RPC_TEST_MAX).expect("a length").expect("whole");
    assert_eq!(frame.len(), FRAME_PREFIX + len);
    Bytes::copy_from_slice(&frame[FRAME_PREFIX..])
}

const RPC_TEST_MAX: usize = 1 << 20;

/// rpcKind 2, rpcOp 0, callId -3 (zig-zag 5), 16 bytes of client id, retryCount -1 (zig-zag 1): 26 bytes.
const CONTEXT_HEADER: &str = "1a 08 02 10 00 18 05 22 10 30313233343536373839616263646566 28 01";

fn golden_context() -> Vec<u8> {
    // userInfo (field 2) { effectiveUser (1) "alice" } and protocol (3), 46 letters.
    let context = "39 12 07 0a 05 616c696365 1a 2e";
    let mut frame = bytes_of(&format!("00000055 {CONTEXT_HEADER} {context}"));
    frame.extend_from_slice(b"org.apache.hadoop.hdfs.protocol.ClientProtocol");
    frame
}

#[test]
fn the_connection_context_is_spelled_as_published() {
    let context = ConnectionContext {
        user: "alice".to_owned(),
        real_user: None,
        protocol: crate::hadoop::CLIENT_PROTOCOL.to_owned(),
    };
    let mut out = BytesMut::new();
    encode_context(&mut out, CLIENT, &context);
    assert_eq!(out, golden_context());
    assert_eq!(decode_request(body(&out)), Ok(Incoming::Context(context)));
}

fn golden_call() -> Vec<u8> {
    // Header: callId 7 (zig-zag 14), retryCount 2 (zig-zag 4). Request header: methodName "getFileInfo" (11 letters),
    // protocol "P", version 1. Request: src "/a".
    let header = "1a 08 02 10 00 18 0e 22 10 30313233343536373839616263646566 28 04";
    let request = "12 0a 0b 67657446696c65496e666f 12 01 50 18 01";
    bytes_of(&format!("00000033 {header} {request} 04 0a 02 2f61"))
}

#[test]
fn a_call_is_spelled_as_published() {
    let to = ReplyTo { call_id: 7, client_id: Some(CLIENT), retry_count: 2 };
    let message = GetFileInfoRequestProto { src: "/a".to_owned() };
    let mut out = BytesMut::new();
    encode_call(&mut out, &to, "P", "getFileInfo", &message, RPC_TEST_MAX).expect("short");
    assert_eq!(out, golden_call());
    let Ok(Incoming::Call(call)) = decode_request(body(&out)) else { panic!("not a call") };
    assert_eq!((call.reply_to, call.protocol.as_str(), call.method.as_str()), (to, "P", "getFileInfo"));
    assert_eq!((call.version, &call.payload[..]), (1, &b"\x0a\x02/a"[..]));
    let error = encode_call(&mut out, &to, "P", "getFileInfo", &message, 50);
    assert_eq!(error, Err(WireError::TooLong { what: "rpc frame", len: 51, max: 50 }));
}

#[test]
fn a_ping_is_spelled_as_published() {
    let mut out = BytesMut::new();
    encode_ping(&mut out, CLIENT);
    // callId -4 is zig-zag 7.
    let golden = bytes_of("0000001b 1a 08 02 10 00 18 07 22 10 30313233343536373839616263646566 28 01");
    assert_eq!(out, golden);
    assert_eq!(decode_request(body(&out)), Ok(Incoming::Ping));
}

#[test]
fn negotiation_is_spelled_as_published() {
    let mut out = BytesMut::new();
    let message = crate::hadoop::common::RpcSaslProto { state: SaslState::Negotiate as i32, ..Default::default() };
    encode_sasl(&mut out, &message);
    // callId -33 is zig-zag 65; no client id; state (field 2) 1.
    assert_eq!(out, bytes_of("0000000e 0a 08 02 10 00 18 41 22 00 28 01 02 10 01"));
    let Ok(Incoming::Sasl(to, read)) = decode_request(body(&out)) else { panic!("not authentication") };
    assert_eq!(read, message);

    // Java's client sends the same with call id -33 and expects it back as an unsigned number: df ff ff ff 0f.
    let mut out = BytesMut::new();
    encode_sasl_reply(&mut out, &ReplyTo { client_id: None, ..to }, SaslState::Success);
    assert_eq!(out, bytes_of("00000010 0c 08 dfffffff0f 10 00 18 09 40 01 02 10 00"));
}

#[test]
fn a_success_is_spelled_as_published() {
    let to = ReplyTo { call_id: 7, client_id: Some(CLIENT), retry_count: 0 };
    let mut out = BytesMut::new();
    encode_success(&mut out, &to, &GetFileInfoResponseProto { fs: None }.encode_to_vec());
    // callId 7, status 0, version 9, client id (field 7), retryCount (8) 0; an empty message is one zero byte.
    let golden = bytes_of("0000001c 1a 08 07 10 00 18 09 3a 10 30313233343536373839616263646566 40 00 00");
    assert_eq!(out, golden);
    let response = decode_response(body(&out)).expect("golden");
    assert_eq!(response, Response { call_id: 7, client_id: Some(CLIENT), outcome: Outcome::Success(Bytes::new()) });
}

#[test]
fn a_failure_is_spelled_as_published() {
    let to = ReplyTo { call_id: 1, client_id: None, retry_count: -1 };
    let failure = RpcFailure::application("E", "no");
    let mut out = BytesMut::new();
    encode_failure(&mut out, &to, &failure);
    // callId 1, status 1, version 9, class (4) "E", message (5) "no", detail (6) 1, retryCount (8) -1.
    assert_eq!(out, bytes_of("00000012 11 08 01 10 01 18 09 22 01 45 2a 02 6e6f 30 01 40 01"));
    let response = decode_response(body(&out)).expect("golden");
    assert_eq!(response.outcome, Outcome::Error(failure.clone()));

    let mut out = BytesMut::new();
    encode_fatal(&mut out, &ReplyTo { call_id: NO_CALL_ID, ..to }, &failure);
    let response = decode_response(body(&out)).expect("its own");
    assert_eq!((response.call_id, response.outcome), (NO_CALL_ID, Outcome::Fatal(failure)));
}

#[test]
fn bytes_after_a_response_are_refused() {
    let to = ReplyTo { call_id: 1, client_id: None, retry_count: 0 };
    let mut success = BytesMut::new();
    encode_success(&mut success, &to, b"abc");
    let mut failed = BytesMut::new();
    encode_failure(&mut failed, &to, &RpcFailure::application("E", "no"));
    for mut frame in [success, failed] {
        let mut frame = frame.split_off(FRAME_PREFIX);
        assert!(decode_response(frame.clone().freeze()).is_ok());
        frame.extend_from_slice(&[0]);
        let error = decode_response(frame.freeze()).expect_err("a byte too many");
        assert_eq!(error, WireError::Unexpected { what: "bytes after an rpc response", found: 1 });
    }
}

#[test]
fn preambles() {
    assert_eq!(Preamble { service_class: 0, auth: Auth::None }.encode(), *b"hrpc\x09\x00\x00");
    assert_eq!(Preamble { service_class: 0, auth: Auth::Sasl }.encode(), *b"hrpc\x09\x00\xdf");
    type Expected = Result<Option<Auth>, BadPreamble>;
    let cases: [(&[u8], Expected); 14] = [
        (b"", Ok(None)),
        (b"hr", Ok(None)),
        (b"hrpc\x09\x00", Ok(None)),
        (b"hrpc\x09\x00\x00", Ok(Some(Auth::None))),
        (b"hrpc\x09\x00\xdfmore", Ok(Some(Auth::Sasl))),
        (b"hrpc\x09\x00\x01", Err(BadPreamble::Auth(1))),
        (b"hrpc\x08", Err(BadPreamble::Version(8))),
        (b"hx", Err(BadPreamble::Magic)),
        (b"\x16\x03", Err(BadPreamble::Magic)),
        (b"GE", Ok(None)),
        (b"GET ", Err(BadPreamble::Http)),
        (b"P", Ok(None)),
        (b"POST / HTTP/1.1\r\n", Err(BadPreamble::Http)),
        (b"GETX", Err(BadPreamble::Magic)),
    ];
    for (bytes, expected) in cases {
        assert_eq!(parse_preamble(bytes).map(|found| found.map(|p| p.auth)), expected, "{bytes:?}");
    }
}

#[test]
fn the_answer_to_http_counts_its_own_bytes() {
    let (head, text) = HTTP_REFUSAL.split_once("\r\n\r\n").expect("an empty line");
    assert!(head.starts_with("HTTP/1.1 404 "));
    assert!(head.contains(&format!("Content-Length: {}\r\n", text.len())));
}

#[test]
fn frames_that_end_the_connection_say_why() {
    let header = |hex: &str, rest: &[u8]| {
        let mut header = bytes_of(hex);
        header.insert(0, header.len() as u8);
        header.extend_from_slice(rest);
        match decode_request(Bytes::from(header)) {
            Err(fatal) => (fatal.reply_to.call_id, fatal.failure.detail),
            Ok(other) => panic!("accepted: {other:?}"),
        }
    };
    // No rpcOp; a continuation packet; a Writable call; an undefined negative call id; no client id field at all.
    assert_eq!(header("08 02 18 02 22 00", &[]), (1, ErrorDetail::FatalInvalidRpcHeader));
    assert_eq!(header("08 02 10 01 18 02 22 00", &[]), (1, ErrorDetail::FatalInvalidRpcHeader));
    assert_eq!(header("08 01 10 00 18 02 22 00", &[]), (1, ErrorDetail::FatalInvalidRpcHeader));
    assert_eq!(header("08 02 10 00 18 03 22 00", &[]), (-2, ErrorDetail::FatalInvalidRpcHeader));
    assert_eq!(header("ff", &[]), (NO_CALL_ID, ErrorDetail::FatalInvalidRpcHeader));
    // A call without anything after its header.
    assert_eq!(header("08 02 10 00 18 02 22 00", &[]), (1, ErrorDetail::FatalDeserializingRequest));
    // Contexts without a user, and with one that breaks log lines: userInfo { effectiveUser "a\n" }.
    assert_eq!(header("08 02 10 00 18 05 22 00", &[0]), (-3, ErrorDetail::FatalUnauthorized));
    let newline = [6, 0x12, 4, 0x0a, 2, b'a', b'\n'];
    assert_eq!(header("08 02 10 00 18 05 22 00", &newline), (-3, ErrorDetail::FatalUnauthorized));
}

#[test]
fn an_odd_client_id_is_tolerated_but_not_repeated() {
    let mut frame = bytes_of("0a 08 02 10 00 18 0e 22 02 3031");
    frame[0] = (frame.len() - 1) as u8;
    frame.extend_from_slice(&bytes_of("08 0a 01 6d 12 01 50 18 01 00"));
    let Ok(Incoming::Call(call)) = decode_request(Bytes::from(frame)) else { panic!("not a call") };
    assert_eq!(call.reply_to, ReplyTo { call_id: 7, client_id: None, retry_count: -1 });
    assert_eq!(call.caller_context, None);
}

#[test]
fn a_long_caller_context_is_cut_at_a_letter() {
    let header = crate::hadoop::common::RpcRequestHeaderProto {
        rpc_kind: Some(2),
        rpc_op: Some(0),
        call_id: 1,
        caller_context: Some(crate::hadoop::common::RpcCallerContextProto {
            context: format!("a{}", "ä".repeat(100)),
            signature: None,
        }),
        ..Default::default()
    };
    let mut frame = Vec::new();
    wire::put_message(&mut frame, &header);
    frame.extend_from_slice(&bytes_of("08 0a 01 6d 12 01 50 18 01 00"));
    let Ok(Incoming::Call(call)) = decode_request(Bytes::from(frame)) else { panic!("not a call") };
    assert_eq!(call.caller_context, Some(format!("a{}", "ä".repeat(63))));
}

#[test]
fn every_truncation_is_refused() {
    for golden in [golden_context(), golden_call()] {
        let whole = body(&golden);
        assert!(decode_request(whole.clone()).is_ok());
        for cut in 0..whole.len() {
            assert!(decode_request(whole.slice(..cut)).is_err(), "cut at {cut} of {}", whole.len());
        }
        for cut in 0..FRAME_PREFIX {
            assert_eq!(frame_len(&golden[..cut], RPC_TEST_MAX), Ok(None));
        }
    }
    assert!(frame_len(&[0xff; 4], RPC_TEST_MAX).is_err());
}

#[test]
fn failures_keep_our_codes() {
    use crate::error::{ErrorCode, FsError};
    for code in ErrorCode::ALL {
        let failure = RpcFailure::from(FsError::new(code, "x"));
        assert_eq!(failure.code(), code);
        assert_eq!(failure.detail, ErrorDetail::ErrorApplication);
    }
    assert_eq!(RpcFailure::no_such_method("P", "m").code(), ErrorCode::Unsupported);
    let long = RpcFailure::application("E", "ä".repeat(20_000));
    assert!(long.message.len() <= 16 * 1024 && long.message.ends_with('ä'));
}

proptest! {
    #[test]
    fn calls_round_trip(call_id in 0..i32::MAX, retry_count in -1..100, method in "[a-zA-Z]{0,40}", src in ".{0,200}") {
        let to = ReplyTo { call_id, client_id: Some(CLIENT), retry_count };
        let message = GetFileInfoRequestProto { src };
        let mut out = BytesMut::new();
        encode_call(&mut out, &to, "org.example.P", &method, &message, RPC_TEST_MAX).expect("short");
        let whole = body(&out);
        for cut in 0..whole.len() {
            prop_assert!(decode_request(whole.slice(..cut)).is_err());
        }
        let Ok(Incoming::Call(call)) = decode_request(whole) else { panic!("not a call") };
        prop_assert_eq!(call.reply_to, to);
        prop_assert_eq!(call.method, method);
        prop_assert_eq!(GetFileInfoRequestProto::decode(call.payload).expect("its own"), message);
    }

    #[test]
    fn responses_round_trip(call_id in any::<i32>(), retry_count in -1..100, payload in prop::collection::vec(any::<u8>(), 0..400),
                            class in "[a-zA-Z.$]{1,60}", message in ".{0,100}") {
        let to = ReplyTo { call_id, client_id: Some(CLIENT), retry_count };
        let failure = RpcFailure::application(class, message);
        let mut success = BytesMut::new();
        encode_success(&mut success, &to, &payload);
        let mut failed = BytesMut::new();
        encode_failure(&mut failed, &to, &failure);
        for (out, outcome) in [(success, Outcome::Success(payload.into())), (failed, Outcome::Error(failure))] {
            let whole = body(&out);
            for cut in 0..whole.len() {
                prop_assert!(decode_response(whole.slice(..cut)).is_err());
            }
            let response = decode_response(whole).expect("its own");
            prop_assert_eq!(response, Response { call_id, client_id: Some(CLIENT), outcome });
        }
    }

    #[test]
    fn rubbish_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..200, flip in any::<u8>()) {
        let _ = parse_preamble(&bytes);
        let _ = frame_len(&bytes, RPC_TEST_MAX);
        let _ = decode_request(Bytes::from(bytes.clone()));
        let _ = decode_response(Bytes::from(bytes));
        let mut almost = golden_call();
        let position = cut % almost.len();
        almost[position] ^= flip;
        let _ = decode_request(Bytes::from(almost.split_off(FRAME_PREFIX)));
    }
}
