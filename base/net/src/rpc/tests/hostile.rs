//! Peers that send nonsense, too much, too little, or do not read.

use super::*;
use mammoth_protocol::rpc::ErrorDetail;

#[test]
fn http_gets_a_plain_answer() {
    let server = Server::start(ServerLimits::default());
    for request in ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "POST /jmx HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"] {
        let mut peer = server.peer();
        peer.send(request.as_bytes());
        let answer = String::from_utf8(peer.rest()).unwrap();
        assert_eq!(answer, rpc::HTTP_REFUSAL);
    }
}

#[test]
fn nonsense_ends_a_connection_with_a_reason_where_there_is_one() {
    let server = Server::start(ServerLimits { frame_bytes: 1000, ..ServerLimits::default() });
    let mut peer = server.peer();
    peer.send(b"\x16\x03\x01\x02\x00\x01 a TLS hello");
    assert_eq!(peer.rest(), b"");

    let mut peer = server.peer();
    peer.send(b"hrpc\x08\x00\x00");
    let (call_id, failure) = peer.fatal();
    assert_eq!((call_id, failure.detail), (rpc::NO_CALL_ID, ErrorDetail::FatalVersionMismatch));

    let mut peer = server.peer();
    peer.send(b"hrpc\x09\x00\x55");
    assert_eq!(peer.fatal().1.detail, ErrorDetail::FatalUnauthorized);

    let mut peer = server.peer();
    peer.send(b"hrpc\x09\x00\x00");
    peer.send_call(7, PROTOCOL, "echo", "too early");
    let (call_id, failure) = peer.fatal();
    assert_eq!((call_id, failure.detail), (7, ErrorDetail::FatalInvalidRpcHeader));

    let mut peer = server.session();
    peer.send(&call_frame(8, PROTOCOL, "echo", &"x".repeat(1000)));
    assert_eq!(peer.fatal().1.detail, ErrorDetail::FatalInvalidRpcHeader);

    let mut peer = server.session();
    peer.send(b"\xff\xff\xff\xff");
    assert_eq!(peer.fatal().0, rpc::NO_CALL_ID);

    let mut peer = server.session();
    peer.open();
    // The second opening reads as a frame of 1,752,330,339 bytes.
    assert_eq!(peer.fatal().1.detail, ErrorDetail::FatalInvalidRpcHeader);
}

#[test]
fn rubbish_of_any_kind_does_not_harm_others() {
    let server = Server::start(ServerLimits { handshake: Duration::from_millis(200), ..ServerLimits::default() });
    let mut seed = 0x1234_5678_9abc_def1_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let mut good = server.session();
    for round in 0..200 {
        let mut peer = if round % 2 == 0 { server.peer() } else { server.session() };
        let mut frame = call_frame(round, PROTOCOL, "echo", "text");
        for _ in 0..=random() % 4 {
            let at = (random() % frame.len() as u64) as usize;
            frame[at] = random() as u8;
        }
        // The server may have closed already.
        let _ = peer.stream.write_all(&frame);
    }
    good.send_call(1, PROTOCOL, "echo", "still served");
    assert_eq!(good.text(), (1, "still served".to_owned()));
}

#[test]
fn a_connection_that_says_nothing_is_closed() {
    let server = Server::start(ServerLimits { handshake: Duration::from_millis(100), ..ServerLimits::default() });
    let mut silent = server.peer();
    let mut half = server.peer();
    half.send(b"hrpc\x09\x00\x00\x00\x00");
    assert_eq!(silent.rest(), b"");
    assert_eq!(half.rest(), b"");
}

#[test]
fn an_idle_connection_is_closed_but_not_one_with_a_call_in_work() {
    let server = Server::start(ServerLimits { idle: Duration::from_millis(100), ..ServerLimits::default() });
    let mut busy = server.session();
    busy.send_call(1, PROTOCOL, "wait", "long");
    let mut idle = server.session();
    assert_eq!(idle.rest(), b"");
    let mut idle = server.session();
    assert_eq!(idle.rest(), b"");
    server.handler.gate.add_permits(1);
    assert_eq!(busy.text(), (1, "long".to_owned()));
    assert_eq!(busy.rest(), b"");
}

#[test]
fn a_frame_that_does_not_go_on_is_given_up() {
    let server = Server::start(ServerLimits { stall: Duration::from_millis(100), ..ServerLimits::default() });
    let mut peer = server.session();
    let frame = call_frame(1, PROTOCOL, "echo", "never whole");
    peer.send(&frame[..frame.len() - 1]);
    assert_eq!(peer.rest(), b"");
}

