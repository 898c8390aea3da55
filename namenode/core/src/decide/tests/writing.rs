//! Writing files: create, blocks, pipelines, append, complete.

use crate::api::{Answer, Command, CoreConfig, LocatedBlock, Query, Reply};
use crate::rows::Edit;
use crate::testing::{World, add_block, all_rows, complete, config, create, edits_of, path, root};
use mammoth_protocol::internal::ReplicaEvent;
use mammoth_protocol::{Block, ErrorCode, GenStamp, InodeId, StorageId};

fn located(reply: Reply) -> LocatedBlock {
    match reply {
        Reply::Block(located) => *located,
        other => panic!("{other:?}"),
    }
}

fn fsync(text: &str, client: &str, len: u64) -> Command {
    Command::Fsync { path: path(text), file: None, client: client.to_owned(), last_len: Some(len) }
}

fn append(text: &str, client: &str, new_block: bool) -> Command {
    Command::Append { path: path(text), client: client.to_owned(), new_block }
}

fn len_of(world: &World, text: &str) -> u64 {
    match world.ask(&root(), Query::FileInfo { path: path(text) }) {
        Ok(Answer::FileInfo(Some(status))) => status.len,
        other => panic!("{other:?}"),
    }
}

fn with_len(block: Block, len: u64) -> Block {
    Block { len, ..block }
}

#[test]
fn a_file_is_written_block_by_block() {
    let mut world = World::with_nodes();
    world.create("/f", "c");
    let first = located(world.must(add_block("/f", "c", None)));
    assert_eq!((first.block.id.0, first.block.stamp.0, first.offset), (1_073_741_825, 1001, 0));
    assert_eq!(first.places.len(), 3);
    let first = with_len(first.block, 100);
    world.receive(first);
    let second = located(world.must(add_block("/f", "c", Some(first))));
    assert_eq!((second.block.id.0, second.block.stamp.0, second.offset), (1_073_741_826, 1002, 100));
    let second = with_len(second.block, 30);
    assert_eq!(world.must(complete("/f", "c", Some(second))), Reply::Done(false), "no replica is confirmed");
    world.tell(1, ReplicaEvent::Received(second));
    assert_eq!(world.must(complete("/f", "c", Some(second))), Reply::Done(true), "one is enough");
    assert_eq!(len_of(&world, "/f"), 130);
    let after = world.seq;
    assert_eq!(world.must(complete("/f", "c", Some(second))), Reply::Done(true), "the same call again");
    assert_eq!(world.seq, after);
    assert_eq!(world.refuse(complete("/f", "c", Some(first))).0, ErrorCode::LeaseExpired);
    assert_eq!(world.refuse(add_block("/f", "c", Some(second))).0, ErrorCode::LeaseExpired);
}

#[test]
fn an_empty_file_closes_at_once() {
    let mut world = World::with_nodes();
    world.create("/f", "c");
    assert_eq!(world.must(complete("/f", "c", None)), Reply::Done(true));
    assert_eq!(len_of(&world, "/f"), 0);
}

#[test]
fn a_missed_answer_gives_the_same_block_again() {
    let mut world = World::with_nodes();
    world.create("/f", "c");
    let first = located(world.must(add_block("/f", "c", None)));
    let after = world.seq;
    assert_eq!(located(world.must(add_block("/f", "c", None))), first);
    assert_eq!(world.seq, after);
    let block = with_len(first.block, 100);
    world.receive(block);
    let second = located(world.must(add_block("/f", "c", Some(block))));
    assert_eq!(located(world.must(add_block("/f", "c", Some(block)))), second);
    world.must(fsync("/f", "c", 7));
    let (code, message) = world.refuse(add_block("/f", "c", Some(block)));
    assert_eq!(code, ErrorCode::Io);
    assert!(message.starts_with("Request looked like a retry to allocate block blk_1073741826_1002"), "{message}");
    let other = Block { id: mammoth_protocol::BlockId(1), ..block };
    let (code, message) = world.refuse(add_block("/f", "c", Some(other)));
    assert_eq!(code, ErrorCode::Io);
    assert!(message.contains("does not match actual last block in file blk_"), "{message}");
}

