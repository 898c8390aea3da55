//! Answers, and what they depend on.

use crate::api::{
    AdminWish, Answer, Command, CoreConfig, DatanodeKind, FileBlocks, HostName, HostRules, Listing, Query, Reply,
    Report,
};
use crate::testing::{Node, World, add_block, config, path, root, user};
use mammoth_protocol::internal::ReplicaEvent;
use mammoth_protocol::{Block, ErrorCode, InodeId};
use std::collections::BTreeSet;

fn listing(world: &World, text: &str, start_after: &str, need_location: bool) -> Option<Listing> {
    let query = Query::Listing { path: path(text), start_after: start_after.into(), need_location };
    match world.ask(&root(), query) {
        Ok(Answer::Listing(listing)) => listing,
        other => panic!("{other:?}"),
    }
}

fn names(listing: &Listing) -> Vec<&str> {
    listing.entries.iter().map(|entry| &*entry.name).collect()
}

fn locations(world: &World, text: &str, offset: u64, len: u64) -> FileBlocks {
    match world.ask(&root(), Query::BlockLocations { path: path(text), offset, len }) {
        Ok(Answer::Blocks(blocks)) => *blocks,
        other => panic!("{other:?}"),
    }
}

fn saw(world: &World, query: &Query) -> Vec<u64> {
    let mut saw = Vec::new();
    let _ = world.state.query(world.now, 1, &root(), query, &mut saw);
    saw.sort_unstable();
    saw.dedup();
    saw.into_iter().map(|id| id.0 - InodeId::ROOT.0).collect()
}

#[test]
fn missing_paths_are_answers_or_errors_as_in_hdfs() {
    let mut world = World::new(config());
    world.mkdirs("/d");
    let missing = || path("/x");
    assert_eq!(world.ask(&root(), Query::FileInfo { path: missing() }), Ok(Answer::FileInfo(None)));
    assert_eq!(listing(&world, "/x", "", false), None);
    for (query, message) in [
        (Query::BlockLocations { path: missing(), offset: 0, len: 1 }, "File does not exist: /x"),
        (Query::BlockLocations { path: path("/d"), offset: 0, len: 1 }, "Path is not a file: /d"),
        (Query::ContentSummary { path: missing() }, "File does not exist: /x"),
        (Query::IsFileClosed { path: missing() }, "File does not exist: /x"),
        (Query::CheckAccess { path: missing(), mode: 1 }, "File does not exist: /x"),
    ] {
        let error = world.ask(&root(), query).expect_err(message);
        assert_eq!((error.code, &*error.message), (ErrorCode::FileNotFound, message));
    }
    world.create("/f", "c");
    let below = world.ask(&root(), Query::FileInfo { path: path("/f/x") }).expect_err("below a file");
    assert_eq!((below.code, &*below.message), (ErrorCode::ParentNotDirectory, "/f (is not a directory)"));
}

#[test]
fn listings_come_in_byte_order_and_pages() {
    let mut world = World::new(CoreConfig { listing_page: 3, ..config() });
    let mut expected = Vec::new();
    // Names arrive in no order; chunks split where they are full and where they are not.
    for n in 0..2_000_u32 {
        let name = format!("n{}", n.wrapping_mul(2_654_435_761) % 100_000);
        world.must(Command::Mkdirs { path: path(&format!("/d/{name}")), mode: 0o755, create_parent: true });
        expected.push(name);
    }
    expected.sort();
    expected.dedup();
    let mut after = String::new();
    let mut found = Vec::new();
    loop {
        let page = listing(&world, "/d", &after, false).expect("a folder");
        assert_eq!(page.remaining as usize, expected.len() - found.len() - page.entries.len());
        found.extend(names(&page).into_iter().map(str::to_owned));
        match page.entries.last() {
            Some(last) if page.remaining > 0 => after = last.name.clone(),
            _ => break,
        }
    }
    assert_eq!(found, expected);
    let between = listing(&world, "/d", "n5", false).expect("a folder");
    assert_eq!(names(&between)[0], expected.iter().find(|name| name.as_str() > "n5").unwrap());
}

