//! `concat`: blocks change their file, and nothing else about them.

use crate::api::{Command, Reply};
use crate::state::State;
use crate::testing::{World, create, delete, path, root, user};
use mammoth_protocol::{BlockId, CallId, Caller, ErrorCode, InodeId, Uuid};

fn concat(target: &str, sources: &[&str]) -> Command {
    Command::Concat { target: path(target), sources: sources.iter().map(|source| path(source)).collect() }
}

fn blocks(world: &World, id: InodeId) -> Vec<(BlockId, u64)> {
    blocks_in(&world.state, id)
}

fn blocks_in(state: &State, id: InodeId) -> Vec<(BlockId, u64)> {
    state.rows.blocks_of(id).map(|block| (block.id, block.len)).collect()
}

#[test]
fn blocks_move_to_the_end_of_the_target_with_their_replicas() {
    let mut world = World::with_nodes();
    let target = world.file("/t", &[100, 30]);
    let (a, b) = (world.file("/a", &[100, 7]), world.file("/b", &[1, 100, 2]));
    world.must(Command::SetReplication { path: path("/t"), replication: 2 });
    world.pass(10_000);
    let expected = [blocks(&world, target), blocks(&world, b), blocks(&world, a)].concat();
    world.now.wall_ms += 7;
    assert_eq!(world.must(concat("/t", &["/b", "/a"])), Reply::Unit);
    assert_eq!(blocks(&world, target), expected);
    assert!(!world.exists("/a") && !world.exists("/b"));
    for (id, len) in &expected {
        let meta = world.state.blocks.get(*id).expect("listed");
        assert_eq!((meta.inode, meta.wanted, meta.len), (target, 2, *len));
        assert!(world.state.blocks.confirmed(*id) >= 2, "replicas stay known");
    }
    assert_eq!(world.state.rows.inode(target).map(|inode| inode.mtime_ms), Some(world.now.wall_ms));
    world.pass(10_000);
    assert_eq!(world.state.health(world.now).over_replicated, 0, "the target wants two");
    assert_eq!(blocks_in(&world.reload(), target), expected);
    world.must(delete("/t", false));
    assert_eq!(world.state.health(world.now).blocks, 0);
}

#[test]
fn every_row_of_the_target_gets_its_part() {
    for (before, after) in [(1, 2), (1, 3), (1, 4), (3, 300), (4, 257), (259, 3), (0, 5)] {
        let mut world = World::with_nodes();
        let target = world.file("/t", &vec![1; before]);
        let source = world.file("/s", &vec![2; after]);
        let expected = [blocks(&world, target), blocks(&world, source)].concat();
        world.checkpoint(usize::MAX);
        world.must(concat("/t", &["/s"]));
        assert_eq!(blocks(&world, target), expected, "{before} and {after}");
        world.checkpoint(1);
        world.restart();
        assert_eq!(blocks(&world, target), expected, "{before} and {after}");
    }
}

#[test]
fn what_cannot_be_joined_is_refused_in_hdfs_words() {
    let mut world = World::with_nodes();
    world.file("/t", &[100]);
    world.file("/a", &[100]);
    world.file("/empty", &[]);
    world.file("/d/a", &[100]);
    world.must(create("/open", "c"));
    let mut big = create("/big", "c");
    if let Command::Create { block_size, .. } = &mut big {
        *block_size = 200;
    }
    world.must(big);
    let block = mammoth_protocol::Block { len: 10, ..world.add_block("/big", "c", None) };
    world.receive(block);
    world.must(crate::testing::complete("/big", "c", Some(block)));
    let refused = |text: &str| (ErrorCode::IllegalArgument, text.to_owned());
    let missing = |text: &str| (ErrorCode::FileNotFound, text.to_owned());
    for (command, expected) in [
        (concat("/t", &[]), refused("No sources given")),
        (concat("/open", &["/a"]), refused("concat: target file /open is under construction")),
        (concat("/t", &["/d/a"]), refused("Source file /d/a is not in the same directory with the target /t")),
        (concat("/t", &["/t"]), refused("concat: the src file /t is the same with the target file /t")),
        (concat("/t", &["/empty"]), refused("concat: source file /empty is invalid or empty or underConstruction")),
        (concat("/t", &["/open"]), refused("concat: source file /open is invalid or empty or underConstruction")),
        (
            concat("/t", &["/a", "/big"]),
            refused(
                "concat: source file /big has preferred block size 200 which is greater than the target file's \
                 preferred block size 100",
            ),
        ),
        (concat("/t", &["/a", "/a"]), refused("concat: at least two of the source files are the same")),
        (concat("/t", &["/x"]), missing("File does not exist: /x")),
        (concat("/x", &["/a"]), missing("File does not exist: /x")),
        (concat("/t", &["/d"]), missing("Path is not a file: /d")),
        (concat("/d", &["/a"]), missing("Path is not a file: /d")),
    ] {
        assert_eq!(world.refuse(command), expected);
    }
    world.must(Command::SetPermission { path: path("/"), mode: 0o777 });
    let eve = user("eve", &[]);
    assert_eq!(world.act(&eve, concat("/t", &["/a"])).unwrap_err().code, ErrorCode::AccessControl);
    world.must(Command::SetPermission { path: path("/t"), mode: 0o666 });
    world.must(Command::SetPermission { path: path("/a"), mode: 0o600 });
    assert_eq!(world.act(&eve, concat("/t", &["/a"])).unwrap_err().code, ErrorCode::AccessControl);
    world.must(Command::SetPermission { path: path("/a"), mode: 0o644 });
    assert_eq!(world.act(&eve, concat("/t", &["/a"])), Ok(Reply::Unit));
}

#[test]
fn a_repeated_call_is_told_the_same() {
    let mut world = World::with_nodes();
    world.file("/t", &[100]);
    world.file("/a", &[100]);
    let caller = Caller { call: Some(CallId { client: Uuid(1), call: 1 }), ..root() };
    assert_eq!(world.act(&caller, concat("/t", &["/a"])), Ok(Reply::Unit));
    world.restart();
    assert_eq!(world.act(&caller, concat("/t", &["/a"])), Ok(Reply::Unit));
    assert_eq!(world.len_of("/t"), 200);
}

#[test]
fn the_limit_of_blocks_holds() {
    let config = crate::api::CoreConfig { blocks_per_file_max: 3, ..crate::testing::config() };
    let mut world = World::new(config);
    world.join(3);
    world.file("/t", &[100, 100]);
    world.file("/a", &[100, 100]);
    assert_eq!(world.refuse(concat("/t", &["/a"])).0, ErrorCode::Io);
}
