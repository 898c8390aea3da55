use crate::testing::datanode::Fault;
use crate::testing::{Cluster, path, pattern, until};
use crate::{ClientError, CreateOptions, FileWriter, ReplaceDatanode, ReplacePolicy};
use mammoth_platform::{Entropy, SeededEntropy};
use mammoth_protocol::ErrorCode;
use mammoth_protocol::hadoop::hdfs::{self, Status};
use std::io::Write;
use std::time::Duration;

/// Writes in pieces that fit neither chunks nor packets.
fn write_in_pieces(writer: &mut FileWriter, data: &[u8]) {
    for piece in data.chunks(1777) {
        writer.write_all(piece).unwrap();
    }
}

fn write_file(cluster: &Cluster, data: &[u8]) -> u64 {
    let mut writer = cluster.create();
    write_in_pieces(&mut writer, data);
    writer.close().unwrap()
}

#[test]
fn a_file_of_several_blocks_reaches_every_node() {
    let cluster = Cluster::start(3);
    let data = pattern(200_000);
    assert_eq!(write_file(&cluster, &data), 200_000);
    assert_eq!(cluster.holders(&data), [0, 1, 2]);
    let lens: Vec<_> = cluster.namenode.blocks().iter().map(hdfs::ExtendedBlockProto::num_bytes).collect();
    assert_eq!(lens, [65_536, 65_536, 65_536, 3_392]);
    assert!(!cluster.namenode.state().is_open);
}

#[test]
fn blocks_share_a_connection_for_as_long_as_it_lives() {
    let cluster = Cluster::start(3);
    let first = &cluster.datanodes[0];
    let write = || {
        let data = pattern(150_000);
        write_file(&cluster, &data);
        assert_eq!(cluster.holders(&data), [0, 1, 2]);
        first.accepted()
    };
    assert_eq!(write(), 3, "one each, of a node that closes them");
    first.keep_connections();
    assert_eq!(write(), 4, "one for three blocks");
    assert_eq!(write(), 4, "and for another file");
    first.drop_connections();
    assert_eq!(write(), 5, "closed while nobody used it");
    first.fault(Fault::HangUpWhenReused);
    assert_eq!(write(), 6, "closed as it was used");
    assert!(cluster.namenode.state().abandoned.is_empty(), "no block was given back for that");
}

#[test]
fn sizes_around_every_boundary() {
    for len in [0, 1, 511, 512, 513, 4095, 4096, 4097, 65_535, 65_536, 65_537, 131_072] {
        let cluster = Cluster::start(1);
        let data = pattern(len);
        write_file(&cluster, &data);
        assert_eq!(cluster.stored(0).as_deref(), Some(&data[..]), "{len} bytes");
        assert_eq!(cluster.namenode.blocks().len(), len.div_ceil(65_536), "{len} bytes");
    }
}

#[test]
fn any_node_may_die_at_any_packet() {
    // Packet 16 ends the first block of 16 packets; 20 is in the second block.
    for node in 0..3 {
        for (fault, name) in [
            (Fault::DieAt(0), "first"),
            (Fault::DieAt(7), "middle"),
            (Fault::DieAfter(7), "stored but not acknowledged"),
            (Fault::DieAt(16), "end of a block"),
            (Fault::DieAfter(16), "end of a block, stored"),
            (Fault::DieAt(20), "second block"),
        ] {
            let cluster = Cluster::start(3);
            cluster.datanodes[node].fault(fault);
            let data = pattern(100_000);
            assert_eq!(write_file(&cluster, &data), 100_000, "node {node}, {name}");
            let others: Vec<_> = (0..3).filter(|other| *other != node).collect();
            assert_eq!(cluster.holders(&data), others, "node {node}, {name}");
            let updates = cluster.namenode.state().pipeline_updates.clone();
            assert_eq!(updates.len(), 1, "node {node}, {name}: one recovery");
            assert_eq!(updates[0].new_nodes.len(), 2);
        }
    }
}

#[test]
fn a_recovery_names_what_is_acknowledged() {
    let cluster = Cluster::start_with(3, |config| config.replace_datanode.policy = ReplacePolicy::Never);
    let data = pattern(30_000);
    let mut writer = cluster.create();
    writer.write_all(&data[..10_000]).unwrap();
    writer.hflush().unwrap();
    cluster.datanodes[0].fault(Fault::DieAt(3));
    writer.write_all(&data[10_000..]).unwrap();
    writer.close().unwrap();
    assert_eq!(cluster.holders(&data), [1, 2]);
    let update = cluster.namenode.state().pipeline_updates[0].clone();
    assert_eq!((update.old_block.num_bytes(), update.new_block.num_bytes()), (10_000, 10_000));
    assert!(update.new_block.generation_stamp > update.old_block.generation_stamp);
}