#[test]
fn names_come_and_go_in_a_large_folder() {
    let mut world = World::new(CoreConfig { listing_page: 5_000, ..config() });
    world.mkdirs("/d");
    let text = |number: u32| format!("/d/{number:04}");
    let mut there = BTreeSet::new();
    for step in 0..3_600_u32 {
        // Two chunks and a half in order, then any of them and as many others.
        let number = if step < 1_300 { 2 * step } else { step.wrapping_mul(2_654_435_761) % 2_600 };
        if there.remove(&number) {
            world.must(Command::Delete { path: path(&text(number)), recursive: false });
        } else {
            world.mkdirs(&text(number));
            there.insert(number);
        }
        if step % 400 == 399 {
            let found = |number: &u32| {
                let info = world.ask(&root(), Query::FileInfo { path: path(&text(*number)) });
                matches!(info, Ok(Answer::FileInfo(Some(_))))
            };
            assert!((0..2_600).filter(found).eq(there.iter().copied()), "after step {step}");
            let page = listing(&world, "/d", "", false).expect("a folder");
            assert!(names(&page).into_iter().eq(there.iter().map(|n| format!("{n:04}"))), "after step {step}");
        }
    }
}

#[test]
fn a_file_and_an_empty_folder_list_themselves_and_nothing() {
    let mut world = World::with_nodes();
    world.file("/f", &[100, 5]);
    world.mkdirs("/d");
    let page = listing(&world, "/f", "", true).expect("a file");
    assert_eq!(names(&page), [""]);
    assert_eq!(page.entries[0].blocks.as_ref().map(|blocks| blocks.blocks.len()), Some(2));
    assert_eq!(listing(&world, "/d", "", false), Some(Listing { entries: Vec::new(), remaining: 0 }));
    let entries = listing(&world, "/", "", true).expect("a folder").entries;
    assert_eq!((entries[0].is_dir, entries[0].children, &entries[0].blocks), (true, 0, &None));
    assert_eq!((entries[1].is_dir, entries[1].len, entries[1].replication), (false, 105, 3));
}

#[test]
fn a_page_with_locations_ends_early() {
    let mut world = World::new(CoreConfig { listing_page: 3, ..config() });
    world.join(3);
    for name in ["/a", "/b", "/c"] {
        world.file(name, &[100, 100]);
    }
    let page = listing(&world, "/", "", true).expect("a folder");
    assert_eq!((names(&page), page.remaining), (vec!["a", "b"], 1));
}

#[test]
fn locations_of_a_range() {
    let mut world = World::with_nodes();
    world.file("/f", &[100, 100, 30]);
    for (offset, len, expected) in [
        (0, 1, vec![0]),
        (0, 100, vec![0]),
        (0, 101, vec![0, 100]),
        (99, 2, vec![0, 100]),
        (100, u64::MAX, vec![100, 200]),
        (229, 1, vec![200]),
        (230, 1, vec![]),
        (0, 0, vec![]),
    ] {
        let found = locations(&world, "/f", offset, len);
        let offsets: Vec<u64> = found.blocks.iter().map(|block| block.offset).collect();
        assert_eq!(offsets, expected, "{len} bytes from {offset}");
        assert!(found.blocks.iter().all(|block| block.places.len() == 3 && !block.corrupt));
        assert_eq!((found.len, found.open, found.last_complete), (230, false, true));
        assert_eq!(found.last.map(|last| (last.offset, last.block.len)), Some((200, 30)));
    }
    world.create("/empty", "c");
    let found = locations(&world, "/empty", 0, 1);
    assert_eq!((found.len, found.open, found.last, found.last_complete), (0, true, None, true));
}

