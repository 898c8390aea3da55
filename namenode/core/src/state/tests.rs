//! Live state and state rebuilt from rows of any age and the tail of the log are the same, byte for byte.

use crate::api::{Command, Reply};
use crate::rows::Edit;
use crate::state::State;
use crate::testing::{World, add_block, all_rows, complete, config, create, delete, path, user};
use mammoth_protocol::internal::{CommitBlockSync, ReplicaEvent};
use mammoth_protocol::journaled::Journaled;
use mammoth_protocol::{Block, CallId, Caller, GenStamp, InodeId, Seq, Uuid};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::collections::BTreeSet;

const PATHS: [&str; 9] =
    ["/a", "/b", "/a/x", "/a/y", "/b/x", "/b/x/z", "/c/d/e", "/c", "/a/x/long-name-that-is-not-inline"];

#[derive(Clone, Debug)]
enum Step {
    Act {
        command: usize,
        a: usize,
        b: usize,
        flag: bool,
        call: Option<i32>,
    },
    /// What a writer does that meets no trouble, or a recovery that ends well.
    Play {
        play: usize,
        a: usize,
    },
    /// Writes so many rows of a checkpoint.
    Checkpoint(usize),
    /// Crashes and starts again.
    Restart,
    /// Time passes.
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let paths = 0..PATHS.len();
    let act = (0_usize..21, paths.clone(), paths, any::<bool>(), proptest::option::of(0..40))
        .prop_map(|(command, a, b, flag, call)| Step::Act { command, a, b, flag, call });
    let play = (0_usize..8, 0..PATHS.len()).prop_map(|(play, a)| Step::Play { play, a });
    let step = prop_oneof![
        20 => act,
        5 => play,
        4 => (0_usize..6).prop_map(Step::Checkpoint),
        1 => Just(Step::Restart),
        1 => prop_oneof![Just(1_000), Just(61_000), Just(700_000), Just(1_300_000)].prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..120)
}

/// The last block of the file at a path, as its writer knows it, and who writes it.
fn last_of(world: &World, text: &str) -> (Option<Block>, String) {
    let at = path(text);
    let resolved = world.state.resolve(crate::paths::At::Current, &at);
    let Some(id) = resolved.last() else { return (None, "w0".to_owned()) };
    let client = world.state.rows.inode(id).and_then(|inode| inode.lease()).map(|lease| lease.client.to_string());
    let last = world.state.rows.last_block(id).map(|(_, block, _)| block);
    (last, client.unwrap_or_else(|| "w0".to_owned()))
}

fn command(world: &World, number: usize, a: &str, b: &str, flag: bool) -> Command {
    let (last, client) = last_of(world, a);
    let grown = last.map(|block| Block { len: block.len + 10, ..block });
    let other = if flag { "w1" } else { "w2" }.to_owned();
    match number {
        0 => Command::Mkdirs { path: path(a), mode: 0o755, create_parent: flag },
        1 | 2 => {
            let mut command = create(a, &other);
            if let Command::Create { overwrite, .. } = &mut command {
                *overwrite = flag;
            }
            command
        }
        3..=6 => add_block(a, &client, grown),
        7 => complete(a, &client, grown),
        8 => Command::Rename { src: path(a), dst: path(b) },
        9 => Command::Rename2 { src: path(a), dst: path(b), overwrite: flag },
        10 => delete(a, flag),
        11 => Command::SetReplication { path: path(a), replication: if flag { 1 } else { 3 } },
        12 => Command::SetOwner { path: path(a), owner: Some(other), group: None },
        13 => Command::Append { path: path(a), client: other, new_block: flag },
        14 => Command::RecoverLease { path: path(a), client: other },
        15 => Command::AbandonBlock { path: path(a), file: None, client, block: last.unwrap_or_default() },
        16 | 19 => Command::Fsync { path: path(a), file: None, client, last_len: Some(5) },
        17 | 18 => {
            let len = world.len_of(a);
            let len = if flag { len.saturating_sub(last.map_or(0, |block| block.len)) } else { len * 2 / 3 };
            Command::Truncate { path: path(a), len, client: other }
        }
        _ => Command::Concat { target: path(a), sources: vec![path(b)] },
    }
}

