//! Sessions spelled byte by byte.

use super::*;
use mammoth_protocol::rpc::ErrorDetail;

/// A golden session as a Java client sends it: preamble; context { user "alice", protocol "P" }; call 0 of method "echo" on
/// the test's protocol with the text "/a".
#[test]
fn a_hand_written_session() {
    let mut server = Server::start(ServerLimits::default());
    let mut peer = server.peer();
    let mut bytes = b"hrpc\x09\x00\x00".to_vec();
    let id = b"0123456789abcdef";
    // Context: 27 bytes of header with its length, 13 of context with its length.
    bytes.extend_from_slice(b"\x00\x00\x00\x28\x1a\x08\x02\x10\x00\x18\x05\x22\x10");
    bytes.extend_from_slice(id);
    bytes.extend_from_slice(b"\x28\x01\x0c\x12\x07\x0a\x05alice\x1a\x01P");
    // Call: 27 of header, 35 of request header (echo; 24 letters of protocol; version 1), 5 of request.
    bytes.extend_from_slice(b"\x00\x00\x00\x43\x1a\x08\x02\x10\x00\x18\x00\x22\x10");
    bytes.extend_from_slice(id);
    bytes.extend_from_slice(b"\x28\x00\x22\x0a\x04echo\x12\x18org.example.TestProtocol\x18\x01\x04\x0a\x02/a");
    // One byte at a time: nothing may depend on how the bytes arrive.
    for byte in bytes {
        peer.send(&[byte]);
    }
    let mut expected = b"\x00\x00\x00\x20\x1a\x08\x00\x10\x00\x18\x09\x3a\x10".to_vec();
    expected.extend_from_slice(id);
    expected.extend_from_slice(b"\x40\x00\x04\x0a\x02/a");
    let mut answer = vec![0; expected.len()];
    peer.stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, expected);

    // A ping (call id -4) gets no answer; the next call does.
    let mut ping = b"\x00\x00\x00\x1b\x1a\x08\x02\x10\x00\x18\x07\x22\x10".to_vec();
    ping.extend_from_slice(id);
    ping.extend_from_slice(b"\x28\x01");
    peer.send(&ping);
    peer.send_call(1, PROTOCOL, "echo", "after the ping");
    assert_eq!(peer.text(), (1, "after the ping".to_owned()));
    server.stop();
}

#[test]
fn the_caller_arrives_with_the_call() {
    let server = Server::start(ServerLimits::default());
    let mut peer = server.session();
    peer.send_call(41, PROTOCOL, "who", "");
    assert_eq!(peer.text(), (41, "alice bob 41 0 -".to_owned()));
}

#[test]
fn failures_of_a_call_leave_the_connection_alone() {
    let server = Server::start(ServerLimits::default());
    let mut peer = server.session();
    let cases = [
        (PROTOCOL, "nothing", ErrorDetail::ErrorNoSuchMethod, "org.apache.hadoop.ipc.RpcNoSuchMethodException"),
        ("P", "echo", ErrorDetail::ErrorNoSuchProtocol, "org.apache.hadoop.ipc.RpcNoSuchProtocolException"),
        (PROTOCOL, "fail", ErrorDetail::ErrorApplication, "java.io.FileNotFoundException"),
        (PROTOCOL, "panic", ErrorDetail::ErrorRpcServer, "java.io.IOException"),
    ];
    for (call_id, (protocol, method, detail, class)) in (10..).zip(cases) {
        peer.send_call(call_id, protocol, method, "");
        let response = peer.response();
        let Outcome::Error(failure) = response.outcome else { panic!("{method}: {response:?}") };
        assert_eq!((response.call_id, response.client_id), (call_id, Some(CLIENT)));
        assert_eq!((failure.detail, failure.java_class.as_str()), (detail, class), "{method}");
    }
    // A request message that does not parse, and a protocol version that nobody has: version 1 is the byte before the
    // request, whose length is the byte after.
    let frame = call_frame(20, PROTOCOL, "echo", "abc");
    let mut garbled = frame.clone();
    let at = garbled.len() - 5;
    garbled[at] = 0xff;
    peer.send(&garbled);
    assert!(
        matches!(peer.response().outcome, Outcome::Error(failure) if failure.detail == ErrorDetail::ErrorRpcServer)
    );
    let mut newer = frame;
    let at = newer.len() - 7;
    assert_eq!(newer[at], 1);
    newer[at] = 2;
    peer.send(&newer);
    let outcome = peer.response().outcome;
    assert!(matches!(outcome, Outcome::Error(failure) if failure.detail == ErrorDetail::ErrorRpcVersionMismatch));
    peer.send_call(30, PROTOCOL, "echo", "still here");
    assert_eq!(peer.text(), (30, "still here".to_owned()));
}