#[test]
fn a_block_under_construction_is_beyond_the_files_length() {
    let mut world = World::with_nodes();
    world.create("/f", "c");
    let first = Block { len: 100, ..world.add_block("/f", "c", None) };
    world.receive(first);
    let second = world.add_block("/f", "c", Some(first));
    let found = locations(&world, "/f", 0, 1_000);
    assert_eq!((found.len, found.open, found.last_complete), (100, true, false));
    assert_eq!(found.blocks.len(), 2);
    let last = found.last.expect("a last block");
    assert_eq!((last.block, last.offset, last.places.len()), (second, 100, 3));
    let client = || "c".to_owned();
    world.must(Command::Fsync { path: path("/f"), file: None, client: client(), last_len: Some(40) });
    assert_eq!(locations(&world, "/f", 120, 10).blocks.len(), 1);
    // Readers never hear of a replica with the old stamp (I3).
    let Reply::Block(new) = world.must(Command::UpdateBlockForPipeline { block: second, client: client() }) else {
        panic!()
    };
    let new = Block { len: 40, ..new.block };
    let storages: Vec<_> = world.nodes[1..].iter().map(Node::storage).collect();
    world.tell(0, ReplicaEvent::Receiving(second));
    world.must(Command::UpdatePipeline { client: client(), old: second, new, storages: storages.clone() });
    let mut places: Vec<_> =
        locations(&world, "/f", 100, 1).blocks[0].places.iter().map(|place| place.storage).collect();
    places.sort_unstable();
    assert_eq!(places, storages);
}

#[test]
fn more_places_for_a_pipeline() {
    let mut world = World::with_nodes();
    world.create("/f", "c");
    let block = world.add_block("/f", "c", None);
    world.join(1);
    let existing: Vec<_> =
        world.state.blocks.places_of_pipeline(block.id).iter().take(2).map(|place| place.storage).collect();
    let query = |client: &str| Query::AdditionalDatanode {
        path: path("/f"),
        file: None,
        client: client.to_owned(),
        block,
        existing: existing.clone(),
        exclude: Vec::new(),
        count: 1,
    };
    let Ok(Answer::Block(found)) = world.ask(&root(), query("c")) else { panic!() };
    let found: Vec<_> = found.places.iter().map(|place| place.storage).collect();
    assert_eq!((&found[..2], found.len()), (&existing[..], 3));
    assert!(!existing.contains(&found[2]));
    assert_eq!(world.ask(&root(), query("d")).map_err(|error| error.code), Err(ErrorCode::LeaseExpired));
}

#[test]
fn summaries_and_health() {
    let mut world = World::with_nodes();
    world.file("/d/f", &[100, 20]);
    world.file("/d/e/g", &[7]);
    world.must(Command::SetReplication { path: path("/d/e/g"), replication: 1 });
    let summary = |text: &str| match world.ask(&root(), Query::ContentSummary { path: path(text) }) {
        Ok(Answer::Summary(sum)) => (sum.len, sum.files, sum.dirs, sum.space),
        other => panic!("{other:?}"),
    };
    assert_eq!(summary("/d"), (127, 2, 2, 367));
    assert_eq!(summary("/d/f"), (120, 1, 0, 360));
    assert_eq!(summary("/"), (127, 2, 3, 367));
    let Ok(Answer::Health(health)) = world.ask(&root(), Query::Health) else { panic!() };
    assert_eq!((health.files, health.dirs, health.blocks, health.open_files, health.live), (2, 3, 3, 0, 3));
    let Ok(Answer::Datanodes(live)) = world.ask(&root(), Query::Datanodes { kind: DatanodeKind::Live }) else {
        panic!()
    };
    assert_eq!(live.len(), 3);
    let Ok(Answer::Stats(stats)) = world.ask(&root(), Query::FsStats) else { panic!() };
    assert_eq!(stats.capacity, 3 << 40);
}

