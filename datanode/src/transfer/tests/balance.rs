//! Moves between datanodes, for the balancer.

use super::harness::{Client, Node, eventually, header, transfer_rules};
use crate::store::SpaceRules;
use crate::store::testing::{block, bytes, finished};
use crate::transfer::Balance;
use mammoth_platform::{ManualClock, Shutdown};
use mammoth_protocol::datatransfer::OpRequest;
use mammoth_protocol::hadoop::hdfs::{
    BaseHeaderProto, BlockOpResponseProto, DatanodeInfoProto, OpCopyBlockProto, OpReplaceBlockProto, Status,
};
use mammoth_protocol::internal::ReplicaEvent;
use mammoth_protocol::{Block, DatanodeId, GenStamp, Uuid};
use std::fs;
use std::sync::Arc;
use std::time::Duration;

/// The datanode to relieve: not always the one that sends.
const RELIEVED: DatanodeId = DatanodeId(Uuid(0xabc));

fn base(block: Block) -> BaseHeaderProto {
    header(block, "").base_header
}

fn source(node: &Node) -> DatanodeInfoProto {
    let mut info = node.info();
    info.id.datanode_uuid = node.store.datanode.to_string();
    info
}

fn request(block: Block, source: DatanodeInfoProto) -> OpReplaceBlockProto {
    OpReplaceBlockProto {
        header: base(block),
        del_hint: RELIEVED.to_string(),
        source,
        ..OpReplaceBlockProto::default()
    }
}

/// Asks for a move; gives its answer, and how often it was said before that it goes on.
fn replace(client: &mut Client, request: &OpReplaceBlockProto) -> (BlockOpResponseProto, usize) {
    client.stream.writer.send_op(&OpRequest::ReplaceBlock(Box::new(request.clone()))).expect("sent");
    for words in 0.. {
        let answer: BlockOpResponseProto = client.stream.reader.read_message("answer").expect("answered");
        if answer.status != Status::InProgress as i32 {
            return (answer, words);
        }
    }
    unreachable!("it ends")
}

#[test]
fn a_replica_is_fetched_and_reported_with_whom_it_relieves() {
    let nodes = [Node::start(), Node::start()];
    let [a, b] = &nodes;
    let news = b.store.subscribe();
    let mut client = Client::connect(b.addr);
    for (id, len) in [(1, 1_000_000), (2, 0), (3, 511)] {
        let done = finished(&a.store, block(id, 1001), len);
        let (answer, _) = replace(&mut client, &request(done, source(a)));
        assert_eq!(answer.status, Status::Success as i32, "{answer:?}");
        assert_eq!(b.read(done).unwrap(), bytes(0, len));
        assert_eq!(a.read(done).unwrap(), bytes(0, len), "nothing is deleted here");
        let told: Vec<ReplicaEvent> = news.take(10).into_iter().flat_map(|(_, events)| events).collect();
        assert_eq!(told, [ReplicaEvent::Moved { block: done, from: RELIEVED }]);
        // Once more: it is here already.
        let (answer, _) = replace(&mut client, &request(done, source(a)));
        assert_eq!(answer.status, Status::Error as i32);
        assert!(answer.message().contains("exists here"), "{answer:?}");
    }
}

#[test]
fn what_cannot_be_moved_leaves_nothing_behind() {
    let nodes = [Node::start(), Node::start()];
    let [a, b] = &nodes;
    let done = finished(&a.store, block(1, 1001), 600_000);
    let older = Block { stamp: GenStamp(1000), ..done };
    let longer = Block { len: 600_001, ..done };
    let missing = block(9, 1001);
    let stranger = DatanodeInfoProto::default();
    let nobody = OpReplaceBlockProto { del_hint: "somebody".to_owned(), ..request(done, source(a)) };
    let mut client = Client::connect(b.addr);
    for (asked, words) in [
        (request(older, source(a)), "stamp"),
        (request(longer, source(a)), "600000 bytes"),
        (request(missing, source(a)), "not found"),
        (request(done, source(b)), "volumes of one datanode"),
        (request(done, stranger), "cannot resolve"),
        (nobody, "no id of a datanode"),
    ] {
        let (answer, _) = replace(&mut client, &asked);
        assert_ne!(answer.status, Status::Success as i32, "{words}");
        assert!(answer.message().contains(words), "{words}: {answer:?}");
    }
    let path = a.finalized("blk_1");
    let mut data = fs::read(&path).unwrap();
    data[500_000] ^= 1;
    fs::write(&path, data).unwrap();
    let (answer, _) = replace(&mut client, &request(done, source(a)));
    assert_eq!(answer.status, Status::Error as i32, "{answer:?}");
    eventually("the source has set it aside", || (a.store.replica_count(), a.store.bad_count()) == (0, 1));
    eventually("the target has nothing", || b.store.replica_count() == 0 && b.store.usage()[0].used == 0);
    eventually("no move is left", || [a, b].iter().all(|node| node.context.balance.under_way() == 0));
}

