//! Who may do what.

use crate::api::{Command, CoreConfig, Query, Reply};
use crate::testing::{World, config, create, delete, path, root, user};
use mammoth_protocol::{Caller, ErrorCode};

/// `/home` of alice (staff) with mode, `/home/f` of alice 0640, `/home/sub/g` of alice.
fn world(mode: u16) -> World {
    let mut world = World::new(config());
    world.mkdirs("/home/sub");
    for text in ["/home/f", "/home/sub/g"] {
        world.create(text, "c");
        world.must(Command::Complete { path: path(text), file: None, client: "c".to_owned(), last: None });
    }
    for text in ["/home", "/home/f", "/home/sub", "/home/sub/g"] {
        let (owner, group) = (Some("alice".to_owned()), Some("staff".to_owned()));
        world.must(Command::SetOwner { path: path(text), owner, group });
    }
    world.must(Command::SetPermission { path: path("/home"), mode });
    world.must(Command::SetPermission { path: path("/home/f"), mode: 0o640 });
    world
}

fn alice() -> Caller {
    user("alice", &["staff"])
}

fn bob() -> Caller {
    user("bob", &["staff"])
}

fn eve() -> Caller {
    user("eve", &["others"])
}

fn refused(world: &mut World, caller: &Caller, command: Command) -> String {
    let error = world.act(caller, command).expect_err("must be refused");
    assert_eq!(error.code, ErrorCode::AccessControl, "{error}");
    error.message
}

#[test]
fn a_new_entry_needs_write_on_its_folder() {
    let mut world = world(0o750);
    assert!(world.act(&alice(), create("/home/new", "c")).is_ok());
    assert_eq!(
        refused(&mut world, &bob(), create("/home/new2", "c")),
        "Permission denied: user=bob, access=WRITE, inode=\"/home\":alice:staff:drwxr-x---"
    );
    assert_eq!(
        refused(&mut world, &eve(), create("/home/new2", "c")),
        "Permission denied: user=eve, access=EXECUTE, inode=\"/home\":alice:staff:drwxr-x---"
    );
    assert!(refused(&mut world, &eve(), create("/new", "c")).contains("inode=\"/\":hdfs:supergroup:drwxr-xr-x"));
}

#[test]
fn a_new_entry_has_its_folders_group_and_its_makers_name() {
    let mut world = world(0o777);
    world.act(&eve(), create("/home/x/y", "c")).unwrap();
    for text in ["/home/x", "/home/x/y"] {
        let Ok(crate::api::Answer::FileInfo(Some(status))) = world.ask(&root(), Query::FileInfo { path: path(text) })
        else {
            panic!("{text}")
        };
        assert_eq!((&*status.owner, &*status.group), ("eve", "staff"));
    }
}

#[test]
fn the_class_that_matches_first_decides() {
    let mut world = world(0o750);
    // The owner's bits count for the owner, even where the group's would allow more.
    world.must(Command::SetPermission { path: path("/home/f"), mode: 0o060 });
    let read = |mode| Query::CheckAccess { path: path("/home/f"), mode };
    assert!(world.ask(&alice(), read(4)).is_err());
    assert!(world.ask(&bob(), read(6)).is_ok());
    assert!(world.ask(&bob(), read(1)).is_err());
    assert!(world.ask(&root(), read(7)).is_ok());
}

#[test]
fn reads() {
    let world = world(0o750);
    let locations = || Query::BlockLocations { path: path("/home/f"), offset: 0, len: 1 };
    let listing = || Query::Listing { path: path("/home"), start_after: Vec::new(), need_location: false };
    for (caller, may) in
        [(alice(), true), (bob(), true), (eve(), false), (root(), true), (user("x", &["supergroup"]), true)]
    {
        for query in [locations(), listing(), Query::ContentSummary { path: path("/home") }] {
            assert_eq!(world.ask(&caller, query).is_ok(), may, "{}", caller.user);
        }
        assert!(world.ask(&caller, Query::FileInfo { path: path("/home") }).is_ok());
        assert_eq!(world.ask(&caller, Query::FileInfo { path: path("/home/f") }).is_ok(), may);
    }
}

