//! What a namenode orders is done, once and again.

use super::fake::{Datanode, FakeNamenode, eventually};
use crate::store::testing::{block, bytes, create, finished, send};
use mammoth_protocol::internal::{DatanodeAddr, DnCommand, ReplicaEvent, ReplicaPlace};
use mammoth_protocol::{Block, GenStamp, StorageId};
use std::fs;

fn storage(datanode: &Datanode) -> StorageId {
    datanode.store().usage()[0].storage
}

fn place(datanode: &Datanode) -> ReplicaPlace {
    let addrs = datanode.handle().addrs();
    let addr = DatanodeAddr {
        ip: addrs.transfer.ip(),
        hostname: "localhost".to_owned(),
        transfer_port: addrs.transfer.port(),
        info_port: addrs.http.port(),
        ipc_port: addrs.ipc.port(),
    };
    ReplicaPlace { datanode: datanode.store().datanode, storage: storage(datanode), addr }
}

/// Datanodes that register in this order.
fn three(namenode: &FakeNamenode) -> [Datanode; 3] {
    std::array::from_fn(|n| {
        let datanode = Datanode::start(namenode.addr);
        datanode.registered();
        let own = datanode.store().datanode;
        assert_eq!(namenode.memory().registers[n].datanode, own);
        // What happens before the list is in the list, not in the news.
        namenode.eventually("a list", |memory| memory.fulls.iter().any(|slice| slice.datanode == own));
        datanode
    })
}

#[test]
fn replicas_are_copied_deleted_and_bad_ones_dropped() {
    let namenode = FakeNamenode::start();
    let nodes = three(&namenode);
    let [a, b, c] = &nodes;
    let done = finished(&a.store(), block(1, 1001), 300_000);
    let copy = DnCommand::Copy { block: done, targets: vec![place(b), place(c)] };
    namenode.order(0, copy.clone());
    for node in [b, c] {
        eventually("copied", || node.store().open_reader(done, 0).is_ok());
        namenode.eventually("told", |memory| {
            let parts = memory.incrementals.iter().flat_map(|report| &report.storages);
            parts.filter(|p| p.storage == storage(node)).any(|p| p.events.contains(&ReplicaEvent::Received(done)))
        });
    }
    namenode.order(0, copy);
    namenode.eventually("no copy is under way", |memory| {
        let own = a.store().datanode;
        memory.orders.is_empty()
            && memory.heartbeats.iter().rev().find(|h| h.datanode == own).is_some_and(|h| h.copies == 0)
    });
    namenode.order(1, DnCommand::Delete { storage: storage(b), blocks: vec![done] });
    eventually("deleted", || b.store().open_reader(done, 0).is_err());
    namenode.eventually("told", |memory| {
        let parts = memory.incrementals.iter().flat_map(|report| &report.storages);
        parts.filter(|p| p.storage == storage(b)).any(|p| p.events.contains(&ReplicaEvent::Deleted(done)))
    });
    c.store().set_aside(storage(c), done, "for the test");
    assert_eq!(c.store().bad_count(), 1);
    namenode.order(2, DnCommand::DropBad { storage: storage(c), blocks: vec![done] });
    eventually("dropped", || c.store().bad_count() == 0);
}

#[test]
fn an_order_to_delete_ends_with_the_registration_that_it_was_given_to() {
    let namenode = FakeNamenode::start();
    let datanode = Datanode::start(namenode.addr);
    datanode.registered();
    let store = datanode.store();
    let place = storage(&datanode);
    let (kept, aside, gone) = (
        finished(&store, block(1, 1001), 10),
        finished(&store, block(2, 1001), 10),
        finished(&store, block(3, 1001), 10),
    );
    store.set_aside(place, aside, "for the test");
    let delete = |of: Block| DnCommand::Delete { storage: place, blocks: vec![of] };
    {
        // Together, so that the orders come when the registration is void.
        let mut memory = namenode.memory();
        let drop_bad = DnCommand::DropBad { storage: place, blocks: vec![aside] };
        memory.orders.insert(0, vec![DnCommand::Register, delete(kept), drop_bad]);
    }
    namenode.eventually("a new registration", |memory| memory.registers.len() == 2);
    namenode.order(0, delete(gone));
    eventually("what came after it is done", || store.open_reader(gone, 0).is_err());
    assert!(store.open_reader(kept, 0).is_ok());
    assert_eq!(store.bad_count(), 1);
    namenode.order(0, delete(kept));
    eventually("ordered anew", || store.open_reader(kept, 0).is_err());
}

#[test]
fn a_bad_source_is_told_instead_of_copied() {
    let namenode = FakeNamenode::start();
    let nodes = three(&namenode);
    let [a, b, _] = &nodes;
    let done = finished(&a.store(), block(1, 1001), 300_000);
    let pool = a.dir.path().join("current").join(&a.store().identity.pool_id);
    let path = pool.join("current/finalized/subdir0/subdir0/blk_1");
    let mut data = fs::read(&path).unwrap();
    data[0] ^= 1;
    fs::write(&path, data).unwrap();
    namenode.order(0, DnCommand::Copy { block: done, targets: vec![place(b)] });
    namenode.eventually("told", |memory| {
        memory.incrementals.iter().flat_map(|r| &r.storages).any(|p| p.events.contains(&ReplicaEvent::Bad(done)))
    });
    assert!(b.store().open_reader(done, 0).is_err());
}