#[test]
fn the_block_before_the_last_must_have_its_replicas() {
    let mut world = World::with_nodes();
    world.create("/f", "c");
    let first = with_len(world.add_block("/f", "c", None), 100);
    let second = with_len(world.add_block("/f", "c", Some(first)), 100);
    assert_eq!(
        world.refuse(add_block("/f", "c", Some(second))),
        (ErrorCode::NotReplicatedYet, "Not replicated yet: /f".to_owned())
    );
    world.receive(second);
    assert_eq!(world.must(complete("/f", "c", Some(second))), Reply::Done(false));
    // Only a replica of the length that the client committed counts.
    world.tell(0, ReplicaEvent::Received(with_len(first, 99)));
    assert_eq!(world.refuse(add_block("/f", "c", Some(second))).0, ErrorCode::NotReplicatedYet);
    world.tell(1, ReplicaEvent::Received(first));
    assert_eq!(world.must(complete("/f", "c", Some(second))), Reply::Done(true));
}

#[test]
fn only_the_lease_holder_writes() {
    let mut world = World::with_nodes();
    let id = world.create("/f", "c");
    let block = world.add_block("/f", "c", None);
    let wrong = |file| {
        format!("Client (=d) is not the lease owner (=c: /f (inode {file}) Holder d does not have any open files.")
    };
    let client = || "d".to_owned();
    for command in [
        add_block("/f", "d", Some(block)),
        complete("/f", "d", Some(block)),
        fsync("/f", "d", 1),
        Command::AbandonBlock { path: path("/f"), file: Some(id), client: client(), block },
    ] {
        assert_eq!(world.refuse(command), (ErrorCode::LeaseExpired, wrong(id)));
    }
    let stamp = Command::UpdateBlockForPipeline { block, client: client() };
    assert_eq!(world.refuse(stamp).0, ErrorCode::LeaseExpired);
    assert_eq!(world.refuse(add_block("/missing", "c", None)).0, ErrorCode::FileNotFound);
    assert_eq!(world.refuse(add_block("/", "c", None)).0, ErrorCode::LeaseExpired);
}

#[test]
fn limits() {
    let mut world = World::new(CoreConfig { blocks_per_file_max: 1, block_size_min: 50, ..config() });
    world.create("/f", "c");
    let (code, message) = world.refuse(add_block("/f", "c", None));
    assert_eq!(code, ErrorCode::Io);
    assert_eq!(
        message,
        "File /f could only be written to 0 of the 1 minReplication nodes. There are 0 datanode(s) running and 0 node(s) \
         are excluded in this operation."
    );
    world.join(3);
    let first = with_len(world.add_block("/f", "c", None), 100);
    world.receive(first);
    let (_, message) = world.refuse(add_block("/f", "c", Some(first)));
    assert!(message.starts_with("File has reached the limit on maximum number of blocks"), "{message}");
    for (replication, block_size, client, what) in [
        (0, 100, "c", "Requested replication factor of 0 is less than the required minimum of 1 for /g"),
        (513, 100, "c", "Requested replication factor of 513 exceeds maximum of 512 for /g"),
        (3, 49, "c", "Specified block size is less than configured minimum value"),
        (3, u64::MAX, "c", "Invalid block size"),
        (3, 100, "", "Invalid client name"),
        (3, 100, "HDFS_NameNode", "Invalid client name"),
    ] {
        let command = Command::Create {
            path: path("/g"),
            mode: 0o644,
            overwrite: false,
            create_parent: true,
            replication,
            block_size,
            client: client.to_owned(),
        };
        let (_, message) = world.refuse(command);
        assert!(message.starts_with(what), "{message}");
    }
}

#[test]
fn an_abandoned_block_is_gone() {
    let mut world = World::with_nodes();
    world.create("/f", "c");
    let first = world.add_block("/f", "c", None);
    let abandon = |block| Command::AbandonBlock { path: path("/f"), file: None, client: "c".to_owned(), block };
    world.must(abandon(first));
    let after = world.seq;
    world.must(abandon(first));
    assert_eq!(world.seq, after, "it is gone already");
    let second = world.add_block("/f", "c", None);
    assert_ne!(second.id, first.id, "a block id is never used twice");
    world.must(abandon(first));
    assert_eq!(world.state.rows.block_count(file_id(&world)), 1);
}

fn file_id(world: &World) -> InodeId {
    world.state.resolve(crate::paths::At::Current, &path("/f")).last().unwrap()
}