#[test]
fn two_nodes_may_die_one_after_the_other() {
    let cluster = Cluster::start_with(3, |config| config.replace_datanode.policy = ReplacePolicy::Never);
    cluster.datanodes[0].fault(Fault::DieAt(3));
    cluster.datanodes[2].fault(Fault::DieAt(9));
    let data = pattern(60_000);
    write_file(&cluster, &data);
    assert_eq!(cluster.holders(&data), [1]);
    assert_eq!(cluster.namenode.state().pipeline_updates.len(), 2);
}

#[test]
fn a_node_that_answers_an_error_is_dropped() {
    for node in 0..3 {
        let cluster = Cluster::start(3);
        cluster.datanodes[node].fault(Fault::ErrorAt(5, Status::ErrorChecksum));
        let data = pattern(50_000);
        write_file(&cluster, &data);
        let others: Vec<_> = (0..3).filter(|other| *other != node).collect();
        assert_eq!(cluster.holders(&data), others);
    }
}

#[test]
fn a_node_that_is_silent_is_dropped() {
    let cluster = Cluster::start_with(3, |config| config.socket_timeout = Duration::from_millis(300));
    cluster.datanodes[0].fault(Fault::StallAt(4));
    let data = pattern(50_000);
    write_file(&cluster, &data);
    assert_eq!(cluster.holders(&data), [1, 2]);
}

#[test]
fn a_silent_node_does_not_hold_up_a_writer_that_waits() {
    let cluster = Cluster::start_with(3, |config| {
        config.socket_timeout = Duration::from_millis(300);
        config.replace_datanode.policy = ReplacePolicy::Never;
    });
    cluster.datanodes[0].fault(Fault::StallAt(0));
    let mut writer = cluster.create();
    writer.write_all(b"a little").unwrap();
    writer.hflush().unwrap();
    writer.close().unwrap();
    assert_eq!(cluster.holders(b"a little"), [1, 2]);
}

#[test]
fn an_idle_pipeline_is_kept_alive() {
    let cluster = Cluster::start_with(2, |config| config.socket_timeout = Duration::from_millis(200));
    let mut writer = cluster.create();
    writer.write_all(b"first").unwrap();
    writer.hflush().unwrap();
    until("heartbeats through the whole pipeline", || cluster.datanodes[1].heartbeats() >= 4);
    writer.write_all(b", second").unwrap();
    writer.close().unwrap();
    assert_eq!(cluster.holders(b"first, second"), [0, 1]);
    assert!(cluster.namenode.state().pipeline_updates.is_empty());
}

#[test]
fn a_node_that_dies_while_nothing_is_written_is_noticed() {
    let cluster = Cluster::start(3);
    let mut writer = cluster.create();
    writer.write_all(b"first").unwrap();
    writer.hflush().unwrap();
    cluster.datanodes[1].die();
    // Only this node's neighbour can tell, at the next packet.
    writer.write_all(b", second").unwrap();
    writer.hflush().unwrap_err();
    // The data was flushed, so a replacement is wanted, and there is none.
    let error = writer.close().unwrap_err().to_string();
    assert!(error.contains("no more good datanodes") && error.contains(&cluster.datanodes[1].addr()), "{error}");
}

#[test]
fn a_lost_node_is_replaced_when_the_policy_says_so() {
    for (policy, replaced) in
        [(ReplacePolicy::Never, false), (ReplacePolicy::Default, false), (ReplacePolicy::Always, true)]
    {
        let cluster = Cluster::start_with(4, |config| config.replace_datanode.policy = policy);
        cluster.datanodes[1].fault(Fault::DieAt(5));
        let data = pattern(50_000);
        write_file(&cluster, &data);
        let expected: &[usize] = if replaced { &[0, 2, 3] } else { &[0, 2] };
        assert_eq!(cluster.holders(&data), expected, "{policy:?}");
    }
    // Two of three lost, or readers may have seen the data: the default policy wants another.
    let cluster = Cluster::start(4);
    cluster.datanodes[0].fault(Fault::DieAt(5));
    let data = pattern(50_000);
    let mut writer = cluster.create();
    writer.write_all(&data[..100]).unwrap();
    writer.hflush().unwrap();
    writer.write_all(&data[100..]).unwrap();
    writer.close().unwrap();
    assert_eq!(cluster.holders(&data), [1, 2, 3]);
}

#[test]
fn a_missing_replacement_is_forgiven_if_configured() {
    let replace = ReplaceDatanode { policy: ReplacePolicy::Always, best_effort: true };
    let cluster = Cluster::start_with(3, |config| config.replace_datanode = replace);
    cluster.datanodes[1].fault(Fault::DieAt(5));
    let data = pattern(50_000);
    write_file(&cluster, &data);
    assert_eq!(cluster.holders(&data), [0, 2]);
}