#[test]
fn a_recovery_brings_all_replicas_to_one_length_and_stamp_and_is_committed() {
    let namenode = FakeNamenode::start();
    let nodes = three(&namenode);
    let blk = block(1, 1001);
    let mut writers = Vec::new();
    for (node, len) in nodes.iter().zip([1300_u64, 900, 1100]) {
        let mut writer = create(&node.store(), blk, false).unwrap();
        send(&mut writer, 0, &bytes(0, usize::try_from(len).unwrap()), 512).unwrap();
        writer.ticket().set_acked(900);
        writers.push(writer);
    }
    drop(writers);
    let order = |stamp| DnCommand::Recover {
        block: blk,
        new_stamp: GenStamp(stamp),
        cut: None,
        replicas: nodes.iter().map(place).collect(),
    };
    namenode.order(1, order(1002));
    namenode.eventually("committed", |memory| memory.commits.len() == 1);
    {
        let memory = namenode.memory();
        let commit = &memory.commits[0];
        assert_eq!((commit.block, commit.new_stamp, commit.new_len, commit.delete), (blk, GenStamp(1002), 900, false));
        let mut told = commit.storages.clone();
        let mut all: Vec<_> = nodes.iter().map(storage).collect();
        told.sort_unstable();
        all.sort_unstable();
        assert_eq!(told, all);
    }
    for node in &nodes {
        let reader = node.store().open_reader(block(1, 1002), 900).unwrap();
        assert_eq!(reader.block, Block { len: 900, ..block(1, 1002) });
        assert_eq!(reader.whole().unwrap(), bytes(0, 900));
    }
    // The namenode did not hear of it and orders it again, of another leader.
    namenode.order(2, order(1002));
    namenode.eventually("committed again", |memory| memory.commits.len() == 2);
    assert_eq!(namenode.memory().commits[1].new_len, 900);
}

#[test]
fn a_recovery_decides_about_nothing_only_if_all_answer() {
    let namenode = FakeNamenode::start();
    let [a, b, c] = three(&namenode);
    drop(create(&a.store(), block(1, 1001), false).unwrap());
    let replicas = vec![place(&a), place(&b), place(&c)];
    let (of, new_stamp) = (block(1, 1001), GenStamp(1002));
    let order = |replicas| DnCommand::Recover { block: of, new_stamp, cut: None, replicas };
    drop(c);
    namenode.order(0, order(replicas.clone()));
    namenode.eventually("ordered", |memory| memory.orders.is_empty());
    eventually("tried", || a.store().init_recovery(block(1, 1001), GenStamp(1001)).is_err());
    assert!(namenode.memory().commits.is_empty(), "the third may have all of it");
    namenode.order(1, order(replicas[..2].to_vec()));
    namenode.eventually("committed", |memory| memory.commits.len() == 1);
    let memory = namenode.memory();
    assert!(memory.commits[0].delete && memory.commits[0].storages.is_empty());
}

#[test]
fn a_truncation_cuts_complete_replicas_to_the_given_length() {
    let namenode = FakeNamenode::start();
    let nodes = three(&namenode);
    let blk = block(1, 1001);
    for node in &nodes {
        finished(&node.store(), blk, 1300);
    }
    let replicas: Vec<_> = nodes.iter().map(place).collect();
    // Another leader goes on where the first one's commit was lost, and finds some cut already.
    for (leader, stamp, cut) in [(1, 1002, 700_u64), (2, 1003, 700), (0, 1004, 512)] {
        let new_stamp = GenStamp(stamp);
        namenode
            .order(leader, DnCommand::Recover { block: blk, new_stamp, cut: Some(cut), replicas: replicas.clone() });
        namenode.eventually("committed", |memory| memory.commits.last().is_some_and(|c| c.new_stamp == new_stamp));
        let memory = namenode.memory();
        let commit = memory.commits.last().unwrap();
        assert_eq!((commit.new_len, commit.delete, commit.storages.len()), (cut, false, 3));
        for node in &nodes {
            let reader = node.store().open_reader(block(1, stamp), cut).unwrap();
            assert_eq!(reader.whole().unwrap(), bytes(0, usize::try_from(cut).unwrap()));
        }
    }
    // Nobody has so many bytes any more: nothing is decided.
    namenode.order(0, DnCommand::Recover { block: blk, new_stamp: GenStamp(1005), cut: Some(600), replicas });
    eventually("tried", || nodes[0].store().init_recovery(block(1, 1004), GenStamp(1004)).is_err());
    assert_eq!(namenode.memory().commits.len(), 3);
}
