//! Registration, heartbeats and reports, while namenodes come, go, forget and lie.

use super::fake::{Datanode, FakeNamenode, config, eventually};
use crate::daemon::{Components, start};
use crate::store::testing::{block, finished, identity};
use mammoth_platform::{Clock, SystemClock};
use mammoth_protocol::internal::{ClusterIdentity, DnCommand, HighWater, ReplicaEvent, ReplicaState};
use mammoth_protocol::{Block, BlockId, Seq, Term};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_datanode_waits_for_its_namenode_and_tells_it_everything() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = holder.local_addr().unwrap();
    drop(holder);
    let datanode = Datanode::start(addr);
    assert!(!datanode.handle().registered());
    let namenode = FakeNamenode::at(addr);
    datanode.registered();
    namenode.eventually("an empty list", |memory| memory.fulls.iter().any(|slice| slice.last));
    let store = datanode.store();
    let storage = store.usage()[0].storage;
    {
        let memory = namenode.memory();
        let request = &memory.registers[0];
        let addrs = datanode.handle().addrs();
        assert_eq!(request.datanode, store.datanode);
        assert_eq!((request.addr.transfer_port, request.addr.ipc_port), (addrs.transfer.port(), addrs.ipc.port()));
        assert_eq!((request.addr.ip, request.addr.hostname.as_str()), (addrs.transfer.ip(), "localhost"));
        assert_eq!((request.storages[0].storage, request.seen), (storage, HighWater::default()));
        assert!(request.storages[0].capacity > 0 && request.storages[0].remaining > 0);
        let slice = &memory.fulls[0];
        assert_eq!((slice.slice, slice.cut_seq, slice.replicas.len()), (0, 0, 0));
    }
    let done = finished(&store, block(1, 1001), 700);
    let receiving = ReplicaEvent::Receiving(Block { len: 0, ..done });
    eventually("the news", || namenode.events(storage) == [receiving, ReplicaEvent::Received(done)]);
    namenode.eventually("heartbeats", |memory| memory.heartbeats.len() > 3);
    namenode.eventually("used space", |memory| memory.heartbeats.last().is_some_and(|h| h.storages[0].used > 700));
}

#[test]
fn a_report_without_an_answer_is_sent_again_unchanged() {
    let namenode = FakeNamenode::start();
    let datanode = Datanode::start(namenode.addr);
    datanode.registered();
    namenode.eventually("a list", |memory| !memory.fulls.is_empty());
    namenode.memory().lost_answers = 3;
    let store = datanode.store();
    let storage = store.usage()[0].storage;
    for id in 1..=5 {
        finished(&store, block(id, 1001), 10);
    }
    eventually("all news", || namenode.events(storage).len() == 10);
    namenode.eventually("an answer", |memory| memory.incrementals.len() >= 4);
    let memory = namenode.memory();
    assert!(memory.incrementals[..4].windows(2).all(|pair| pair[0] == pair[1]), "three times in vain, then taken");
    let mut seqs: Vec<u64> = memory.incrementals.iter().map(|report| report.storages[0].seq).collect();
    seqs.dedup();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
}

#[test]
fn a_namenode_that_forgot_or_wants_lists_gets_them() {
    let namenode = FakeNamenode::start();
    let datanode = Datanode::start(namenode.addr);
    datanode.registered();
    namenode.eventually("a list", |memory| memory.fulls.len() == 1);
    let store = datanode.store();
    let storage = store.usage()[0].storage;
    let done = finished(&store, block(1, 1001), 10);
    eventually("the news", || namenode.events(storage).len() == 2);
    namenode.order(0, DnCommand::FullReport { storages: vec![storage] });
    namenode.eventually("a list by order", |memory| memory.fulls.len() == 2);
    {
        let memory = namenode.memory();
        let slice = &memory.fulls[1];
        assert!(slice.cut_seq >= 1 && slice.cut_seq <= 2);
        assert_eq!(
            slice.replicas.iter().map(|r| (r.block, r.state)).collect::<Vec<_>>(),
            [(done, ReplicaState::Finalized)]
        );
    }
    namenode.memory().resync = vec![storage];
    finished(&store, block(2, 1001), 10);
    namenode.eventually("a list after a gap", |memory| memory.fulls.len() == 3);
    namenode.order(0, DnCommand::Register);
    namenode.eventually("a new registration", |memory| memory.registers.len() == 2 && memory.fulls.len() == 4);
    {
        let memory = namenode.memory();
        let slice = &memory.fulls[3];
        assert_eq!((slice.epoch, slice.cut_seq, slice.replicas.len()), (memory.epoch, 0, 2));
        assert_eq!(memory.registers[1].seen, HighWater { term: Term(5), seq: Seq(100), block: BlockId(2) });
    }
    store.set_aside(storage, done, "for the test");
    eventually("a bad replica", || namenode.events(storage) == [ReplicaEvent::Bad(done)]);
    namenode.order(0, DnCommand::Register);
    namenode.eventually("a third registration", |memory| memory.registers.len() == 3);
    eventually("the bad one is told again", || namenode.events(storage) == [ReplicaEvent::Bad(done)]);
}