#[test]
fn a_pipeline_that_cannot_be_set_up_is_tried_on_other_nodes() {
    let cluster = Cluster::start(5);
    cluster.datanodes[0].die();
    cluster.datanodes[2].die();
    let data = pattern(150_000);
    write_file(&cluster, &data);
    assert_eq!(cluster.holders(&data), [1, 3, 4]);
    let state = cluster.namenode.state();
    assert_eq!(state.abandoned.len(), 2, "each dead node is found out once: {:?}", state.abandoned);
}

#[test]
fn a_file_whose_nodes_are_all_dead_fails_with_their_names() {
    let cluster = Cluster::start_with(2, |config| config.replace_datanode.policy = ReplacePolicy::Never);
    cluster.datanodes[0].fault(Fault::DieAt(5));
    cluster.datanodes[1].fault(Fault::DieAt(5));
    let mut writer = cluster.create();
    let error = writer.write_all(&pattern(400_000)).unwrap_err();
    let error = error.get_ref().and_then(|e| e.downcast_ref::<ClientError>()).unwrap().clone();
    let text = error.to_string();
    assert!(text.starts_with("/dir/file: blk_"), "{text}");
    assert!(text.contains("All datanodes [") && text.contains("are bad. Aborting..."), "{text}");
    assert!(cluster.datanodes.iter().all(|node| text.contains(&node.addr())), "{text}");
    assert_eq!(writer.hflush(), Err(error.clone()), "the same error again");
    assert_eq!(writer.close(), Err(error));
    let cluster = Cluster::start(1);
    cluster.datanodes[0].die();
    let mut writer = cluster.create();
    writer.write_all(b"x").unwrap();
    let error = writer.close().unwrap_err();
    assert_eq!(error.code(), ErrorCode::Io);
    assert!(error.to_string().contains("could only be written to 0"), "{error}");
}

#[test]
fn flushes_inside_chunks_lose_and_repeat_nothing() {
    let cluster = Cluster::start(3);
    let data = pattern(70_000);
    let mut writer = cluster.create();
    let mut at = 0;
    for (step, len) in [1, 510, 1, 1, 512, 3000, 5000, 100, 57_000, 3875].into_iter().enumerate() {
        writer.write_all(&data[at..at + len]).unwrap();
        at += len;
        if step % 2 == 0 {
            writer.hflush().unwrap()
        } else {
            writer.hsync().unwrap()
        }
        let visible: usize = cluster
            .namenode
            .blocks()
            .iter()
            .map(|block| cluster.datanodes[2].replica(block.block_id).unwrap().data.len())
            .sum();
        assert_eq!(visible, at, "all of it is on the last node");
        assert_eq!(writer.position(), at as u64);
    }
    assert_eq!(at, data.len());
    writer.close().unwrap();
    assert_eq!(cluster.holders(&data), [0, 1, 2]);
}

#[test]
fn hsync_asks_for_a_sync_even_without_new_data() {
    let cluster = Cluster::start(1);
    let mut writer = cluster.create();
    writer.hsync().unwrap();
    writer.write_all(b"data").unwrap();
    writer.hflush().unwrap();
    let syncs = |cluster: &Cluster| cluster.datanodes[0].replica(cluster.namenode.blocks()[0].block_id).unwrap().syncs;
    assert_eq!(syncs(&cluster), 0);
    writer.hsync().unwrap();
    assert_eq!(syncs(&cluster), 1);
    writer.write_all(b"more").unwrap();
    writer.hsync().unwrap();
    assert_eq!(syncs(&cluster), 2);
    writer.close().unwrap();
    assert_eq!(cluster.holders(b"datamore"), [0]);
}

#[test]
fn appending_goes_on_inside_a_chunk() {
    for first in [700, 512, 65_536] {
        let cluster = Cluster::start(3);
        let data = pattern(80_000);
        write_file(&cluster, &data[..first]);
        let mut writer = cluster.client.append(&path()).unwrap();
        assert_eq!(writer.position(), first as u64);
        write_in_pieces(&mut writer, &data[first..]);
        assert_eq!(writer.close().unwrap(), 80_000);
        assert_eq!(cluster.holders(&data), [0, 1, 2], "after {first} bytes");
    }
}

#[test]
fn appending_survives_a_dead_node() {
    let cluster = Cluster::start(4);
    let data = pattern(30_000);
    write_file(&cluster, &data[..10_000]);
    cluster.datanodes[1].die();
    let mut writer = cluster.client.append(&path()).unwrap();
    writer.write_all(&data[10_000..]).unwrap();
    writer.close().unwrap();
    // The replacement has what was there before.
    assert_eq!(cluster.holders(&data), [0, 2, 3]);
}