#[test]
fn a_pipeline_is_rebuilt_under_a_new_stamp() {
    let mut world = World::with_nodes();
    world.create("/f", "c");
    let old = world.add_block("/f", "c", None);
    let new_stamp = || Command::UpdateBlockForPipeline { block: old, client: "c".to_owned() };
    let new = located(world.must(new_stamp())).block;
    assert_eq!((new.id, new.stamp), (old.id, GenStamp(1002)));
    let update =
        |old, new, storages: Vec<StorageId>| Command::UpdatePipeline { client: "c".to_owned(), old, new, storages };
    let two: Vec<_> = world.nodes[..2].iter().map(crate::testing::Node::storage).collect();
    world.must(update(old, with_len(new, 40), two.clone()));
    let places = world.state.blocks.places_of_pipeline(old.id);
    assert_eq!(places.iter().map(|place| place.storage).collect::<Vec<_>>(), two);
    assert_eq!(len_of(&world, "/f"), 40);
    for (wrong, why) in [
        (with_len(new, 50), "to an older state"),
        (Block { stamp: GenStamp(1003), ..with_len(new, 50) }, "never given out"),
    ] {
        let (_, message) = world.refuse(update(old, wrong, two.clone()));
        assert!(message.contains(why), "{message}");
    }
    let third = located(world.must(new_stamp())).block;
    let (_, message) = world.refuse(update(old, with_len(third, 39), two.clone()));
    assert!(message.contains("to an older state"), "the length shrinks: {message}");
    assert_eq!(world.refuse(update(old, with_len(third, 50), Vec::new())).0, ErrorCode::IllegalArgument);
    // A replica of the old stamp confirms nothing (I3).
    world.tell(2, ReplicaEvent::Received(with_len(old, 60)));
    assert_eq!(world.must(complete("/f", "c", Some(with_len(new, 60)))), Reply::Done(false));
    world.tell(0, ReplicaEvent::Received(with_len(new, 60)));
    assert_eq!(world.must(complete("/f", "c", Some(with_len(new, 60)))), Reply::Done(true));
    let restarted = world.reload();
    assert_eq!(all_rows(&restarted), all_rows(&world.state));
    let (code, message) = world.refuse(new_stamp());
    assert_eq!(code, ErrorCode::Io);
    assert!(message.contains("not exist or it is not under construction"), "{message}");
}

#[test]
fn what_a_client_commits_must_fit() {
    let mut world = World::with_nodes();
    world.create("/f", "c");
    let block = world.add_block("/f", "c", None);
    world.must(fsync("/f", "c", 50));
    world.must(fsync("/f", "c", 20));
    assert_eq!(len_of(&world, "/f"), 50, "the known length only grows");
    let wrong_stamp = Block { stamp: GenStamp(7), ..with_len(block, 60) };
    for (last, why) in [
        (with_len(block, 49), "49 bytes, whereas 50 are known"),
        (wrong_stamp, "Commit block with mismatching GS."),
        (Block { id: mammoth_protocol::BlockId(7), ..block }, "Trying to commit inconsistent block"),
    ] {
        let (_, message) = world.refuse(complete("/f", "c", Some(last)));
        assert!(message.contains(why), "{message}");
    }
}

#[test]
fn append_goes_on_with_a_partial_block() {
    let mut world = World::with_nodes();
    world.file("/f", &[100, 30]);
    let Reply::Appended { last: Some(last), status } = world.must(append("/f", "d", false)) else { panic!() };
    assert_eq!((last.block.len, last.offset, last.places.len()), (30, 100, 3));
    assert_eq!(status.len, 130);
    let on = |holder| format!("Failed to APPEND_FILE /f for {holder} on 127.0.0.1 because ");
    assert_eq!(
        world.refuse(append("/f", "e", false)),
        (ErrorCode::AlreadyBeingCreated, on("e") + "this file lease is currently owned by d on 127.0.0.1")
    );
    assert_eq!(
        world.refuse(append("/f", "d", false)),
        (ErrorCode::AlreadyBeingCreated, on("d") + "d is already the current lease holder.")
    );
    let new = located(world.must(Command::UpdateBlockForPipeline { block: last.block, client: "d".to_owned() })).block;
    let storages = last.places.iter().map(|place| place.storage).collect();
    world.must(Command::UpdatePipeline { client: "d".to_owned(), old: last.block, new: with_len(new, 30), storages });
    let end = with_len(new, 80);
    assert_eq!(world.must(complete("/f", "d", Some(end))), Reply::Done(false));
    world.receive(end);
    for at in 0..3 {
        world.tell(at, ReplicaEvent::Received(end));
    }
    assert_eq!(world.must(complete("/f", "d", Some(end))), Reply::Done(true));
    assert_eq!(len_of(&world, "/f"), 180);
}