#[test]
fn files_that_nobody_can_read_are_named_once() {
    let mut world = World::with_nodes();
    world.file("/a/f", &[100, 100, 100]);
    world.file("/g", &[5]);
    world.restart();
    world.observe(crate::api::Report::SafeMode(crate::api::SafeModeAction::ForceExit));
    for at in 0..3 {
        world.register(at);
    }
    world.pass(3_000);
    let corrupt = |max| world.ask(&root(), Query::CorruptFiles { max });
    assert_eq!(corrupt(10), Ok(Answer::Paths(vec![path("/a/f"), path("/g")])));
    assert_eq!(corrupt(1), Ok(Answer::Paths(vec![path("/a/f")])));
    assert_eq!(corrupt(0), Ok(Answer::Paths(Vec::new())));
}

#[test]
fn answers_name_what_they_depend_on() {
    let mut world = World::with_nodes();
    let a = world.file("/d/a", &[1]).0 - InodeId::ROOT.0;
    let b = world.file("/d/b", &[1]).0 - InodeId::ROOT.0;
    let (root_id, d) = (0, 1);
    assert_eq!(saw(&world, &Query::FileInfo { path: path("/d/a") }), [root_id, d, a]);
    assert_eq!(saw(&world, &Query::FileInfo { path: path("/d/x/y") }), [root_id, d], "a missing path: where it ends");
    let listing = Query::Listing { path: path("/d"), start_after: Vec::new(), need_location: false };
    assert_eq!(saw(&world, &listing), [root_id, d, a, b]);
    assert_eq!(saw(&world, &Query::ContentSummary { path: path("/d") }), [root_id, d, a, b]);
    assert_eq!(saw(&world, &Query::FsStats), []);
    // The edits of a change name one of them, so that an answer which saw it can be held back.
    let edits = crate::testing::edits_of(&world, &root(), &crate::testing::delete("/d/a", false));
    assert!(edits.iter().any(|edit| edit.inode() == Some(InodeId(InodeId::ROOT.0 + d))));
    let edits = crate::testing::edits_of(&world, &root(), &add_block("/d/a", "c", None));
    assert!(edits.is_empty(), "it is closed");
}

#[test]
fn blocks_that_nobody_can_read_and_single_ones_are_told_to_superusers_only() {
    let mut world = World::with_nodes();
    world.create("/f", "c");
    let block = world.add_block("/f", "c", None);
    let state = |world: &World, id| match world.ask(&root(), Query::BlockState { id }) {
        Ok(Answer::BlockState(state)) => state,
        other => panic!("{other:?}"),
    };
    let found = state(&world, block.id).expect("the file's");
    assert_eq!((found.file, found.wanted), (path("/f"), 3));
    assert_eq!(state(&world, mammoth_protocol::BlockId(5)), None);
    let none = Ok(Answer::CorruptBlocks { found: Vec::new(), next: None });
    assert_eq!(world.ask(&root(), Query::CorruptBlocks { after: None, max: 10 }), none);
    let other = mammoth_protocol::Caller { user: "somebody".to_owned(), ..root() };
    for query in [Query::BlockState { id: block.id }, Query::CorruptBlocks { after: None, max: 10 }] {
        assert_eq!(world.ask(&other, query).expect_err("refused").code, ErrorCode::AccessControl);
    }
}

