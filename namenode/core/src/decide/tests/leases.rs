//! Leases: who may write, what happens to a file whose writer is gone, and how its last block is recovered.

use crate::api::{Answer, Command, InternalCommand, Query, Reply, Report, SafeModeAction};
use crate::derived::NAMENODE_HOLDER;
use crate::testing::{World, add_block, all_rows, complete, create, delete, path, root};
use mammoth_protocol::internal::{CommitBlockSync, DnCommand, ReplicaEvent};
use mammoth_protocol::{Block, ErrorCode, GenStamp, InodeId, StorageId};

const SOFT_MS: u64 = 60_000;
const HARD_MS: u64 = 1_200_000;

fn recover(text: &str) -> Command {
    Command::RecoverLease { path: path(text), client: "r".to_owned() }
}

fn append(text: &str, client: &str) -> Command {
    Command::Append { path: path(text), client: client.to_owned(), new_block: false }
}

fn is_closed(world: &World, text: &str) -> bool {
    world.ask(&root(), Query::IsFileClosed { path: path(text) }) == Ok(Answer::Bool(true))
}

fn holder(world: &World, id: InodeId) -> Option<String> {
    world.state.rows.inode(id)?.lease().map(|lease| lease.client.to_string())
}

fn recovery_stamp(world: &World, id: InodeId) -> Option<GenStamp> {
    world.state.rows.last_block(id)?.2?.recovery
}

/// The recovery that some datanode is ordered to lead.
fn order(world: &mut World) -> Option<(Block, GenStamp, Vec<StorageId>)> {
    let orders: Vec<DnCommand> = (0..world.nodes.len()).flat_map(|at| world.heartbeat(at)).collect();
    let mut found = orders.into_iter().filter_map(|order| match order {
        DnCommand::Recover { block, new_stamp, replicas, cut: None } => {
            Some((block, new_stamp, replicas.iter().map(|replica| replica.storage).collect()))
        }
        _ => None,
    });
    let first = found.next();
    assert!(found.next().is_none(), "one leader");
    first
}

fn commit(world: &World, block: Block, new_stamp: GenStamp, new_len: u64, delete: bool) -> Command {
    Command::CommitBlockSync(CommitBlockSync {
        datanode: world.nodes[0].id(),
        epoch: Default::default(),
        block,
        new_stamp,
        new_len,
        delete,
        storages: world.nodes.iter().map(crate::testing::Node::storage).collect(),
    })
}

/// `/f` of client `c`, with one block under construction that all three datanodes are writing.
fn writing() -> (World, InodeId, Block) {
    let mut world = World::with_nodes();
    let id = world.create("/f", "c");
    let block = world.add_block("/f", "c", None);
    for at in 0..3 {
        world.tell(at, ReplicaEvent::Receiving(block));
    }
    (world, id, block)
}

#[test]
fn a_renewed_lease_lasts() {
    let mut world = World::with_nodes();
    let id = world.create("/f", "c");
    for _ in 0..30 {
        world.pass(SOFT_MS);
        world.observe(Report::RenewLease { client: "c".to_owned() });
    }
    assert_eq!(holder(&world, id).as_deref(), Some("c"));
    assert_eq!(world.refuse(append("/f", "d")).0, ErrorCode::AlreadyBeingCreated);
}

#[test]
fn nobody_renews_the_namenodes_own_lease() {
    let (mut world, id, _) = writing();
    assert_eq!(world.must(recover("/f")), Reply::Done(false));
    world.observe(Report::RenewLease { client: NAMENODE_HOLDER.to_owned() });
    assert_eq!(holder(&world, id).as_deref(), Some(NAMENODE_HOLDER));
    assert_eq!(world.refuse(complete("/f", "c", None)).0, ErrorCode::LeaseExpired, "the old writer is fenced");
    for command in [complete("/f", NAMENODE_HOLDER, None), add_block("/f", NAMENODE_HOLDER, None)] {
        assert_eq!(world.refuse(command).0, ErrorCode::LeaseExpired, "nobody can pretend to be the namenode");
    }
}