#[test]
fn a_connection_beyond_the_limit_takes_the_place_of_a_silent_one_but_of_none_at_work() {
    let server = Server::start(ServerLimits { connections: 2, ..ServerLimits::default() });
    let mut first = server.session();
    first.send_call(1, PROTOCOL, "echo", "a");
    first.text();
    let mut silent = server.peer();
    let mut third = server.session();
    assert_eq!(silent.rest(), b"", "who said nothing goes before who did");
    third.send_call(2, PROTOCOL, "echo", "b");
    assert_eq!(third.text(), (2, "b".to_owned()));
    for (call_id, peer) in [(3, &mut first), (4, &mut third)] {
        peer.send_call(call_id, PROTOCOL, "wait", "w");
    }
    eventually("both are at work", || server.handler.running.load(Ordering::SeqCst) == 2);
    let mut fourth = server.peer();
    assert_eq!(fourth.rest(), b"");
    server.handler.gate.add_permits(2);
    assert_eq!((first.text(), third.text()), ((3, "w".to_owned()), (4, "w".to_owned())));
    drop((first, third));
    eventually("a slot is free again", || {
        let mut peer = server.peer();
        let mut bytes = BytesMut::from(&b"hrpc\x09\x00\x00"[..]);
        rpc::encode_context(&mut bytes, CLIENT, &ConnectionContext { user: "u".into(), ..Default::default() });
        bytes.extend_from_slice(&call_frame(5, PROTOCOL, "echo", "in"));
        peer.stream.write_all(&bytes).is_ok() && peer.stream.read_exact(&mut [0; 4]).is_ok()
    });
}

#[test]
fn calls_in_flight_are_bounded_and_all_are_answered() {
    let server = Server::start(ServerLimits { calls_per_connection: 2, ..ServerLimits::default() });
    let mut peer = server.session();
    for call_id in 0..5 {
        peer.send_call(call_id, PROTOCOL, "wait", "w");
    }
    eventually("two are in work", || server.handler.running.load(Ordering::SeqCst) == 2);
    server.handler.gate.add_permits(5);
    let mut answered: Vec<i32> = (0..5).map(|_| peer.text().0).collect();
    answered.sort_unstable();
    assert_eq!(answered, [0, 1, 2, 3, 4]);
    assert_eq!(server.handler.running_max.load(Ordering::SeqCst), 2);
}

#[test]
fn long_requests_share_a_budget() {
    let limits = ServerLimits {
        frame_bytes: 200 * 1024,
        request_bytes: 200 * 1024,
        stall: Duration::from_secs(20),
        ..ServerLimits::default()
    };
    let server = Server::start(limits);
    let long = "x".repeat(150 * 1024);
    let mut first = server.session();
    first.send_call(1, PROTOCOL, "wait", &long);
    eventually("the first waits", || server.handler.running.load(Ordering::SeqCst) == 1);
    let mut second = server.session();
    let frame = call_frame(2, PROTOCOL, "wait", &long);
    let sender = std::thread::spawn(move || {
        second.send(&frame);
        second.text().1.len()
    });
    // Short calls do not wait for the budget, and the long one has not begun when they are done.
    let mut third = server.session();
    for call_id in 0..20 {
        third.send_call(call_id, PROTOCOL, "echo", "short");
        third.text();
    }
    assert_eq!(server.handler.running.load(Ordering::SeqCst), 1);
    server.handler.gate.add_permits(2);
    assert_eq!(first.text().1.len(), long.len());
    assert_eq!(sender.join().unwrap(), long.len());
}

#[test]
fn a_client_that_does_not_read_is_not_served_without_end() {
    let limits = ServerLimits { calls_per_connection: 4, stall: Duration::from_millis(300), ..ServerLimits::default() };
    let server = Server::start(limits);
    let mut slow = server.session();
    let mut good = server.session();
    let frame = call_frame(1, PROTOCOL, "big", "1000000");
    let mut asked = 0;
    // It asks for a megabyte at a time and reads nothing; at some point the server reads no more from it, then closes.
    slow.stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    while slow.stream.write_all(&frame).is_ok() {
        asked += 1;
        assert!(asked < 1_000_000, "the server goes on reading");
    }
    let started = server.handler.started.load(Ordering::SeqCst);
    assert!(started < 100, "{started} calls for a client that does not read");
    good.send_call(2, PROTOCOL, "echo", "served meanwhile");
    assert_eq!(good.text(), (2, "served meanwhile".to_owned()));
}
