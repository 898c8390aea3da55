//! The client, against the server and against servers that misbehave.

use super::*;
use crate::rpc::client::{Attempt, RpcClient, RpcClientConfig, RpcClientError};
use mammoth_platform::SystemClock;
use mammoth_protocol::rpc::Incoming;
use std::sync::mpsc;
use std::thread;

fn config(addr: SocketAddr) -> RpcClientConfig {
    RpcClientConfig::new(addr.to_string(), PROTOCOL, "carol", CLIENT)
}

fn client(addr: SocketAddr) -> RpcClient {
    RpcClient::new(config(addr), Arc::new(SystemClock))
}

fn ask(client: &RpcClient, method: &str, text: &str) -> Result<String, RpcClientError> {
    let request = GetFileInfoRequestProto { src: text.to_owned() };
    let reply: GetLinkTargetResponseProto = client.call(method, &request)?;
    Ok(reply.target_path.unwrap_or_default())
}

/// A server in the hands of the test: for each connection `act` gets the number of the connection and what came.
fn fake(act: impl Fn(usize, &mut Peer) + Send + 'static) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut peer = Peer { stream: stream.unwrap() };
            let mut preamble = [0; rpc::PREAMBLE_BYTES];
            if peer.stream.read_exact(&mut preamble).is_ok() {
                assert_eq!(preamble, *b"hrpc\x09\x00\x00");
                assert!(matches!(rpc::decode_request(peer.frame()), Ok(Incoming::Context(c)) if c.user == "carol"));
                act(number, &mut peer);
            }
        }
    });
    addr
}

impl Peer {
    fn next_call(&mut self) -> rpc::Call {
        let Ok(Incoming::Call(call)) = rpc::decode_request(self.frame()) else { panic!("not a call") };
        call
    }

    fn answer(&mut self, to: &ReplyTo, text: &str) {
        let mut out = BytesMut::new();
        let message = GetLinkTargetResponseProto { target_path: Some(text.to_owned()) };
        rpc::encode_success(&mut out, to, &prost::Message::encode_to_vec(&message));
        self.send(&out);
    }
}

#[test]
fn calls_and_refusals() {
    let server = Server::start(ServerLimits::default());
    let client = RpcClient::connect(config(server.addr), Arc::new(SystemClock)).unwrap();
    assert_eq!(ask(&client, "echo", "hello").unwrap(), "hello");
    assert_eq!(ask(&client, "big", "700000").unwrap().len(), 700_000);
    let error = ask(&client, "fail", "").unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::FileNotFound));
    assert_eq!(error.to_string(), "nothing there");
    assert!(!error.may_have_run());
    assert_eq!(ask(&client, "nothing", "").unwrap_err().code(), Some(ErrorCode::Unsupported));
    let request = GetFileInfoRequestProto::default();
    let attempt = Attempt { call_id: 77, retry_count: 3 };
    let who: GetLinkTargetResponseProto = client.call_with_id(attempt, "who", &request).unwrap();
    assert_eq!(who.target_path(), "carol - 77 3 -");
}

#[test]
fn many_threads_share_one_connection() {
    let server = Server::start(ServerLimits { connections: 1, ..ServerLimits::default() });
    let client = client(server.addr);
    thread::scope(|scope| {
        for number in 0..8 {
            let client = &client;
            scope.spawn(move || {
                for round in 0..200 {
                    let text = format!("{number} {round}");
                    assert_eq!(ask(client, "echo", &text).unwrap(), text);
                }
            });
        }
    });
}

#[test]
fn a_slow_call_does_not_hold_up_others_whoever_reads() {
    let server = Server::start(ServerLimits::default());
    let client = client(server.addr);
    thread::scope(|scope| {
        let slow: Vec<_> = (0..4).map(|_| scope.spawn(|| ask(&client, "wait", "slow").unwrap())).collect();
        eventually("four wait", || server.handler.running.load(Ordering::SeqCst) == 4);
        for _ in 0..20 {
            assert_eq!(ask(&client, "echo", "fast").unwrap(), "fast");
        }
        server.handler.gate.add_permits(4);
        for slow in slow {
            assert_eq!(slow.join().unwrap(), "slow");
        }
    });
}

#[test]
fn a_connection_that_the_server_closed_is_replaced_before_the_next_call() {
    let mut server = Server::start(ServerLimits { idle: Duration::from_millis(20), ..ServerLimits::default() });
    let client = client(server.addr);
    for _ in 0..3 {
        assert_eq!(ask(&client, "echo", "again").unwrap(), "again");
        // Time enough for the server to close.
        assert!(!server.shutdown.wait(Duration::from_millis(200)));
    }
    server.stop();
    let error = ask(&client, "echo", "nobody there").unwrap_err();
    assert!(matches!(error, RpcClientError::Refused { .. }), "{error:?}");
    assert!(!error.may_have_run());
}