#[test]
fn answers_leave_when_they_are_ready() {
    let server = Server::start(ServerLimits::default());
    let mut peer = server.session();
    peer.send_call(1, PROTOCOL, "wait", "slow");
    eventually("the call waits", || server.handler.running.load(Ordering::SeqCst) == 1);
    peer.send_call(2, PROTOCOL, "echo", "fast");
    assert_eq!(peer.text(), (2, "fast".to_owned()));
    server.handler.gate.add_permits(1);
    assert_eq!(peer.text(), (1, "slow".to_owned()));
}

#[test]
fn authentication_ends_before_it_begins() {
    let server = Server::start(ServerLimits::default());
    let mut peer = server.peer();
    peer.send(b"hrpc\x09\x00\xdf");
    // NEGOTIATE with call id -33; the answer is SUCCESS, without any mechanism on offer.
    peer.send(b"\x00\x00\x00\x0e\x0a\x08\x02\x10\x00\x18\x41\x22\x00\x28\x01\x02\x10\x01");
    let mut answer = [0; 20];
    peer.stream.read_exact(&mut answer).unwrap();
    let expected = b"\x00\x00\x00\x10\x0c\x08\xdf\xff\xff\xff\x0f\x10\x00\x18\x09\x40\x01\x02\x10\x00";
    assert_eq!(&answer, expected, "{answer:02x?}");
    let mut context = BytesMut::new();
    rpc::encode_context(&mut context, CLIENT, &ConnectionContext { user: "u".into(), ..Default::default() });
    peer.send(&context);
    peer.send_call(0, PROTOCOL, "who", "");
    assert_eq!(peer.text(), (0, "u - 0 0 -".to_owned()));
}

#[test]
fn a_client_may_start_simple_by_itself_but_nothing_else() {
    let server = Server::start(ServerLimits::default());
    // INITIATE (state 2) with auths { method, mechanism "" }.
    let initiate = |method: &str| {
        let auth = [&[0x0a, method.len() as u8][..], method.as_bytes(), &[0x12, 0]].concat();
        let message = [&[0x10, 2, 0x22, auth.len() as u8][..], &auth].concat();
        let header = b"\x0a\x08\x02\x10\x00\x18\x41\x22\x00\x28\x01";
        let len = (header.len() + 1 + message.len()) as u32;
        [&len.to_be_bytes()[..], header, &[message.len() as u8], &message].concat()
    };
    let mut peer = server.peer();
    peer.send(b"hrpc\x09\x00\xdf");
    peer.send(&initiate("SIMPLE"));
    let mut context = BytesMut::new();
    rpc::encode_context(&mut context, CLIENT, &ConnectionContext { user: "u".into(), ..Default::default() });
    peer.send(&context);
    peer.send_call(0, PROTOCOL, "who", "");
    assert_eq!(peer.text(), (0, "u - 0 0 -".to_owned()));

    let mut peer = server.peer();
    peer.send(b"hrpc\x09\x00\xdf");
    peer.send(&initiate("KERBEROS"));
    let (call_id, failure) = peer.fatal();
    assert_eq!((call_id, failure.detail), (rpc::SASL_CALL_ID, ErrorDetail::FatalUnauthorized));
}

#[test]
fn stopping_lets_calls_finish_and_frees_the_port() {
    let mut server = Server::start(ServerLimits::default());
    let mut peer = server.session();
    peer.send_call(1, PROTOCOL, "wait", "in work");
    eventually("the call waits", || server.handler.running.load(Ordering::SeqCst) == 1);
    server.shutdown.trigger();
    eventually("no new connection", || TcpStream::connect(server.addr).is_err());
    server.handler.gate.add_permits(1);
    assert_eq!(peer.text(), (1, "in work".to_owned()));
    assert_eq!(peer.rest(), b"");
    server.stop();
}

#[test]
fn any_stream_will_do() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let handler = Arc::new(Handler {
        gate: Semaphore::new(0),
        running: AtomicUsize::new(0),
        running_max: AtomicUsize::new(0),
        started: AtomicUsize::new(0),
    });
    runtime.block_on(async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut near, far) = tokio::io::duplex(64);
        let peer = "10.0.0.1:1".parse().unwrap();
        let door = Arc::new(Door(handler));
        let shutdown = Shutdown::new();
        let limits = ServerLimits::default();
        let served = tokio::spawn(crate::rpc::server::serve_stream(far, peer, door, limits, shutdown));
        let mut out = BytesMut::from(&b"hrpc\x09\x00\x00"[..]);
        rpc::encode_context(&mut out, CLIENT, &ConnectionContext { user: "u".into(), ..Default::default() });
        out.extend_from_slice(&call_frame(3, PROTOCOL, "echo", "over a pipe"));
        near.write_all(&out).await.unwrap();
        let len = near.read_u32().await.unwrap();
        let mut frame = vec![0; len as usize];
        near.read_exact(&mut frame).await.unwrap();
        let response = rpc::decode_response(frame.into()).unwrap();
        assert_eq!(response.outcome, Outcome::Success(Bytes::from_static(b"\x0a\x0bover a pipe")));
        drop(near);
        served.await.unwrap();
    });
}