#[test]
fn renames_and_deletes_need_write_on_the_folders() {
    let mut world = world(0o755);
    world.mkdirs("/open");
    world.must(Command::SetPermission { path: path("/open"), mode: 0o777 });
    for command in [
        delete("/home/f", false),
        Command::Rename { src: path("/home/f"), dst: path("/open/f") },
        Command::Rename2 { src: path("/home/f"), dst: path("/open/f"), overwrite: false },
    ] {
        assert!(refused(&mut world, &bob(), command).contains("access=WRITE, inode=\"/home\""));
    }
    let into = Command::Rename { src: path("/home/f"), dst: path("/open") };
    assert_eq!(world.act(&alice(), into).unwrap(), Reply::Done(true));
}

#[test]
fn a_recursive_delete_needs_all_on_every_folder_with_entries() {
    let mut world = world(0o777);
    world.must(Command::SetPermission { path: path("/home/sub"), mode: 0o755 });
    assert!(
        refused(&mut world, &bob(), delete("/home/sub", true)).contains("access=ALL, inode=\"/home/sub\""),
        "bob may change /home, but not empty /home/sub"
    );
    world.act(&alice(), delete("/home/sub/g", false)).unwrap();
    assert_eq!(world.act(&bob(), delete("/home/sub", true)).unwrap(), Reply::Done(true), "it is empty now");
}

#[test]
fn the_sticky_bit_keeps_others_hands_off() {
    let mut world = world(0o1777);
    assert!(
        refused(&mut world, &bob(), delete("/home/f", false)).starts_with("Permission denied by sticky bit: user=bob")
    );
    let replace = Command::Rename2 { src: path("/home/mine"), dst: path("/home/f"), overwrite: true };
    world.act(&bob(), create("/home/mine", "c")).unwrap();
    assert!(refused(&mut world, &bob(), replace).contains("sticky"));
    assert_eq!(world.act(&bob(), delete("/home/mine", false)).unwrap(), Reply::Done(true));
    assert_eq!(world.act(&alice(), delete("/home/f", false)).unwrap(), Reply::Done(true));
}

#[test]
fn owners_only() {
    let mut world = world(0o777);
    let chmod = || Command::SetPermission { path: path("/home/f"), mode: 0o600 };
    assert_eq!(refused(&mut world, &bob(), chmod()), "Permission denied. user=bob is not the owner of inode=/home/f");
    world.act(&alice(), chmod()).unwrap();
    let chown = |owner: Option<&str>, group: Option<&str>| Command::SetOwner {
        path: path("/home/f"),
        owner: owner.map(str::to_owned),
        group: group.map(str::to_owned),
    };
    assert_eq!(
        refused(&mut world, &alice(), chown(Some("bob"), None)),
        "User alice is not a super user (non-super user cannot change owner)."
    );
    assert_eq!(refused(&mut world, &alice(), chown(None, Some("others"))), "User alice does not belong to others");
    world.act(&alice(), chown(Some("alice"), Some("staff"))).unwrap();
    for command in [
        Command::SetReplication { path: path("/home/f"), replication: 2 },
        Command::SetTimes { path: path("/home/f"), mtime_ms: Some(1), atime_ms: None },
        Command::Append { path: path("/home/f"), client: "c".to_owned(), new_block: false },
        Command::RecoverLease { path: path("/home/f"), client: "c".to_owned() },
    ] {
        assert!(
            refused(&mut world, &bob(), command).contains("access=WRITE, inode=\"/home/f\":alice:staff:-rw-------")
        );
    }
}

#[test]
fn switched_off_everybody_may_do_everything() {
    let mut world = World::new(CoreConfig { permissions: false, ..config() });
    world.act(&eve(), create("/f", "c")).unwrap();
    let chown = Command::SetOwner { path: path("/f"), owner: Some("x".to_owned()), group: None };
    world.act(&bob(), chown).unwrap();
    world.act(&bob(), Command::SetPermission { path: path("/"), mode: 0 }).unwrap();
    world.act(&bob(), delete("/f", false)).unwrap();
}