#[test]
fn after_the_soft_limit_another_may_take_an_idle_file_over() {
    let mut world = World::with_nodes();
    world.file("/f", &[30]);
    world.must(append("/f", "c"));
    world.must(Command::Fsync { path: path("/f"), file: None, client: "c".to_owned(), last_len: None });
    world.file("/g", &[100]);
    world.must(append("/g", "c"));
    world.pass(SOFT_MS + 1);
    // Nothing of /g is under construction: the old writer's open is closed and the new one's begins, in one decision.
    let Reply::Appended { last: None, .. } = world.must(append("/g", "d")) else { panic!() };
    // The last block of /f is: datanodes must agree on it first.
    let Reply::Refused(why) = world.must(append("/f", "d")) else { panic!() };
    assert_eq!(why.code, ErrorCode::RecoveryInProgress);
    assert!(why.message.ends_with("because lease recovery is in progress. Try again later."), "{why}");
    assert_eq!(world.refuse(append("/f", "d")).0, ErrorCode::RecoveryInProgress);
    let (block, stamp, _) = order(&mut world).expect("a leader");
    world.must(commit(&world, block, stamp, 33, false));
    for at in 0..3 {
        world.tell(at, ReplicaEvent::Received(Block { stamp, len: 33, ..block }));
    }
    let Reply::Appended { last: Some(last), .. } = world.must(append("/f", "d")) else { panic!() };
    assert_eq!((last.block.len, last.block.stamp), (33, stamp));
}

#[test]
fn create_meets_an_expired_writer() {
    let (mut world, _, _) = writing();
    assert_eq!(world.refuse(create("/f", "d")).0, ErrorCode::AlreadyBeingCreated);
    world.pass(SOFT_MS + 1);
    let Reply::Refused(why) = world.must(create("/f", "d")) else { panic!() };
    assert_eq!(why.code, ErrorCode::RecoveryInProgress);

    world.create("/g", "c");
    world.pass(SOFT_MS + 1);
    let Reply::Refused(why) = world.must(create("/g", "d")) else { panic!() };
    assert_eq!(why.code, ErrorCode::FileAlreadyExists, "it was closed, empty, and it exists");
    assert!(is_closed(&world, "/g"));
}

#[test]
fn a_recovery_ends_with_its_own_commit() {
    let (mut world, id, block) = writing();
    assert_eq!(world.must(recover("/f")), Reply::Done(false));
    let stamp = recovery_stamp(&world, id).unwrap();
    assert!(stamp > block.stamp);
    let (ordered, new_stamp, replicas) = order(&mut world).expect("a leader");
    assert_eq!((ordered.id, ordered.stamp, new_stamp, replicas.len()), (block.id, block.stamp, stamp, 3));
    let after = world.seq;
    assert_eq!(world.must(recover("/f")), Reply::Done(false));
    assert_eq!(world.seq, after, "one attempt at a time");
    for wrong in [GenStamp(stamp.0 - 1), GenStamp(stamp.0 + 1), block.stamp] {
        let (_, message) = world.refuse(commit(&world, block, wrong, 10, false));
        assert!(message.contains("does not match current recovery id"), "{message}");
    }
    world.must(commit(&world, block, stamp, 10, false));
    assert!(is_closed(&world, "/f"));
    let after = world.seq;
    world.must(commit(&world, block, stamp, 10, false));
    assert_eq!(world.seq, after, "the leader asks again because our answer was lost");
    assert_eq!(world.must(recover("/f")), Reply::Done(true));
    let file = world.state.status_of(id, String::new()).unwrap();
    assert_eq!(file.len, 10);
    assert_eq!(world.state.rows.last_block(id).unwrap().1.stamp, stamp);
}

#[test]
fn an_attempt_that_takes_too_long_is_replaced() {
    let (mut world, id, block) = writing();
    world.must(recover("/f"));
    let first = recovery_stamp(&world, id).unwrap();
    assert!(order(&mut world).is_some());
    for _ in 0..20 {
        world.pass(3_000);
    }
    let second = recovery_stamp(&world, id).unwrap();
    assert!(second > first);
    let (_, message) = world.refuse(commit(&world, block, first, 10, false));
    assert!(message.contains("does not match"), "the late leader is fenced: {message}");
    world.must(commit(&world, block, second, 12, false));
    assert!(is_closed(&world, "/f"));
}

#[test]
fn a_block_without_data_is_taken_off() {
    let (mut world, id, block) = writing();
    world.must(recover("/f"));
    let stamp = recovery_stamp(&world, id).unwrap();
    world.must(commit(&world, block, stamp, 0, true));
    assert!(is_closed(&world, "/f"));
    assert_eq!(world.state.rows.block_count(id), 0);
    world.must(commit(&world, block, stamp, 0, true));
    let (_, message) = world.refuse(commit(&world, block, stamp, 5, false));
    assert!(message.contains("not found"), "{message}");
}

#[test]
fn a_block_known_to_have_data_is_not_dropped_as_empty() {
    let (mut world, id, block) = writing();
    world.must(Command::Fsync { path: path("/f"), file: None, client: "c".to_owned(), last_len: Some(7) });
    world.must(recover("/f"));
    let stamp = recovery_stamp(&world, id).unwrap();
    assert_eq!(world.refuse(commit(&world, block, stamp, 0, true)).0, ErrorCode::Io);
    assert_eq!(world.state.rows.block_count(id), 1);
}