#[test]
fn a_name_that_means_nothing() {
    let config = RpcClientConfig::new("no-port", PROTOCOL, "carol", CLIENT);
    let error = ask(&RpcClient::new(config, Arc::new(SystemClock)), "echo", "").unwrap_err();
    assert!(matches!(error, RpcClientError::Resolve { .. }), "{error:?}");
}

#[test]
fn a_connection_lost_after_the_call_was_sent_leaves_its_fate_open() {
    let addr = fake(|number, peer| {
        let call = peer.next_call();
        // The first connection closes, the second sends half an answer, the third nonsense, the fourth is right.
        match number {
            0 => {}
            1 => peer.send(&[0, 0, 0, 50, 1]),
            2 => peer.send(&[0xff; 64]),
            _ => peer.answer(&call.reply_to, "at last"),
        }
    });
    let client = client(addr);
    let attempt = Attempt { call_id: client.new_call_id(), retry_count: 0 };
    for retry_count in 0..3 {
        let request = GetFileInfoRequestProto::default();
        let attempt = Attempt { retry_count, ..attempt };
        let error = client.call_with_id::<_, GetLinkTargetResponseProto>(attempt, "echo", &request).unwrap_err();
        assert!(matches!(error, RpcClientError::Lost { .. }), "{error:?}");
        assert!(error.may_have_run());
    }
    assert_eq!(ask(&client, "echo", "").unwrap(), "at last");
}

#[test]
fn a_server_that_is_silent_times_out_and_is_called_anew() {
    let (keep, kept) = mpsc::sync_channel::<TcpStream>(8);
    let addr = fake(move |number, peer| {
        let call = peer.next_call();
        if number == 0 {
            keep.send(peer.stream.try_clone().unwrap()).unwrap();
        } else {
            peer.answer(&call.reply_to, "second connection");
        }
    });
    let config = RpcClientConfig { call_timeout: Duration::from_millis(100), ..config(addr) };
    let client = RpcClient::new(config, Arc::new(SystemClock));
    let error = ask(&client, "echo", "").unwrap_err();
    assert!(matches!(error, RpcClientError::Timeout { .. }) && error.may_have_run(), "{error:?}");
    assert_eq!(ask(&client, "echo", "").unwrap(), "second connection");
    drop(kept);
}

#[test]
fn when_the_reader_gives_up_another_reads_on() {
    let (given_up, first_gave_up) = mpsc::sync_channel::<()>(1);
    let addr = fake(move |_, peer| {
        let first = peer.next_call();
        let second = peer.next_call();
        // A sign of life, without which the whole connection would be given up.
        peer.answer(&ReplyTo { call_id: 999, ..first.reply_to }, "for nobody");
        first_gave_up.recv().unwrap();
        peer.answer(&first.reply_to, "too late");
        peer.answer(&second.reply_to, "second");
        let third = peer.next_call();
        peer.answer(&third.reply_to, "third");
    });
    let time = Duration::from_millis(1500);
    let client = RpcClient::new(RpcClientConfig { call_timeout: time, ..config(addr) }, Arc::new(SystemClock));
    thread::scope(|scope| {
        scope.spawn(|| {
            let error = ask(&client, "echo", "1").unwrap_err();
            assert!(matches!(error, RpcClientError::Timeout { .. }), "{error:?}");
            given_up.send(()).unwrap();
        });
        // The second call is still in its time when the first, which reads for both, is out of it.
        thread::sleep(time / 2); // no poll: that time must pass
        assert_eq!(ask(&client, "echo", "2").unwrap(), "second");
    });
    assert_eq!(ask(&client, "echo", "3").unwrap(), "third");
}

#[test]
fn a_refusal_of_the_whole_connection_reaches_every_call() {
    let addr = fake(|_, peer| {
        peer.next_call();
        let mut out = BytesMut::new();
        let to = ReplyTo { call_id: rpc::NO_CALL_ID, client_id: None, retry_count: -1 };
        rpc::encode_fatal(&mut out, &to, &RpcFailure::version_mismatch(9));
        peer.send(&out);
    });
    let error = ask(&client(addr), "echo", "").unwrap_err();
    let RpcClientError::Remote { failure, fatal: true } = error else { panic!("{error:?}") };
    assert_eq!(failure.java_class, "org.apache.hadoop.ipc.RPC$VersionMismatch");
}

#[test]
fn a_request_beyond_the_frame_limit_is_not_sent() {
    let server = Server::start(ServerLimits { frame_bytes: 1000, ..ServerLimits::default() });
    let client = client(server.addr);
    let error = ask(&client, "echo", &"x".repeat(2000)).unwrap_err();
    assert!(matches!(&error, RpcClientError::Lost { reason, .. } if reason.contains("too long")), "{error:?}");
    assert_eq!(ask(&client, "echo", "shorter").unwrap(), "shorter");
}