#[test]
fn a_namenode_that_goes_and_returns_finds_the_datanode_soon_and_what_was_seen_outlives_it() {
    let namenode = FakeNamenode::start();
    let addr = namenode.addr;
    let datanode = Datanode::start(addr);
    datanode.registered();
    finished(&datanode.store(), block(7, 1001), 10);
    namenode.eventually("heartbeats", |memory| memory.heartbeats.len() > 2);
    drop(namenode);
    let namenode = FakeNamenode::at(addr);
    namenode.eventually("registered with the new one", |memory| memory.registers.len() == 1 && memory.fulls.len() == 1);
    let dir = datanode.stop();
    let again = Datanode::start_in(dir, addr);
    namenode.eventually("registered after its restart", |memory| memory.registers.len() == 2);
    let seen = namenode.memory().registers[1].seen;
    assert_eq!(seen, HighWater { term: Term(5), seq: Seq(100), block: BlockId(7) });
    drop(again);
}

#[test]
fn an_older_reign_is_not_obeyed() {
    let namenode = FakeNamenode::start();
    let datanode = Datanode::start(namenode.addr);
    datanode.registered();
    let store = datanode.store();
    let done = finished(&store, block(1, 1001), 10);
    namenode.eventually("heartbeats", |memory| memory.heartbeats.len() > 2);
    let beats = {
        let mut memory = namenode.memory();
        memory.term = Term(4);
        let storage = store.usage()[0].storage;
        memory.orders.entry(0).or_default().push(DnCommand::Delete { storage, blocks: vec![done] });
        memory.heartbeats.len()
    };
    namenode.eventually("the order was carried home", |memory| {
        memory.orders.is_empty() && memory.heartbeats.len() > beats + 2
    });
    assert!(store.open_reader(done, 0).is_ok());
    let storage = store.usage()[0].storage;
    {
        let mut memory = namenode.memory();
        memory.term = Term(6);
        memory.orders.entry(0).or_default().push(DnCommand::Delete { storage, blocks: vec![done] });
    }
    eventually("deleted by a newer one", || store.open_reader(done, 0).is_err());
}

#[test]
fn volumes_of_another_file_system_end_the_datanode_with_the_reason() {
    let namenode = FakeNamenode::start();
    let datanode = Datanode::start(namenode.addr);
    datanode.registered();
    let dir = datanode.stop();
    namenode.memory().identity = ClusterIdentity { cluster_id: "CID-2".to_owned(), ..identity() };
    let mut datanode = Datanode::start_in(Arc::clone(&dir), namenode.addr);
    eventually("gives up", || datanode.handle().fatal().is_some());
    let reason = datanode.end().unwrap_err();
    assert!(
        reason.contains("CID-1") && reason.contains("CID-2") && reason.contains(&*dir.path().to_string_lossy()),
        "{reason}"
    );
}

#[test]
fn a_stuck_namenode_wedges_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let datanode = Datanode::start(listener.local_addr().unwrap());
    // Connections are accepted by the kernel and never answered.
    let (stream, _) = listener.accept().unwrap();
    let start = SystemClock.monotonic_ns();
    datanode.stop();
    let took = Duration::from_nanos(SystemClock.monotonic_ns() - start);
    assert!(took < Duration::from_secs(5), "{took:?}");
    drop(stream);
}

#[test]
fn ports_and_folders_in_use_are_refused_at_start() {
    let namenode = FakeNamenode::start();
    let datanode = Datanode::start(namenode.addr);
    let error = |config| start(config, Components::system()).err().expect("refused").to_string();
    let same_dir = config(datanode.dir.path(), namenode.addr);
    assert!(error(same_dir).contains("is in use by process"));
    let dir = tempfile::tempdir().unwrap();
    let mut same_port = config(dir.path(), namenode.addr);
    same_port.ipc.bind = datanode.handle().addrs().ipc;
    assert!(error(same_port).contains("cannot listen on 127.0.0.1:"));
    datanode.registered();
    assert!(start(config(dir.path(), namenode.addr), Components::system()).is_ok(), "the folder is free again");
}