#[test]
fn a_block_that_never_reached_a_datanode_goes_once_its_writer_is_silent() {
    let mut world = World::with_nodes();
    let id = world.create("/f", "c");
    world.add_block("/f", "c", None);
    world.pass(SOFT_MS + 1);
    assert_eq!(world.must(recover("/f")), Reply::Done(true));
    assert_eq!((world.state.rows.block_count(id), is_closed(&world, "/f")), (0, true));
    // With a writer that was heard of just now, its first packet may be under way: the datanodes are asked.
    let id = world.create("/g", "c");
    world.add_block("/g", "c", None);
    assert_eq!(world.must(recover("/g")), Reply::Done(false));
    assert_eq!(world.state.rows.block_count(id), 1);
    assert!(order(&mut world).is_some());
}

#[test]
fn a_committed_block_waits_for_its_replicas() {
    let mut world = World::with_nodes();
    let id = world.create("/f", "c");
    let block = Block { len: 10, ..world.add_block("/f", "c", None) };
    assert_eq!(world.must(complete("/f", "c", Some(block))), Reply::Done(false));
    assert_eq!(world.must(recover("/f")), Reply::Done(false));
    assert_eq!(holder(&world, id).as_deref(), Some(NAMENODE_HOLDER));
    world.pass(3_000);
    assert!(!is_closed(&world, "/f"));
    world.tell(0, ReplicaEvent::Received(block));
    world.pass(3_000);
    assert!(is_closed(&world, "/f"), "the tick closes it");
    assert_eq!(world.state.health(world.now).recoveries, 0);
}

#[test]
fn after_the_hard_limit_the_namenode_closes_files_by_itself() {
    let (mut world, id, block) = writing();
    world.create("/empty", "c");
    world.create("/other", "lives");
    for _ in 0..HARD_MS / 30_000 {
        world.pass(30_000);
        world.observe(Report::RenewLease { client: "lives".to_owned() });
        assert_eq!(holder(&world, id).as_deref(), Some("c"));
    }
    world.pass(1);
    assert_eq!(holder(&world, id).as_deref(), Some(NAMENODE_HOLDER));
    assert!(is_closed(&world, "/empty") && !is_closed(&world, "/other"));
    let (_, stamp, _) = order(&mut world).expect("a leader");
    world.must(commit(&world, block, stamp, 10, false));
    assert!(is_closed(&world, "/f"));
    assert_eq!(world.state.health(world.now).open_files, 1);
}

#[test]
fn an_expiry_is_judged_by_the_present_state() {
    let (mut world, id, _) = writing();
    let expire = |holder: &str| Command::Internal(InternalCommand::ExpireLease { file: id, holder: holder.to_owned() });
    world.must(expire("c"));
    world.pass(HARD_MS - 10);
    world.observe(Report::RenewLease { client: "c".to_owned() });
    world.pass(20);
    world.must(expire("c"));
    world.must(expire("d"));
    world.must(Command::Internal(InternalCommand::ContinueRecovery { file: id }));
    assert_eq!(holder(&world, id).as_deref(), Some("c"));
}

#[test]
fn a_restarted_namenode_waits_for_all_who_may_have_data() {
    let (mut world, id, block) = writing();
    world.restart();
    world.state.observe(world.now, Report::SafeMode(SafeModeAction::ForceExit));
    world.now.monotonic_ms += HARD_MS + 1;
    world.tick();
    assert_eq!(world.state.rows.block_count(id), 1, "nobody has said anything yet");
    assert_eq!(holder(&world, id).as_deref(), Some(NAMENODE_HOLDER));
    let stamp = recovery_stamp(&world, id).unwrap();
    for _ in 0..10 {
        world.now.monotonic_ms += 30_000;
        world.tick();
    }
    assert_eq!(recovery_stamp(&world, id), Some(stamp), "without a leader there is no new attempt");
    world.register(0);
    world.tell(0, ReplicaEvent::Receiving(block));
    world.tick();
    assert_eq!(order_of(&mut world, 0), Some(stamp));
    assert_eq!(all_rows(&world.reload()), all_rows(&world.state));
}

fn order_of(world: &mut World, at: usize) -> Option<GenStamp> {
    world.heartbeat(at).into_iter().find_map(|order| match order {
        DnCommand::Recover { new_stamp, .. } => Some(new_stamp),
        _ => None,
    })
}