#[test]
fn open_files_come_by_id_in_pages_for_the_superuser() {
    let mut world = World::with_nodes();
    world.mkdirs("/d");
    let ids = ["/d/a", "/b", "/d/c"].map(|text| world.create(text, "w"));
    world.file("/closed", &[100]);
    let ask = |world: &World, after: InodeId, below: &str, blocking: bool, max: usize| {
        let query = Query::OpenFiles { after, below: path(below), blocking, max };
        match world.ask(&root(), query) {
            Ok(Answer::OpenFiles { files, more }) => {
                (files.into_iter().map(|file| (file.id, file.path, file.client)).collect::<Vec<_>>(), more)
            }
            other => panic!("{other:?}"),
        }
    };
    let entry = |at: usize, text: &str| (ids[at], text.to_owned(), "w".to_owned());
    let (a, b, c) = (entry(0, "/d/a"), entry(1, "/b"), entry(2, "/d/c"));
    assert_eq!(ask(&world, InodeId(0), "/", false, 2), (vec![a.clone(), b.clone()], true));
    assert_eq!(ask(&world, ids[1], "/", false, 2), (vec![c.clone()], false));
    assert_eq!(ask(&world, InodeId(0), "/d", false, 9), (vec![a, c], false));
    assert_eq!(ask(&world, InodeId(0), "/b", false, 9), (vec![b.clone()], false));
    assert_eq!(ask(&world, InodeId(0), "/none", false, 9), (Vec::new(), false));
    let block = world.add_block("/b", "w", None);
    world.tell(0, ReplicaEvent::Receiving(block));
    assert_eq!(ask(&world, InodeId(0), "/", true, 9), (Vec::new(), false));
    let host = HostName { host: "dn1".to_owned(), port: None };
    let rules = HostRules { included: Vec::new(), wishes: vec![(host, AdminWish::Decommissioned)] };
    world.observe(Report::Hosts(rules));
    assert_eq!(ask(&world, InodeId(0), "/", true, 9), (vec![b], false));
    let query = Query::OpenFiles { after: InodeId(0), below: path("/"), blocking: false, max: 1 };
    assert_eq!(world.ask(&user("eve", &[]), query).unwrap_err().code, ErrorCode::AccessControl);
}

#[test]
fn blocks_of_a_datanode_and_what_there_is_to_do_are_told_to_superusers_only() {
    let mut world = World::with_nodes();
    let file = world.file("/d/f", &[100, 40]);
    let datanode = world.nodes[0].id();
    let on = Query::BlocksOn { datanode, bytes: 1 << 30, min_len: 50 };
    let Ok(Answer::BlocksOn(found)) = world.ask(&root(), on.clone()) else { panic!("no blocks") };
    let [only] = &found[..] else { panic!("{found:?}") };
    assert_eq!((only.file, only.block.len, only.places.len()), (file, 100, 3));
    assert_eq!(saw(&world, &on), [file.0 - InodeId::ROOT.0]);
    let nobody = Query::BlocksOn { datanode: mammoth_protocol::DatanodeId::default(), bytes: 1, min_len: 0 };
    assert_eq!(world.ask(&root(), nobody).expect_err("no such").code, ErrorCode::IllegalArgument);
    // One replica is lost, one of the other block goes bad.
    let Ok(Answer::Ledger(quiet)) = world.ask(&root(), Query::Ledger { max: 10 }) else { panic!("no ledger") };
    assert_eq!((quiet.inodes, quiet.blocks, quiet.live, quiet.datanodes.len()), (3, 2, 3, 3));
    assert_eq!((quiet.under_replicated, quiet.missing, quiet.corrupt_replicas), (0, 0, 0));
    world.tell(0, ReplicaEvent::Bad(only.block));
    let Ok(Answer::Ledger(ledger)) = world.ask(&root(), Query::Ledger { max: 10 }) else { panic!("no ledger") };
    assert_eq!((ledger.under_replicated, ledger.waiting.len(), ledger.corrupt.len()), (1, 1, 1));
    assert_eq!((ledger.waiting[0].path.as_deref(), ledger.waiting[0].block), (Some("/d/f"), only.block));
    let Ok(Answer::Ledger(cut)) = world.ask(&root(), Query::Ledger { max: 0 }) else { panic!("no ledger") };
    assert_eq!((cut.under_replicated, cut.waiting.len(), cut.corrupt.len()), (1, 0, 0));
    let other = mammoth_protocol::Caller { user: "somebody".to_owned(), ..root() };
    for query in [on, Query::Ledger { max: 1 }] {
        assert_eq!(world.ask(&other, query).expect_err("refused").code, ErrorCode::AccessControl);
    }
}