#[test]
fn append_at_a_blocks_end_begins_a_new_block() {
    let mut world = World::with_nodes();
    world.file("/f", &[100]);
    let Reply::Appended { last: None, .. } = world.must(append("/f", "d", false)) else { panic!() };
    let next = located(world.must(add_block("/f", "d", None)));
    assert_eq!(next.offset, 100);

    world.file("/g", &[30]);
    let Reply::Appended { last: Some(last), .. } = world.must(append("/g", "d", true)) else { panic!() };
    assert_eq!(last.places, [], "only named, not to be written on");
    let next = located(world.must(add_block("/g", "d", Some(last.block))));
    assert_eq!(next.offset, 30);
}

#[test]
fn append_refusals() {
    let mut world = World::with_nodes();
    world.mkdirs("/d");
    let message = "Cannot append to directory /d; already exists as a directory.".to_owned();
    assert_eq!(world.refuse(append("/d", "c", false)), (ErrorCode::FileAlreadyExists, message));
    let message = "Failed to append to non-existent file /x for client 127.0.0.1".to_owned();
    assert_eq!(world.refuse(append("/x", "c", false)), (ErrorCode::FileNotFound, message));
    world.file("/f", &[30]);
    world.restart();
    world.state.observe(world.now, crate::api::Report::SafeMode(crate::api::SafeModeAction::ForceExit));
    let (_, message) = world.refuse(append("/f", "c", false));
    assert!(message.ends_with("of src=/f is not sufficiently replicated yet."), "{message}");
}

#[test]
fn create_over_an_existing_file() {
    let mut world = World::with_nodes();
    let old = world.file("/f", &[100]);
    let mut command = create("/f", "c");
    assert_eq!(
        world.refuse(command.clone()),
        (ErrorCode::FileAlreadyExists, "/f for client 127.0.0.1 already exists".to_owned())
    );
    if let Command::Create { overwrite, .. } = &mut command {
        *overwrite = true;
    }
    let Reply::Created(status) = world.must(command.clone()) else { panic!() };
    assert_ne!(status.id, old);
    assert_eq!(world.state.health(world.now).blocks, 0, "the old file's blocks are deletion work");
    let Reply::Created(again) = world.must(command) else { panic!() };
    assert_ne!(again.id, status.id, "even a file that is being written is replaced");
    assert_eq!(world.state.health(world.now).open_files, 1);
}

#[test]
fn a_long_file_spreads_over_rows_and_comes_back() {
    let mut world = World::with_nodes();
    let id = world.create("/f", "c");
    let mut previous = None;
    let mut edits = 0;
    for n in 0..600 {
        let made = edits_of(&world, &root(), &add_block("/f", "c", previous));
        edits = edits.max(made.len());
        let block = with_len(world.add_block("/f", "c", previous), 10 + n);
        world.receive(block);
        previous = Some(block);
        if n % 50 == 0 {
            world.checkpoint(3);
            assert_eq!(all_rows(&world.reload()), all_rows(&world.state));
        }
    }
    assert_eq!(edits, 2, "a commit and an addition, however long the file is");
    assert_eq!(world.must(complete("/f", "c", previous)), Reply::Done(true));
    assert_eq!((world.state.rows.block_count(id), world.state.rows.segments_of(id).count()), (600, 3));
    assert_eq!(len_of(&world, "/f"), (10..610).sum::<u64>());
    let mut row = Vec::new();
    for key in world.state.rows.all_keys() {
        row.clear();
        world.state.rows.encode_row(&key, &mut row);
        assert!(row.len() <= mammoth_protocol::limits::ROW_BYTES_MAX);
    }
    world.must(Command::SetReplication { path: path("/f"), replication: 2 });
    world.must(crate::testing::delete("/f", false));
    world.checkpoint(usize::MAX);
    assert_eq!(world.disk.rows, all_rows(&world.state));
    assert_eq!(world.state.health(world.now).blocks, 0);
}

#[test]
fn edits_name_the_inodes_that_answers_depend_on() {
    let mut world = World::with_nodes();
    let id = world.create("/d/f", "c");
    let edits = edits_of(&world, &root(), &add_block("/d/f", "c", None));
    assert_eq!(edits.iter().map(Edit::inode).collect::<Vec<_>>(), [Some(id)]);
    let block = world.add_block("/d/f", "c", None);
    let edits = edits_of(&world, &root(), &Command::UpdateBlockForPipeline { block, client: "c".to_owned() });
    assert_eq!(edits.iter().map(Edit::inode).collect::<Vec<_>>(), [None], "a stamp that no block has yet");
    let edits = edits_of(&world, &root(), &crate::testing::delete("/d/f", false));
    let parent = world.state.rows.inode(id).unwrap().parent;
    assert_eq!(edits.iter().map(Edit::inode).collect::<Vec<_>>(), [Some(id), Some(parent)]);
}
