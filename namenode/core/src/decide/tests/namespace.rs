//! Folders, renames, deletes, attributes.

use crate::api::{Answer, Command, CoreConfig, Query, Reply};
use crate::rows::Edit;
use crate::testing::{World, config, create, delete, edits_of, path, root};
use mammoth_protocol::limits::RECLAIM_SLICE;
use mammoth_protocol::{ErrorCode, InodeId};

fn mkdirs(text: &str, create_parent: bool) -> Command {
    Command::Mkdirs { path: path(text), mode: 0o755, create_parent }
}

fn rename(src: &str, dst: &str) -> Command {
    Command::Rename { src: path(src), dst: path(dst) }
}

fn rename2(src: &str, dst: &str, overwrite: bool) -> Command {
    Command::Rename2 { src: path(src), dst: path(dst), overwrite }
}

fn names(world: &World, text: &str) -> Vec<String> {
    let query = Query::Listing { path: path(text), start_after: Vec::new(), need_location: false };
    match world.ask(&root(), query) {
        Ok(Answer::Listing(Some(listing))) => listing.entries.into_iter().map(|entry| entry.name).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn mkdirs_makes_what_is_missing_once() {
    let mut world = World::new(config());
    world.mkdirs("/a/b/c");
    let after = world.seq;
    world.mkdirs("/a/b/c");
    world.mkdirs("/");
    assert_eq!(world.seq, after, "existing folders need no edit");
    assert_eq!(
        world.refuse(mkdirs("/x/y", false)),
        (ErrorCode::FileNotFound, "Parent directory doesn't exist: /x".to_owned())
    );
    assert_eq!(world.must(mkdirs("/x", false)), Reply::Done(true));
}

#[test]
fn files_are_in_the_way_of_folders() {
    let mut world = World::new(config());
    world.create("/f", "c");
    for (command, code, message) in [
        (mkdirs("/f", true), ErrorCode::FileAlreadyExists, "Path is not a directory: /f"),
        (mkdirs("/f/x", true), ErrorCode::ParentNotDirectory, "/f (is not a directory)"),
        (create("/f/x", "c"), ErrorCode::ParentNotDirectory, "/f (is not a directory)"),
        (create("/", "c"), ErrorCode::FileAlreadyExists, "/ already exists as a directory"),
        (
            mkdirs("/.reserved", true),
            ErrorCode::InvalidPath,
            "Invalid path name /.reserved: .reserved is a reserved name",
        ),
        (
            create("/a/.snapshot", "c"),
            ErrorCode::InvalidPath,
            "Invalid path name /a/.snapshot: .snapshot is a reserved name",
        ),
    ] {
        assert_eq!(world.refuse(command), (code, message.to_owned()));
    }
}

#[test]
fn folders_have_a_limit() {
    let mut world = World::new(CoreConfig { directory_entries_max: 2, ..config() });
    world.mkdirs("/a");
    world.create("/b", "c");
    let full = "The directory item limit of / is exceeded: limit=2 items=2".to_owned();
    assert_eq!(world.refuse(mkdirs("/c/d", true)), (ErrorCode::MaxDirectoryItemsExceeded, full.clone()));
    assert_eq!(world.refuse(create("/c", "c")), (ErrorCode::MaxDirectoryItemsExceeded, full.clone()));
    world.mkdirs("/a/x");
    assert_eq!(world.refuse(rename2("/a/x", "/x", false)), (ErrorCode::MaxDirectoryItemsExceeded, full));
    world.must(rename2("/b", "/c", false));
    let Command::Create { path, mode, create_parent, replication, block_size, client, .. } = create("/c", "d") else {
        unreachable!()
    };
    let overwrite = true;
    world.must(Command::Create { path, mode, overwrite, create_parent, replication, block_size, client });
}

#[test]
fn legacy_rename_table() {
    let cases: [(&str, &str, bool, &str); 9] = [
        ("/f", "/g", true, "/g"),
        ("/f", "/d", true, "/d/f"),
        ("/f", "/f", true, "/f"),
        ("/missing", "/g", false, "/f"),
        ("/f", "/e", false, "/f"),
        ("/f", "/no/g", false, "/f"),
        ("/d", "/d/sub", false, "/f"),
        ("/d", "/d", false, "/d"),
        ("/", "/x", false, "/f"),
    ];
    for (src, dst, done, exists) in cases {
        let mut world = World::new(config());
        world.create("/f", "c");
        world.create("/e", "c");
        world.mkdirs("/d");
        assert_eq!(world.must(rename(src, dst)), Reply::Done(done), "{src} to {dst}");
        assert!(world.exists(exists), "{src} to {dst}");
    }
}

#[test]
fn rename2_table() {
    use ErrorCode::{FileAlreadyExists, FileNotFound, Io, ParentNotDirectory};
    let cases = [
        ("/missing", "/g", false, FileNotFound, "rename source /missing is not found."),
        ("/", "/g", false, Io, "rename source cannot be the root"),
        ("/f", "/", true, Io, "rename destination cannot be the root"),
        ("/f", "/f", true, FileAlreadyExists, "The source /f and destination /f are the same"),
        ("/f", "/e", false, FileAlreadyExists, "rename destination /e already exists"),
        ("/f", "/d", true, Io, "Source /f and destination /d must both be directories"),
        ("/d", "/d/sub", true, Io, "Rename destination /d/sub is a directory or file under source /d"),
        ("/f", "/no/g", false, FileNotFound, "rename destination parent /no/g not found."),
        ("/f", "/e/g", false, ParentNotDirectory, "/e (is not a directory)"),
        ("/d", "/full", true, Io, "rename destination directory is not empty: /full"),
    ];
    let mut world = World::new(config());
    world.create("/f", "c");
    world.create("/e", "c");
    world.mkdirs("/d");
    world.mkdirs("/empty");
    world.mkdirs("/full/x");
    for (src, dst, overwrite, code, message) in cases {
        assert_eq!(world.refuse(rename2(src, dst, overwrite)), (code, message.to_owned()), "{src} to {dst}");
    }
    world.must(rename2("/f", "/e", true));
    world.must(rename2("/full", "/empty", true));
    assert!(!world.exists("/f") && world.exists("/e") && world.exists("/empty/x") && !world.exists("/full"));
}

#[test]
fn a_rename_is_one_edit_of_what_moves() {
    let mut world = World::new(config());
    for n in 0..100 {
        world.create(&format!("/big/{n}"), "c");
    }
    world.mkdirs("/to");
    let edits = edits_of(&world, &root(), &rename("/big", "/to"));
    let moved = edits.iter().filter(|edit| matches!(edit, Edit::Moved { .. })).count();
    assert_eq!((moved, edits.len()), (1, 3));
    world.must(rename("/big", "/to"));
    assert!(world.exists("/to/big/42") && !world.exists("/big/42"));
}

#[test]
fn deletes() {
    let mut world = World::new(config());
    world.create("/d/f", "c");
    assert_eq!(world.must(delete("/missing", true)), Reply::Done(false));
    assert_eq!(world.must(delete("/d/missing", true)), Reply::Done(false));
    assert_eq!(world.refuse(delete("/d", false)), (ErrorCode::PathIsNotEmptyDirectory, "/d is non empty".to_owned()));
    assert_eq!(world.must(delete("/", true)), Reply::Done(false), "the root stays");
    assert_eq!(world.must(delete("/d/f", false)), Reply::Done(true));
    assert_eq!(world.must(delete("/d", false)), Reply::Done(true));
    assert!(!world.exists("/d"));
}

#[test]
fn a_big_folder_goes_at_once_and_is_reclaimed_in_slices() {
    let mut world = World::new(config());
    for n in 0..RECLAIM_SLICE + 500 {
        world.create(&format!("/d/{}/{n}", n % 7), "c");
    }
    let edits = edits_of(&world, &root(), &delete("/d", true));
    assert_eq!(edits.len(), 2, "one detaching edit, and the parent's time: {edits:?}");
    world.must(delete("/d", true));
    assert!(!world.exists("/d") && names(&world, "/").is_empty());
    assert_eq!(world.refuse(mkdirs("/d/0", false)).0, ErrorCode::FileNotFound);
    let files = |world: &World| world.state.health(world.now).files as usize;
    assert_eq!(files(&world), RECLAIM_SLICE + 500);
    assert!(world.tick().more);
    let left = files(&world);
    assert!(left > 0 && left < RECLAIM_SLICE, "{left}");
    world.tick();
    assert_eq!(files(&world), 0);
    let health = world.state.health(world.now);
    assert_eq!((health.dirs, health.reclaiming, health.open_files), (1, 0, 0));
    assert!(!world.tick().more);
}

#[test]
fn a_writer_below_a_deleted_folder_is_refused() {
    let mut world = World::new(config());
    let id = world.create("/d/f", "c");
    world.must(delete("/d", true));
    let command = Command::Complete { path: path("/d/f"), file: Some(id), client: "c".to_owned(), last: None };
    let (code, message) = world.refuse(command);
    assert_eq!(code, ErrorCode::FileNotFound);
    assert!(message.starts_with("File does not exist: /d/f (inode "), "{message}");
}

#[test]
fn an_open_file_is_found_by_id_after_a_rename() {
    let mut world = World::new(config());
    let id = world.create("/f", "c");
    world.must(rename("/f", "/g"));
    let complete = |file| Command::Complete { path: path("/f"), file, client: "c".to_owned(), last: None };
    assert_eq!(world.refuse(complete(None)).0, ErrorCode::FileNotFound);
    assert_eq!(world.must(complete(Some(id))), Reply::Done(true));
}

#[test]
fn attributes() {
    let mut world = World::new(config());
    let file = world.create("/f", "c");
    world.mkdirs("/d");
    world.must(Command::SetPermission { path: path("/f"), mode: 0o7_777 });
    world.must(Command::SetOwner { path: path("/f"), owner: Some("u".to_owned()), group: None });
    world.must(Command::SetOwner { path: path("/f"), owner: None, group: Some("g".to_owned()) });
    world.must(Command::SetTimes { path: path("/f"), mtime_ms: Some(5), atime_ms: None });
    world.must(Command::SetTimes { path: path("/f"), mtime_ms: None, atime_ms: Some(6) });
    for (text, replication, done) in [("/f", 7, true), ("/d", 7, false), ("/missing", 7, false)] {
        let reply = world.must(Command::SetReplication { path: path(text), replication });
        assert_eq!(reply, Reply::Done(done), "{text}");
    }
    let status = world.state.status_of(file, String::new()).unwrap();
    assert_eq!((status.mode, &*status.owner, &*status.group), (0o1777, "u", "g"));
    assert_eq!((status.mtime_ms, status.atime_ms, status.replication), (5, 6, 7));
    for replication in [0, 513] {
        assert_eq!(world.refuse(Command::SetReplication { path: path("/f"), replication }).0, ErrorCode::Io);
    }
    let missing = || path("/missing");
    for command in [
        Command::SetPermission { path: missing(), mode: 0 },
        Command::SetOwner { path: missing(), owner: Some("u".to_owned()), group: None },
        Command::SetTimes { path: missing(), mtime_ms: Some(1), atime_ms: None },
    ] {
        assert_eq!(world.refuse(command).0, ErrorCode::FileNotFound);
    }
}

#[test]
fn folder_times_follow_their_entries() {
    let mut world = World::new(config());
    world.mkdirs("/a");
    world.mkdirs("/b");
    let mtime = |world: &World, id: u64| world.state.rows.inode(InodeId(id)).unwrap().mtime_ms;
    let (a, b) = (InodeId::ROOT.0 + 1, InodeId::ROOT.0 + 2);
    let start = mtime(&world, a);
    world.pass(10);
    world.create("/a/f", "c");
    assert_eq!((mtime(&world, a), mtime(&world, b)), (start + 10, start));
    world.pass(10);
    world.must(rename("/a/f", "/b/f"));
    assert_eq!((mtime(&world, a), mtime(&world, b)), (start + 20, start + 20));
    world.pass(10);
    world.must(delete("/b/f", false));
    assert_eq!((mtime(&world, a), mtime(&world, b)), (start + 20, start + 30));
}