fn run(world: &mut World, step: Step) {
    match step {
        Step::Act { command: number, a, b, flag, call } => {
            let command = command(world, number, PATHS[a], PATHS[b], flag);
            let call = call.map(|call| CallId { client: Uuid(1), call });
            let caller = Caller { call, ..user("hdfs", &[]) };
            let finished = match &command {
                Command::AddBlock { previous, .. } => *previous,
                Command::Complete { last, .. } => *last,
                _ => None,
            };
            if let Some(block) = finished.filter(|_| flag) {
                world.receive(block);
            }
            // Refusals are as good as successes here: the state must be consistent after both.
            let _ = world.act(&caller, command);
        }
        Step::Play { play: number, a } => play(world, number, PATHS[a]),
        Step::Checkpoint(rows) => world.checkpoint(rows),
        Step::Restart => {
            world.restart();
            for at in 0..world.nodes.len() {
                world.register(at);
            }
        }
        Step::Pass(ms) => world.pass(ms),
    }
}

/// A few commands that belong together; any of them may be refused.
fn play(world: &mut World, number: usize, text: &str) {
    let root = user("hdfs", &[]);
    let (last, client) = last_of(world, text);
    let grown = last.map(|block| Block { len: block.len + 10, ..block });
    match (number, last) {
        (0, _) => {
            let _ = world.act(&root, create(text, "w0"));
            let _ = world.act(&root, add_block(text, "w0", None));
        }
        (4, _) => {
            play(world, 0, text);
            play(world, 1, text);
            let _ = world.act(&root, Command::Append { path: path(text), client: "w1".to_owned(), new_block: false });
        }
        (5 | 6, _) => {
            play(world, 0, text);
            play(world, 1, text);
            let len = world.len_of(text) * 2 / 3;
            let _ = world.act(&root, Command::Truncate { path: path(text), len, client: "w1".to_owned() });
        }
        (7, _) => {
            let folder = |text: &str| path(text).parent();
            let mut others = PATHS.into_iter().filter(|other| *other != text && folder(other) == folder(text));
            for file in others.next().into_iter().chain([text]) {
                play(world, 0, file);
                play(world, 1, file);
            }
            for other in PATHS.into_iter().filter(|other| *other != text && folder(other) == folder(text)) {
                let _ = world.act(&root, Command::Concat { target: path(text), sources: vec![path(other)] });
            }
        }
        (1, Some(_)) => {
            let block = grown.unwrap_or_default();
            for at in 0..world.nodes.len() {
                world.tell(at, ReplicaEvent::Received(block));
            }
            let _ = world.act(&root, complete(text, &client, grown));
        }
        (2, Some(old)) => {
            let new = world.act(&root, Command::UpdateBlockForPipeline { block: old, client: client.clone() });
            if let Ok(Reply::Block(new)) = new {
                let storages = vec![world.nodes[0].storage()];
                let _ = world.act(&root, Command::UpdatePipeline { client, old, new: new.block, storages });
            }
        }
        (_, Some(block)) => {
            let resolved = path(text);
            let id = world.state.resolve(crate::paths::At::Current, &resolved).last();
            let stamp = id.and_then(|id| world.state.rows.last_block(id)?.2?.recovery);
            let sync = CommitBlockSync {
                datanode: world.nodes[0].id(),
                epoch: Default::default(),
                block,
                new_stamp: stamp.unwrap_or_default(),
                new_len: block.len + 1,
                delete: block.id.0 % 3 == 0,
                storages: vec![world.nodes[0].storage()],
            };
            let _ = world.act(&root, Command::CommitBlockSync(sync));
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn rebuilt_is_live_at_any_age_of_the_checkpoint(steps in steps()) {
        let mut world = World::with_nodes();
        for step in steps {
            run(&mut world, step);
            let rebuilt = world.reload();
            prop_assert_eq!(all_rows(&rebuilt), all_rows(&world.state));
        }
    }

    #[test]
    fn foreign_bytes_never_panic(key in proptest::collection::vec(any::<u8>(), 0..14), value in proptest::collection::vec(any::<u8>(), 0..60)) {
        let mut state = State::new(config(), Default::default());
        let _ = state.load_row(&key, &value);
        let versioned = [&[1][..], &value].concat();
        let _ = state.load_row(&key, &versioned);
        let _ = State::decode_edits(&value);
        let _ = State::decode_edits(&versioned);
    }
}

/// The first word of an edit's debug form.
fn kind(edit: &Edit) -> String {
    format!("{edit:?}").chars().take_while(|c| c.is_alphanumeric()).collect()
}

#[test]
fn the_random_histories_contain_every_kind_of_edit() {
    let mut runner = TestRunner::deterministic();
    let mut seen = BTreeSet::new();
    for _ in 0..100 {
        let mut world = World::with_nodes();
        for step in steps().new_tree(&mut runner).unwrap().current() {
            let before = world.disk.log.back().map_or(world.disk.applied, |(seq, _)| *seq);
            run(&mut world, step);
            for (_, record) in world.disk.log.iter().filter(|(seq, _)| *seq > before) {
                seen.extend(State::decode_edits(record).unwrap().iter().map(kind));
            }
        }
    }
    // Further rows need longer files: they have a test of their own.
    let expected = [
        "BlockAdded",
        "BlockCommitted",
        "BlockCut",
        "BlockFlushed",
        "BlockPiped",
        "BlockRecovering",
        "BlockReopened",
        "BlockTaken",
        "BlocksJoined",
        "Closed",
        "Created",
        "Detached",
        "Forgotten",
        "Leased",
        "Moved",
        "Owner",
        "Remembered",
        "Removed",
        "Replication",
        "StampAllocated",
        "Times",
    ];
    assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn a_crash_after_every_row_of_a_checkpoint_loses_nothing() {
    let mut world = World::new(config());
    for round in 0..4 {
        for n in 0..5 {
            world.create(&format!("/d{round}/f{n}"), "c");
        }
        world.must(Command::Rename { src: path(&format!("/d{round}")), dst: path("/moved") });
        world.must(delete("/moved/f0", false));
        world.mkdirs("/moved");
        for step in 0..30 {
            world.checkpoint(1);
            assert_eq!(all_rows(&world.reload()), all_rows(&world.state), "round {round}, row {step}");
            if step % 7 == 0 {
                world.create(&format!("/moved/r{round}s{step}"), "c");
            }
        }
        world.must(delete("/moved", true));
        while world.tick().more {}
    }
}

#[test]
fn a_finished_checkpoint_is_all_rows() {
    let mut world = World::new(config());
    world.create("/a/b", "c");
    world.checkpoint(usize::MAX);
    assert_eq!(world.disk.rows, all_rows(&world.state));
    assert!(world.disk.log.is_empty());
    world.must(delete("/a", true));
    while world.tick().more {}
    world.checkpoint(usize::MAX);
    assert_eq!(world.disk.rows, all_rows(&world.state));
}

#[test]
fn rows_that_contradict_each_other_are_refused() {
    let mut world = World::new(config());
    world.create("/a/f", "c");
    world.create("/b/g", "c");
    world.checkpoint(usize::MAX);
    let load = |edit: Edit| {
        let mut state = State::new(config(), Default::default());
        for (key, value) in &world.disk.rows {
            state.load_row(key, value).unwrap();
        }
        state.apply(Seq(99), &edit);
        state.finish_load().map_err(|error| error.what)
    };
    let first = InodeId::ROOT.0 + 1;
    let segment = |index| Edit::BlockAdded {
        file: InodeId(first + 1),
        index,
        block: Default::default(),
        stamp: Default::default(),
        targets: Vec::new(),
    };
    let moved =
        |id: u64, parent: u64, name: &str| Edit::Moved { id: InodeId(id), parent: InodeId(parent), name: name.into() };
    assert_eq!(load(moved(first, InodeId::ROOT.0, "renamed")), Ok(()));
    for (edit, what) in [
        (moved(first, 999, "a"), "which is no folder"),
        (moved(first, first + 1, "a"), "which is no folder"),
        (moved(first, InodeId::ROOT.0, "b"), "have the same name"),
        (moved(first, first, "a"), "are in each other"),
        (segment(4), "segment 0 of 16387 does not follow on"),
        (segment(4 + 256 * 4_000_000), "segment 4000000 of 16387 does not follow on"),
        (Edit::StampAllocated { stamp: GenStamp(u64::MAX) }, "leaves no room"),
        (Edit::Closed { id: InodeId(first), mtime_ms: 0 }, "a folder has no lease"),
        (Edit::BlockTaken { file: InodeId(first + 1), index: 0, block: Default::default() }, "not the last"),
    ] {
        let error = load(edit.clone()).expect_err(what);
        assert!(error.contains(what), "{edit:?}: {error}");
    }
}