#[test]
fn a_whole_replica_is_sent_with_hdfs_word_at_its_end() {
    let node = Node::start();
    let done = finished(&node.store, block(1, 1001), 300_000);
    let mut client = Client::connect(node.addr);
    client.stream.writer.send_op(&OpRequest::CopyBlock(Box::new(OpCopyBlockProto { header: base(done) }))).unwrap();
    let answer: BlockOpResponseProto = client.stream.reader.read_message("answer").unwrap();
    assert_eq!((answer.status, answer.read_op_checksum_info.unwrap().chunk_offset), (Status::Success as i32, 0));
    assert_eq!(client.packets(0).unwrap(), bytes(0, 300_000));
    assert_eq!([client.stream.reader.read_byte().unwrap(), client.stream.reader.read_byte().unwrap()], [0, b'd']);
    let (_, data) = client.read(done, 0, 10).expect("the connection goes on");
    assert_eq!(data, bytes(0, 10));
}

#[test]
fn too_many_moves_are_refused_and_slow_ones_give_their_word() {
    // A second for the replica, with timeouts of which a half is shorter.
    let mut rules = transfer_rules();
    rules.socket_timeout = Duration::from_millis(800);
    let source_node = Node::start();
    let target = Node::moving(rules, SpaceRules::default(), (1, 700_000));
    let (first, second) =
        (finished(&source_node.store, block(1, 1001), 1_000_000), finished(&source_node.store, block(2, 1001), 10));
    let from = source(&source_node);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| replace(&mut Client::connect(target.addr), &request(first, from.clone())));
        eventually("the first has begun", || target.context.balance.under_way() == 1);
        let (answer, _) = replace(&mut Client::connect(target.addr), &request(second, from.clone()));
        assert_eq!(answer.status, Status::Error as i32);
        assert!(answer.message().contains("quota of 1 at a time is exceeded"), "{answer:?}");
        let (answer, words) = slow.join().expect("no panic");
        assert_eq!(answer.status, Status::Success as i32, "{answer:?}");
        assert!(words >= 1, "it never said that it goes on");
    });
    assert_eq!(target.read(first).unwrap(), bytes(0, 1_000_000));
}

#[test]
fn a_source_that_dies_in_the_middle_leaves_nothing_behind() {
    let source_node = Node::moving(transfer_rules(), SpaceRules::default(), (1, 300_000));
    let target = Node::start();
    let done = finished(&source_node.store, block(1, 1001), 2_000_000);
    let from = source(&source_node);
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| replace(&mut Client::connect(target.addr), &request(done, from)));
        eventually("bytes arrive", || {
            target.context.counters.bytes_written.load(std::sync::atomic::Ordering::Relaxed) > 0
        });
        source_node.kill();
        let (answer, _) = asked.join().expect("no panic");
        assert_eq!(answer.status, Status::Error as i32, "{answer:?}");
    });
    eventually("nothing is left", || target.store.replica_count() == 0 && target.store.usage()[0].used == 0);
}

#[test]
fn bytes_are_paid_for_by_all_moves_together() {
    let clock = ManualClock::default();
    let balance = Balance::new(Arc::new(clock.clone()), Shutdown::new(), 2, 10_000);
    assert_eq!(balance.rate(), 10_000);
    balance.set_rate(0);
    assert_eq!(balance.rate(), 10_000, "as in HDFS");
    balance.set_rate(20_000);
    let word = |times: &mut u32| -> crate::error::Result<()> {
        *times += 1;
        clock.advance(Duration::from_millis(10));
        Ok(())
    };
    let mut times = 0;
    balance.wait(1000, &mut || word(&mut times)).unwrap();
    assert_eq!(times, 5, "50 ms");
    balance.wait(500, &mut || word(&mut times)).unwrap();
    balance.wait(500, &mut || word(&mut times)).unwrap();
    assert_eq!(times, 5 + 3 + 3, "25 ms each, to the next look");
    // A day's worth at the old speed.
    let mut changed = 0;
    let change = &mut || {
        changed += 1;
        balance.set_rate(1 << 30);
        Ok(())
    };
    balance.wait(2_000_000_000, change).unwrap();
    assert_eq!((changed, balance.rate()), (1, 1 << 30), "nobody waits for a speed that is none any more");
}
