//! How each moment is reached, and what a client that lives does after it.

use super::cells::{Moment, Victim};
use super::scene::{Held, Scene, any_datanode};
use crate::harness::{LIMIT, NAMES, Trap, Way, alive, poll};
use mammoth_protocol::internal::routes;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::time::Duration;

/// Bytes of a block, as the lane's settings have it.
const BLOCK: u64 = 1 << 20;
/// Bytes of a packet.
const PACKET: u64 = 256 << 10;
/// Bytes of a transfer that pass before the rest is held: less than a packet, far more than what opens the transfer.
const BEGUN: u64 = 100_000;

/// Works until the moment is there, and holds it.
pub(super) fn reach(scene: &mut Scene<'_>) {
    match scene.cell.moment {
        Moment::Create => create(scene),
        Moment::FirstPacket => first_packet(scene),
        Moment::MidBlock => mid_block(scene),
        Moment::BlockEnd => block_end(scene),
        Moment::Hflush => hflush(scene),
        Moment::Close => close(scene),
        Moment::Append => append(scene),
        Moment::Truncate => truncate(scene),
        Moment::Recovery => recovery(scene),
        Moment::Replication => replication(scene),
        Moment::FullReport => full_report(scene),
        Moment::Checkpoint => checkpoint(scene),
    }
}

/// What the client does after the harm of somebody else.
pub(super) fn go_on(scene: &mut Scene<'_>) {
    match scene.cell.moment {
        Moment::Create => {
            scene.client.done();
            scene.write_and_close(600_000);
        }
        Moment::FirstPacket => {
            scene.client.done();
            scene.write_and_close(BLOCK + 200_000);
        }
        Moment::MidBlock => scene.write_and_close(BLOCK + 200_000),
        Moment::BlockEnd => {
            scene.flush();
            scene.write_and_close(BLOCK + 200_000);
        }
        Moment::Hflush => {
            scene.client.done();
            scene.file.sure = scene.file.most;
            scene.write_and_close(BLOCK + 200_000);
        }
        Moment::Close => {
            scene.client.done();
        }
        Moment::Append => {
            assert_eq!(scene.client.done(), "700000", "appending begins at the end");
            scene.write_and_close(BLOCK + 200_000);
        }
        Moment::Truncate => {
            // Not `true`: the block is still to be cut, and readers may see all of it until then.
            assert_eq!(scene.client.done(), "false");
            scene.await_closed();
            scene.file.most = scene.file.sure;
        }
        Moment::Recovery => {
            // It may not have been told yet that the recovery it asked for is over.
            scene.client.answer_within(LIMIT).expect("the client answers");
        }
        Moment::Replication | Moment::FullReport | Moment::Checkpoint => {}
    }
    if scene.cell.moment == Moment::Replication {
        poll("three replicas", LIMIT, || {
            let (_, names) = scene.lane.pipeline(&scene.file.path)?;
            if names.len() == 3 { Ok(()) } else { Err(format!("{names:?}")) }
        });
    }
}

/// A closed file of so many bytes.
fn closed_file(scene: &mut Scene<'_>, len: u64, replicas: u16) {
    scene.create(replicas);
    scene.write_to(len);
    scene.flush();
    if replicas == 3 {
        scene.note_pipeline();
    }
    scene.ask("close");
    scene.told = format!("{len} bytes, closed");
}

fn create(scene: &mut Scene<'_>) {
    scene.lane.rpc.trap(Trap::Reply("create"));
    let step = format!("create {} 3", scene.file.path);
    scene.client.tell(&step);
    scene.lane.rpc.caught();
    scene.pipeline = vec![any_datanode()];
    scene.held = Held::Answer;
    scene.told = "nothing".to_owned();
}

fn first_packet(scene: &mut Scene<'_>) {
    scene.create(3);
    scene.lane.trap_transfers(Trap::After(Way::Up, BEGUN));
    let step = format!("write {} 0 {}", scene.file.seed, PACKET + 1);
    scene.client.tell(&step);
    scene.file.most = PACKET + 1;
    let first = scene.lane.caught_transfer();
    scene.note_pipeline();
    assert_eq!(scene.pipeline[0], first, "the client sends to the first of {:?}", scene.pipeline);
    scene.held = Held::Transfer(first.to_owned());
    scene.told = "the file's name".to_owned();
}

fn mid_block(scene: &mut Scene<'_>) {
    scene.create(3);
    scene.write_to(2 * PACKET + 70_000);
    let block = scene.note_pipeline();
    scene.lane.written(&scene.pipeline, block.id, 2 * PACKET);
    scene.told = "the file's name".to_owned();
}

fn block_end(scene: &mut Scene<'_>) {
    scene.create(3);
    scene.write_to(PACKET);
    scene.flush();
    let block = scene.note_pipeline();
    let first = scene.pipeline[0].clone();
    scene.lane.transfer(&first).trap(Trap::EndOfBlock);
    scene.write_to(BLOCK);
    scene.lane.transfer(&first).caught();
    scene.lane.hold_answers(&first);
    scene.lane.transfer(&first).let_go();
    poll("all replicas are finalized", LIMIT, || {
        let paths: Vec<_> = scene.pipeline.iter().map(|name| scene.lane.replica(name, block.id)).collect();
        let finalized = |path: &Option<(std::path::PathBuf, u64)>| {
            path.as_ref().is_some_and(|(path, _)| path.iter().any(|part| part == "finalized"))
        };
        if paths.iter().all(finalized) { Ok(()) } else { Err(format!("{paths:?}")) }
    });
    scene.held = Held::Acks(first);
    scene.told = format!("{PACKET} bytes, flushed");
}

