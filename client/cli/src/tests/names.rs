//! What changes names and attributes: mkdir, mv, rm, rmdir, touch, chmod.

use crate::testing::Place;

#[test]
fn mkdir_words() {
    let place = Place::new();
    assert_eq!(place.ok("-mkdir @/a"), "");
    place.fails("mkdir @/a", "mkdir: `@/a': File exists");
    place.fails("mkdir @/x/y", "mkdir: `@/x/y': No such file or directory");
    place.ok("mkdir -p @/x/y @/a");
    place.write("f", "");
    place.fails("mkdir @/f", "mkdir: `@/f': Is not a directory");
    place.fails("mkdir -p @/f", "mkdir: `@/f': Is not a directory");
    assert_eq!(place.all(), ["a", "f", "x", "x/y"]);
}

#[test]
fn mv_words() {
    let place = Place::new();
    place.write("a", "1");
    place.write("b", "2");
    place.write("d/b", "3");
    place.fails("mv @/a @/b", "mv: `@/b': File exists");
    place.fails("mv @/b @/d", "mv: `@/d/b': File exists");
    place.fails("mv @/no @/c", "mv: `@/no': No such file or directory");
    place.fails("mv @/a @/b @/no", "mv: `@/no': No such file or directory");
    place.fails("mv @/a @/d @/b", "mv: `@/b': Is not a directory");
    place.fails("mv @/d @/d", "mv: `@/d' to `@/d/d': is a subdirectory of itself");
    place.fails("mv @/d @/d/e", "mv: `@/d' to `@/d/e': is a subdirectory of itself");
    place.fails("mv @/a @/no/c", "mv: `@/no/c': No such file or directory: `file://@/no/c'");
    place.ok("mv @/a @/d");
    place.ok("mv @/b @/c");
    assert_eq!(place.all(), ["c", "d", "d/a", "d/b"]);
}

#[test]
fn mv_of_several() {
    let place = Place::new();
    place.write("a1", "");
    place.write("a2", "");
    place.ok("mkdir @/d");
    place.ok("mv @/a* @/d");
    assert_eq!(place.all(), ["d", "d/a1", "d/a2"]);
    place.fails("mv @/d/a1 @/d/a?", "mv: `@/d/a?': Too many matches");
}

#[test]
fn rm_words() {
    let place = Place::new();
    place.write("d/f", "");
    place.write("g", "");
    place.fails("rm @/d", "rm: `@/d': Is a directory");
    place.fails("rm @/no", "rm: `@/no': No such file or directory");
    place.fails("rm @/no*", "rm: `@/no*': No such file or directory");
    assert_eq!(place.ok("rm -f @/no @/no*"), "");
    assert_eq!(place.ok("rm @/g"), "Deleted @/g\n");
    place.fails("rmdir @/d", "rmdir: `@/d': Directory is not empty");
    assert_eq!(place.ok("rmdir --ignore-fail-on-non-empty @/d"), "");
    assert_eq!(place.ok("rm -r -skipTrash @/d"), "Deleted @/d\n");
    place.ok("mkdir @/e");
    assert_eq!(place.ok("rmdir @/e"), "");
    assert!(place.all().is_empty());
    place.write("f", "");
    place.fails("rmdir @/f", "rmdir: `@/f': Is not a directory");
    let ran = place.run("-rmr @/f");
    assert_eq!(ran.err, "rmr: DEPRECATED: Please use '-rm -r' instead.\n");
    assert_eq!((ran.status, ran.out.as_str()), (0, "Deleted @/f\n"));
}

#[test]
fn rm_asks_before_many_files() {
    let place = Place::new();
    for n in 0..3 {
        place.write(&format!("d/{n}"), "");
    }
    let line = "rm -r -safely @/d";
    let limited = format!("-D hadoop.shell.safely.delete.limit.num.files=2 {line}");
    let ran = place.run_with(&limited, "what\nno\n");
    assert_eq!((ran.status, ran.out.as_str()), (0, ""));
    let question = "Proceed deleting 3 files? (Y or N) ";
    assert_eq!(ran.err, format!("{question}Invalid input: what\n{question}Delete aborted at user request.\n\n"));
    assert_eq!(place.run_with(&limited, "").out, "", "no answer is no consent");
    assert_eq!(place.run_with(&limited, "Yes\n").out, "Deleted @/d\n");
    place.write("d/1", "");
    assert_eq!(place.ok(line), "Deleted @/d\n", "few files need no question");
}

#[test]
fn touching() {
    let place = Place::new();
    place.ok("touchz @/z");
    place.ok("touchz @/z");
    place.write("full", "x");
    place.fails("touchz @/full", "touchz: `@/full': Not a zero-length file");
    place.fails("touchz @/no/z", "touchz: `@/no/z': No such file or directory: `file://@/no/z'");
    place.ok("mkdir @/d");
    place.fails("touchz @/d", "touchz: `@/d': Is a directory");
    place.ok("touch -c @/absent");
    assert!(!place.exists("absent"));
    place.ok("touch -t 20170803:065709 @/new");
    place.ok("touch -a -t 20180803:065709 @/new");
    let times = place.ok("stat %Y,%X @/new");
    let (modified, accessed) = times.trim().split_once(',').unwrap();
    let days = |ms: &str| ms.parse::<u64>().unwrap() / 86_400_000;
    assert_eq!(days(accessed) - days(modified), 365);
    assert_eq!(place.ok("stat %a @/new").len(), 4);
}

#[test]
fn chmod_and_its_words() {
    let place = Place::new();
    place.write("d/f", "");
    place.ok("chmod 700 @/d");
    place.ok("chmod -R go+rX @/d");
    assert_eq!(place.ok("stat %a @/d"), "755\n");
    place.ok("chmod 1777 @/d");
    assert!(place.ok("ls -d @/d").starts_with("drwxrwxrwt "));
    assert_eq!(place.ok("stat %a @/d"), "1777\n");
    place.fails("chmod 700 @/no", "chmod: `@/no': No such file or directory");
    let owner = place.ok("stat %u @/d");
    place.ok(&format!("chown {} @/d", owner.trim()));
}

#[test]
fn setrep_of_a_tree() {
    let place = Place::new();
    place.write("d/a", "");
    place.write("d/b", "");
    assert_eq!(place.ok("setrep 2 @/d"), "Replication 2 set: @/d/a\nReplication 2 set: @/d/b\n");
    assert_eq!(place.ok("setrep -w 2 @/d/a"), "Replication 2 set: @/d/a\nWaiting for @/d/a ... done\n");
}
