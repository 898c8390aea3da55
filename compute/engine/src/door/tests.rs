//! The door: who is let in, and that messages arrive once.

use super::*;
use crate::executor::http::HttpLink;
use crate::executor::link::{BlobError, Gone, Link};
use crate::wire::{Order, PlaceAddress, Report, TaskReport, WireEnd};
use mammoth_engine_core::api::{DatasetId, TaskKey};
use mammoth_platform::{Deadline, SystemClock};
use mammoth_protocol::jobs::Resources;
use std::net::Ipv4Addr;
use std::sync::mpsc::{Receiver, sync_channel};

const ONE: ExecutorId = ExecutorId(1);

fn open() -> (Door, Arc<Hub>, Receiver<Input>) {
    let (sender, inbox) = sync_channel(100);
    let hub = Hub::new(sender);
    hub.expect(ONE);
    let door =
        Door::open(Arc::clone(&hub), Ipv4Addr::LOCALHOST.into(), "secret".to_owned(), "image".to_owned()).unwrap();
    (door, hub, inbox)
}

fn link(door: &Door, secret: &str, executor: ExecutorId) -> HttpLink {
    HttpLink::new(door.address.to_string(), secret.to_owned(), executor).unwrap()
}

fn hello(image: &str) -> Hello {
    Hello {
        executor: ONE,
        image: image.to_owned(),
        host: "here".to_owned(),
        pid: 1,
        resources: Resources { cores: 1, memory_mib: 64 },
        place: PlaceAddress::Dir("/nowhere".to_owned()),
        nonce: [3; 16],
    }
}

#[test]
fn an_executor_of_the_same_build_is_let_in() {
    let (door, _hub, inbox) = open();
    link(&door, "secret", ONE).hello(&hello("image")).unwrap();
    assert!(matches!(inbox.try_recv(), Ok(Input::Added(hello)) if hello.pid == 1));
}

#[test]
fn everybody_else_is_not() {
    let (door, _hub, inbox) = open();
    let refused = |secret: &str, executor, image: &str| {
        let Gone(reason) = link(&door, secret, executor).hello(&hello(image)).unwrap_err();
        reason
    };
    assert!(refused("secret", ONE, "another image").contains("runs another build than the driver"));
    assert!(matches!(inbox.try_recv(), Ok(Input::Stranger { executor: ONE, .. })), "its application cannot begin");
    assert!(refused("wrong", ONE, "image").contains("the secret is not the application's"));
    assert!(refused("secret", ExecutorId(2), "image").contains("another executor"));
    let stranger = link(&door, "secret", ExecutorId(2));
    assert!(stranger.heard().unwrap_err().0.contains("not one of this application's"));
    assert!(
        matches!(link(&door, "", ONE).blob(BlobId([0; 32])), Err(BlobError::Gone(_))),
        "nothing is shown without it"
    );
    assert!(inbox.try_recv().is_err(), "the driver heard of none of it");
}

#[test]
fn an_executor_that_ends_with_its_tracker_is_lost_with_it() {
    let (door, hub, inbox) = open();
    link(&door, "wrong", ONE).bye("the tracker is gone");
    assert!(inbox.try_recv().is_err(), "somebody else's");
    link(&door, "secret", ONE).bye("the tracker is gone");
    let told = inbox.try_recv();
    assert!(matches!(told, Ok(Input::Lost { executor: ONE, fault: Fault::Tracker, .. })), "{told:?}");
    hub.forget(ONE, "it is gone");
    link(&door, "secret", ONE).bye("the tracker is gone");
    assert!(inbox.try_recv().is_err(), "it is gone already");
}

#[test]
fn an_executor_that_was_lost_before_it_said_hello_is_not_let_in() {
    let (door, hub, inbox) = open();
    hub.admit_all();
    let late = ExecutorId(7);
    hub.forget(late, "its tracker was silent");
    let Gone(reason) = link(&door, "secret", late).hello(&Hello { executor: late, ..hello("image") }).unwrap_err();
    assert_eq!(reason, "its tracker was silent");
    assert!(inbox.try_recv().is_err());
}

#[test]
fn a_driver_that_does_not_know_the_secret_is_not_believed() {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let read = stream.read(&mut [0; 8192]).unwrap();
        assert!(read > 0);
        let welcome = Welcome { proof: proof("guessed", &[3; 16]), refused: None };
        let body = postcard::to_allocvec(&welcome).unwrap();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
    });
    let link = HttpLink::new(address, "secret".to_owned(), ONE).unwrap();
    let Gone(reason) = link.hello(&hello("image")).unwrap_err();
    assert!(reason.contains("does not know the application's secret"), "{reason}");
    answering.join().unwrap();
}

#[test]
fn orders_come_in_order_until_they_are_taken() {
    let (door, hub, _inbox) = open();
    let link = link(&door, "secret", ONE);
    assert_eq!(link.orders(0, 0).unwrap(), []);
    let (first, second) = (Order::DropDataset(DatasetId(1)), Order::DropDataset(DatasetId(2)));
    hub.push(ONE, first.clone());
    assert_eq!(link.orders(0, 0).unwrap(), [(1, first.clone())]);
    hub.push(ONE, second.clone());
    assert_eq!(link.orders(0, 0).unwrap(), [(1, first), (2, second.clone())], "the first answer may have been lost");
    assert_eq!(link.orders(1, 0).unwrap(), [(2, second)]);
    assert_eq!(link.orders(2, 0).unwrap(), []);
    let waiting = std::thread::spawn(move || link.orders(2, 30_000).unwrap());
    hub.push(ONE, Order::Cancel(TaskKey::default()));
    assert_eq!(waiting.join().unwrap(), [(3, Order::Cancel(TaskKey::default()))]);
}