fn hflush(scene: &mut Scene<'_>) {
    scene.create(3);
    scene.write_to(300_000);
    scene.flush();
    let block = scene.note_pipeline();
    let first = scene.pipeline[0].clone();
    scene.lane.hold_answers(&first);
    scene.write_to(500_000);
    scene.client.tell("hflush");
    scene.lane.written(&scene.pipeline, block.id, 500_000);
    scene.held = Held::Acks(first);
    scene.told = "300000 bytes, flushed".to_owned();
}

fn close(scene: &mut Scene<'_>) {
    scene.create(3);
    scene.write_to(700_000);
    scene.flush();
    scene.note_pipeline();
    hold_answer(scene, "complete", "close");
    scene.told = "700000 bytes, flushed".to_owned();
}

/// The client takes a step, and the answer of the call that it makes for it does not arrive.
fn hold_answer(scene: &mut Scene<'_>, call: &'static str, step: &str) {
    scene.lane.rpc.trap(Trap::Reply(call));
    scene.client.tell(step);
    scene.lane.rpc.caught();
    scene.held = Held::Answer;
}

fn append(scene: &mut Scene<'_>) {
    closed_file(scene, 700_000, 3);
    let step = format!("append {}", scene.file.path);
    hold_answer(scene, "append", &step);
}

fn truncate(scene: &mut Scene<'_>) {
    closed_file(scene, 700_000, 3);
    let step = format!("truncate {} 300000", scene.file.path);
    hold_answer(scene, "truncate", &step);
    scene.file.sure = 300_000;
    scene.told = "700000 bytes, closed".to_owned();
}

fn recovery(scene: &mut Scene<'_>) {
    scene.create(3);
    scene.write_to(500_000);
    scene.flush();
    scene.note_pipeline();
    scene.client.kill();
    scene.lane.internal.trap(Trap::Post(routes::COMMIT_SYNC));
    // Who asks is the client of this cell.
    scene.client = scene.lane.step_client();
    let step = format!("recover {}", scene.file.path);
    scene.client.tell(&step);
    scene.lane.caught_reporter();
    scene.held = Held::Report;
    scene.told = "500000 bytes, flushed".to_owned();
}

fn replication(scene: &mut Scene<'_>) {
    closed_file(scene, 700_000, 2);
    let holders = poll("two replicas", LIMIT, || {
        let (_, names) = scene.lane.pipeline(&scene.file.path)?;
        if names.len() == 2 { Ok(names) } else { Err(format!("{names:?}")) }
    });
    scene.lane.trap_transfers(Trap::After(Way::Up, BEGUN));
    let step = format!("setrep {} 3", scene.file.path);
    scene.ask(&step);
    let target = scene.lane.caught_transfer();
    let source = poll("one of the two copies it", LIMIT, || {
        let copies = |name: &&String| {
            let status = scene.lane.cluster.json(name, "/api/v1/status");
            status.is_ok_and(|status| status["copies"].as_u64() > Some(0))
        };
        holders.iter().find(copies).cloned().ok_or_else(|| format!("none of {holders:?}"))
    });
    scene.pipeline = vec![source, target.to_owned()];
    scene.held = Held::Transfer(target.to_owned());
    scene.told = "700000 bytes, closed; a third replica wanted".to_owned();
}

fn full_report(scene: &mut Scene<'_>) {
    closed_file(scene, 700_000, 3);
    scene.lane.internal.trap(Trap::Post(routes::FULL));
    scene.pipeline = vec![scene.lane.caught_reporter()];
    scene.held = Held::Report;
}

/// The names of the log's segments.
fn segments(scene: &Scene<'_>) -> BTreeSet<String> {
    let entries = std::fs::read_dir(scene.lane.cluster.data("namenode")).expect("the namenode's folder").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("edits_") && !name.ends_with(".tmp")).collect()
}

/// Stops the namenode as soon as a segment more is there, and looks whether it was in time; the harm follows while it stands.
fn checkpoint(scene: &mut Scene<'_>) {
    closed_file(scene, 700_000, 3);
    let mut number = 0;
    let pid = scene.lane.cluster.pid("namenode");
    poll("the namenode stands in the middle of a checkpoint", LIMIT, || {
        number += 1;
        let before = segments(scene);
        let step = format!("mkdir {}-{number}", scene.file.path);
        scene.client.ask(&step);
        let begun = crate::harness::Stopwatch::start();
        while segments(scene) == before {
            if begun.elapsed() > Duration::from_secs(10) {
                return Err("no checkpoint begins".to_owned());
            }
            std::thread::yield_now();
        }
        scene.lane.cluster.signal("namenode", Signal::STOP);
        let now = segments(scene);
        if now.len() > before.len() && now.is_superset(&before) {
            return Ok(());
        }
        scene.lane.cluster.signal("namenode", Signal::CONT);
        Err("it was over".to_owned())
    });
    assert!(alive(pid), "the namenode lives, for now");
    scene.told = "700000 bytes, closed; a folder".to_owned();
    debug_assert!(scene.cell.victim == Victim::Namenode && NAMES.len() == 4);
}