#[test]
fn a_recovery_goes_on_after_a_restart() {
    let (mut world, id, block) = writing();
    world.must(recover("/f"));
    let stamp = recovery_stamp(&world, id).unwrap();
    world.restart();
    for at in 0..3 {
        world.register(at);
    }
    world.pass(3_000);
    let again = recovery_stamp(&world, id).unwrap();
    assert!(again > stamp, "a leader may have used the first one for some replicas");
    assert_eq!(order(&mut world).map(|(block, stamp, _)| (block.id, stamp)), Some((block.id, again)));
    assert_eq!(world.refuse(commit(&world, block, stamp, 10, false)).0, ErrorCode::Io);
    world.must(commit(&world, block, again, 10, false));
    assert!(is_closed(&world, "/f"));
}

#[test]
fn after_a_restart_every_holder_counts_as_heard_of() {
    let mut world = World::with_nodes();
    let id = world.create("/f", "c");
    world.pass(HARD_MS);
    world.restart();
    world.tick();
    assert_eq!(holder(&world, id).as_deref(), Some("c"));
    assert_eq!(world.refuse(append("/f", "d")).0, ErrorCode::AlreadyBeingCreated);
    world.must(Command::Complete { path: path("/f"), file: Some(id), client: "c".to_owned(), last: None });
}

#[test]
fn a_deleted_file_in_recovery_is_let_go() {
    let (mut world, id, block) = writing();
    world.must(recover("/f"));
    let stamp = recovery_stamp(&world, id).unwrap();
    world.must(delete("/f", false));
    assert_eq!(world.refuse(commit(&world, block, stamp, 10, false)).0, ErrorCode::Io);
    assert_eq!(world.state.health(world.now).recoveries, 0);

    world.create("/d/g", "c");
    let block = world.add_block("/d/g", "c", None);
    world.tell(0, ReplicaEvent::Receiving(block));
    world.must(recover("/d/g"));
    let id = world.state.blocks.get(block.id).unwrap().inode;
    let stamp = recovery_stamp(&world, id).unwrap();
    world.must(delete("/d", true));
    assert_eq!(world.refuse(commit(&world, block, stamp, 10, false)).0, ErrorCode::FileNotFound);
    world.pass(3_000);
    assert_eq!(world.state.health(world.now).recoveries, 0);
}

#[test]
fn nothing_changes_in_safe_mode() {
    let (mut world, id, block) = writing();
    world.observe(Report::SafeMode(SafeModeAction::Enter));
    let (code, message) = world.refuse(create("/x", "c"));
    assert_eq!(code, ErrorCode::SafeMode);
    assert!(
        message.starts_with("Cannot create file/x. Name node is in safe mode.\nIt was turned on manually."),
        "{message}"
    );
    for command in [
        Command::Mkdirs { path: path("/x"), mode: 0, create_parent: true },
        append("/f", "d"),
        add_block("/f", "c", None),
        Command::AbandonBlock { path: path("/f"), file: None, client: "c".to_owned(), block },
        complete("/f", "c", Some(block)),
        Command::Fsync { path: path("/f"), file: None, client: "c".to_owned(), last_len: None },
        Command::UpdateBlockForPipeline { block, client: "c".to_owned() },
        Command::UpdatePipeline { client: "c".to_owned(), old: block, new: block, storages: Vec::new() },
        recover("/f"),
        Command::Truncate { path: path("/f"), len: 0, client: "c".to_owned() },
        Command::Concat { target: path("/f"), sources: vec![path("/g")] },
        Command::Rename { src: path("/f"), dst: path("/g") },
        Command::Rename2 { src: path("/f"), dst: path("/g"), overwrite: true },
        delete("/f", true),
        Command::SetReplication { path: path("/f"), replication: 1 },
        Command::SetPermission { path: path("/f"), mode: 0 },
        Command::SetOwner { path: path("/f"), owner: None, group: None },
        Command::SetTimes { path: path("/f"), mtime_ms: None, atime_ms: None },
        commit(&world, block, GenStamp(1), 0, false),
        Command::Internal(InternalCommand::ExpireLease { file: id, holder: "c".to_owned() }),
        Command::Internal(InternalCommand::ContinueRecovery { file: id }),
        Command::Internal(InternalCommand::Reclaim { root: id }),
        Command::Internal(InternalCommand::ForgetRetries),
    ] {
        assert_eq!(world.refuse(command).0, ErrorCode::SafeMode);
    }
    world.now.monotonic_ms += HARD_MS + 1;
    assert_eq!(world.tick().commands, []);
    assert!(world.exists("/f"), "reads work");
    world.observe(Report::SafeMode(SafeModeAction::Leave));
    world.create("/x", "c");
}