#[test]
fn blocks_and_ends_wait_for_the_datanodes_word() {
    let cluster = Cluster::start(1);
    cluster.namenode.state().incomplete = 3;
    cluster.namenode.state().refusals.insert("addBlock", vec![ErrorCode::NotReplicatedYet; 2]);
    let data = pattern(1000);
    write_file(&cluster, &data);
    assert_eq!(cluster.holders(&data), [0]);
    assert_eq!(cluster.namenode.calls("complete").len(), 4);
    assert_eq!(cluster.namenode.calls("addBlock").len(), 3);
}

#[test]
fn a_file_that_cannot_be_closed_says_which_block() {
    let cluster = Cluster::start_with(1, |config| config.complete_budget = Duration::from_millis(20));
    cluster.namenode.state().incomplete = u32::MAX;
    let mut writer = cluster.create();
    writer.write_all(b"x").unwrap();
    let error = writer.close().unwrap_err().to_string();
    assert!(error.starts_with("/dir/file: blk_1073741825_1001: the file cannot be closed"), "{error}");
}

#[test]
fn a_namenode_that_restarts_during_a_write_is_waited_for() {
    let cluster = Cluster::start(3);
    {
        let mut state = cluster.namenode.state();
        state.lost_replies.insert("addBlock", 1);
        state.lost_replies.insert("complete", 2);
        state.refusals.insert("addBlock", vec![ErrorCode::SafeMode, ErrorCode::Standby, ErrorCode::Retriable]);
    }
    let data = pattern(100_000);
    write_file(&cluster, &data);
    assert_eq!(cluster.holders(&data), [0, 1, 2], "a lost reply allocates no second block");
}

#[test]
fn a_dropped_writer_leaves_its_file_open() {
    let cluster = Cluster::start(2);
    let mut writer = cluster.create();
    writer.write_all(b"flushed").unwrap();
    writer.hflush().unwrap();
    writer.write_all(b", not flushed").unwrap();
    drop(writer);
    assert!(cluster.namenode.state().is_open);
    assert!(cluster.namenode.calls("complete").is_empty());
    let mut writer = cluster.client.create(&path(), CreateOptions::overwriting()).unwrap();
    writer.write_all(b"given up").unwrap();
    writer.abandon().unwrap();
    assert_eq!(cluster.namenode.calls("recoverLease").len(), 1);
}

#[test]
fn random_writes_survive_random_failures() {
    for seed in 0..40 {
        let dice = SeededEntropy::new(seed);
        let roll = |sides: u64| dice.next_u64() % sides;
        let cluster = Cluster::start_with(5, |config| {
            config.replace_datanode = ReplaceDatanode { policy: ReplacePolicy::Always, best_effort: true };
        });
        for _ in 0..roll(4) {
            let at = i64::try_from(roll(40)).unwrap();
            let node = usize::try_from(roll(4)).unwrap();
            cluster.datanodes[node].fault(match roll(4) {
                0 => Fault::DieAt(at),
                1 => Fault::DieAfter(at),
                2 => Fault::ErrorAt(at, Status::Error),
                _ => Fault::RefuseWrite,
            });
        }
        let data = pattern(usize::try_from(roll(150_000)).unwrap());
        let mut writer = cluster.create();
        let mut rest = data.as_slice();
        while !rest.is_empty() {
            let (piece, others) = rest.split_at(rest.len().min(usize::try_from(roll(20_000)).unwrap()));
            rest = others;
            writer.write_all(piece).unwrap();
            match roll(6) {
                0 => writer.hflush().unwrap(),
                1 => writer.hsync().unwrap(),
                _ => {}
            }
        }
        assert_eq!(writer.close().unwrap(), data.len() as u64, "seed {seed}");
        // Every node that a block's last pipeline had holds it whole, whatever happened to it later.
        let state = cluster.namenode.state();
        let mut offset = 0;
        for (block, nodes) in &state.blocks {
            let len = usize::try_from(block.num_bytes()).unwrap();
            assert!(!nodes.is_empty(), "seed {seed}");
            for node in nodes {
                let replica = cluster.datanodes[*node].replica(block.block_id).unwrap();
                assert!(replica.is_final && replica.stamp == block.generation_stamp, "seed {seed}: {replica:?}");
                assert!(replica.data == data[offset..offset + len], "seed {seed}: bytes differ");
            }
            offset += len;
        }
        assert_eq!(offset, data.len(), "seed {seed}");
    }
}

#[test]
fn abandoning_does_not_wait_for_a_silent_node() {
    let cluster = Cluster::start(1);
    cluster.datanodes[0].fault(Fault::StallAt(0));
    let mut writer = cluster.create();
    writer.write_all(&pattern(50_000)).unwrap();
    writer.abandon().unwrap();
}