#[test]
fn a_report_counts_once_however_often_it_comes() {
    let (door, _hub, inbox) = open();
    let link = link(&door, "secret", ONE);
    for number in [1, 1, 2, 1, 2] {
        link.report(number, Report::CommitAsked(TaskKey::default())).unwrap();
    }
    assert_eq!(inbox.try_iter().count(), 2);
}

#[test]
fn a_report_that_is_too_long_fails_its_task_and_spares_the_executor() {
    let (door, _hub, inbox) = open();
    let mut link = link(&door, "secret", ONE);
    link.report_max = 1000;
    let task = TaskKey::default();
    let ended = |length| {
        let (end, metrics, accumulators) = (WireEnd::Success, Default::default(), Vec::new());
        Report::TaskEnded(Box::new(TaskReport { task, end, metrics, accumulators, result: vec![7; length] }))
    };
    link.report(1, ended(100)).unwrap();
    link.report(2, ended(5000)).unwrap();
    link.report(3, Report::CommitAsked(task)).unwrap();
    let reports: Vec<Report> = inbox
        .try_iter()
        .filter_map(|input| match input {
            Input::Report(_, report, _) => Some(report),
            _ => None,
        })
        .collect();
    let [Report::TaskEnded(short), Report::TaskEnded(long), Report::CommitAsked(_)] = &reports[..] else {
        panic!("{reports:?}")
    };
    assert_eq!((&short.end, short.result.len()), (&WireEnd::Success, 100));
    assert!(
        matches!(&long.end, WireEnd::Failed { fatal: true, reason } if reason.contains("more than 1000")),
        "{long:?}"
    );
    assert!(long.result.is_empty());
}

#[test]
fn large_reports_wait_until_the_driver_has_taken_those_before() {
    let (door, _hub, inbox) = open();
    let room = || door.shared.room.available_permits();
    let all = room();
    let link = link(&door, "secret", ONE);
    let blocks = |count| Report::Blocks(vec![(DatasetId(u32::MAX), u32::MAX, u64::MAX); count]);
    link.report(1, blocks(10)).unwrap();
    assert_eq!(room(), all, "a short one takes no room");
    link.report(2, blocks(20_000)).unwrap();
    assert!(room() < all - 100);
    drop(inbox.try_iter().collect::<Vec<_>>());
    assert_eq!(room(), all);
}

#[test]
fn a_report_that_nobody_could_read_is_refused_unread() {
    use std::io::{Read, Write};
    let (door, _hub, inbox) = open();
    let mut raw = std::net::TcpStream::connect(door.address).unwrap();
    let (secret, executor, length) = (SECRET_HEADER, EXECUTOR_HEADER, REPORT_MAX + 1);
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\n{secret}: secret\r\n{executor}: 1\r\ncontent-length: {length}\r\n\r\n",
        routes::REPORT
    );
    raw.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 12];
    raw.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    assert!(inbox.try_recv().is_err());
}

#[test]
fn blobs_are_given_as_long_as_they_are_held() {
    let (door, hub, _inbox) = open();
    let link = link(&door, "secret", ONE);
    let bytes = vec![7; 3 << 20];
    let handle = hub.add_blob(bytes.clone());
    assert_eq!(*link.blob(handle.id()).unwrap(), bytes);
    let id = handle.id();
    let copy = handle.clone();
    drop(handle);
    assert!(link.blob(id).is_ok());
    drop(copy);
    assert_eq!(link.blob(id), Err(BlobError::Unknown(id)));
    assert_eq!(link.orders(0, 0).unwrap(), [(1, Order::DropBlobs(vec![id]))]);
}

#[test]
fn a_driver_that_is_gone_is_noticed() {
    let (door, hub, _inbox) = open();
    let link = link(&door, "secret", ONE);
    hub.close("the context was stopped");
    assert_eq!(link.heard().unwrap_err().0, "the driver refuses: the context was stopped");
    let other = HttpLink::new(door.address.to_string(), "secret".to_owned(), ONE).unwrap();
    drop(door);
    let deadline = Deadline::after(&SystemClock, Duration::from_secs(30));
    let Gone(reason) = loop {
        match other.orders(0, 0) {
            Err(gone) => break gone,
            Ok(_) => assert!(!deadline.is_over(&SystemClock), "the door is open still"),
        }
    };
    assert!(reason.contains("gone") || reason.contains("refuses"), "{reason}");
}

#[test]
fn a_broken_connection_is_told_to_the_driver() {
    use std::io::{Read, Write};
    let (door, _hub, inbox) = open();
    let body = postcard::to_allocvec(&OrdersWanted { after: 0, wait_ms: 20_000 }).unwrap();
    let (secret, executor) = (SECRET_HEADER, EXECUTOR_HEADER);
    let length = body.len();
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\n{secret}: secret\r\n{executor}: 1\r\ncontent-length: {length}\r\n\r\n",
        routes::ORDERS
    );
    // Nobody sees when the request has begun to wait; a connection that breaks before is no loss. So each stays for longer.
    let mut told = (1..=10).map(|attempt| {
        let mut raw = std::net::TcpStream::connect(door.address).unwrap();
        raw.write_all(&[head.as_bytes(), &body].concat()).unwrap();
        raw.set_read_timeout(Some(Duration::from_millis(20 * attempt * attempt))).unwrap();
        assert!(raw.read(&mut [0; 16]).is_err(), "there is no answer yet");
        drop(raw);
        inbox.recv_timeout(Duration::from_millis(200 * attempt))
    });
    let told = told.find(Result::is_ok);
    assert!(matches!(told, Some(Ok(Input::Disconnected(ONE)))), "{told:?}");
}
