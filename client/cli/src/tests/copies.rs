//! What moves bytes: put, get, cp, moveFromLocal, appendToFile, getmerge.

use crate::testing::Place;

#[test]
fn put_words() {
    let place = Place::new();
    place.write("src", "new");
    place.write("old", "old");
    place.fails("put @/src @/old", "put: `@/old': File exists");
    assert_eq!(place.read("old"), "old");
    place.ok("put -f @/src @/old");
    assert_eq!(place.read("old"), "new");
    place.fails("put @/no/such/local @/x", "put: `@/no/such/local': No such file or directory");
    place.fails("put @/src @/no/x", "put: `@/no/x': No such file or directory: `file://@/no/x'");
    place.fails("put @/src @/no/", "put: `@/no/': No such file or directory: `file://@/no'");
    place.fails("put @/src @/old @/no", "put: `@/no': No such file or directory");
    place.fails("put @/src @/src @/old", "put: `@/old': Is not a directory");
    place.ok("mkdir @/d");
    place.ok("put @/src @/old @/d");
    place.ok("-copyFromLocal -d @/src @/d/direct");
    assert_eq!(place.all(), ["d", "d/direct", "d/old", "d/src", "old", "src"]);
}

#[test]
fn put_of_standard_input() {
    let place = Place::new();
    assert_eq!(place.run_with("put - @/f", "typed").status, 0);
    assert_eq!(place.read("f"), "typed");
    let ran = place.run_with("put - @/f", "again");
    assert_eq!((ran.status, ran.err.as_str()), (1, "put: `@/f': File exists\n"));
    assert_eq!(place.run_with("put -f - @/f", "again").status, 0);
    assert_eq!(place.read("f"), "again");
}

#[test]
fn folders_are_copied_whole() {
    let place = Place::new();
    place.write("tree/a", "1");
    place.write("tree/sub/b", "2");
    place.write("tree/sub/.b.crc", "a checksum file of Hadoop");
    place.ok("put @/tree @/copy");
    place.ok("get @/copy @/back");
    place.ok("cp @/back @/tree");
    for base in ["copy", "back", "tree/back"] {
        assert_eq!(place.read(&format!("{base}/a")), "1");
        assert_eq!(place.read(&format!("{base}/sub/b")), "2");
        assert!(!place.exists(&format!("{base}/sub/.b.crc")));
    }
    let ran = place.run("put @/tree @/copy @/back");
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    assert_eq!(place.read("back/copy/sub/b"), "2");
    // Into an existing folder of the same name: one file is in the way, the rest is copied.
    place.ok("rm @/back/copy/sub/b");
    place.fails("put @/copy @/back", "put: `@/back/copy/a': File exists");
    assert_eq!(place.read("back/copy/sub/b"), "2");
    place.fails("cp @/copy @/copy/x", "cp: `@/copy' to `@/copy/x': is a subdirectory of itself");
}

#[test]
fn get_words() {
    let place = Place::new();
    place.write("f", "text");
    place.write("there", "");
    place.fails("get @/f @/there", "get: `@/there': File exists");
    place.ok("get -f @/f @/there");
    assert_eq!(place.read("there"), "text");
    place.fails("get @/no @/x", "get: `@/no': No such file or directory");
    place.fails("get @/f @/no/x", "get: `@/no/x': No such file or directory: `file://@/no/x'");
    assert_eq!(place.ok("get @/f @/there -"), "texttext");
    assert!(!place.exists("-"));
    place.ok("-copyToLocal -crc @/f @/summed");
    assert_eq!(std::fs::read(place.path(".summed.crc")).unwrap().len(), 12);
    assert_eq!(place.ok("ls -C @"), "@/f\n@/summed\n@/there\n");
    assert!(place.all().iter().all(|name| !name.contains("_COPYING_")));
}

#[test]
fn attributes_are_kept_on_request() {
    let place = Place::new();
    place.write("d/f", "x");
    place.ok("chmod 640 @/d/f");
    place.ok("chmod 750 @/d");
    place.ok("touch -t 20170803:065709 @/d/f");
    place.ok("touch -t 20170803:065709 @/d");
    let facts = "%a,%Y,%u,%g";
    place.ok("cp -p @/d @/kept");
    place.ok("put -p @/d @/put");
    place.ok("cp @/d @/plain");
    for name in ["kept", "put"] {
        assert_eq!(place.ok(&format!("stat {facts} @/{name}")), place.ok(&format!("stat {facts} @/d")));
        assert_eq!(place.ok(&format!("stat {facts} @/{name}/f")), place.ok(&format!("stat {facts} @/d/f")));
    }
    assert_ne!(place.ok("stat %Y @/plain/f"), place.ok("stat %Y @/d/f"));
    place.ok("cp -f -pt @/d/f @/plain/f");
    assert_eq!(place.ok("stat %Y @/plain/f"), place.ok("stat %Y @/d/f"));
}

#[test]
fn several_threads_copy_all_and_report_all() {
    let place = Place::new();
    for n in 0..40 {
        place.write(&format!("many/{n}"), n.to_string());
    }
    place.write("copy/7", "in the way");
    place.write("copy/31", "in the way");
    place.ok("mkdir @/copy/many");
    let ran = place.run("put -t 4 -q 2 @/many @/copy");
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    for n in 0..40 {
        assert_eq!(place.read(&format!("copy/many/{n}")), n.to_string());
    }
    let ran = place.run("get -t 4 @/many/* @/copy");
    assert_eq!(ran.status, 1);
    let mut errors: Vec<_> = ran.err.lines().collect();
    errors.sort_unstable();
    assert_eq!(errors, ["get: `@/copy/31': File exists", "get: `@/copy/7': File exists"]);
    assert_eq!(place.read("copy/39"), "39");
}

#[test]
fn a_failed_copy_leaves_nothing_behind() {
    let place = Place::new();
    place.ok("mkdir @/d");
    // Reading a process's memory from its start fails after the file was opened and the copy begun.
    let ran = place.run("put /proc/self/mem @/d/f");
    assert_eq!(ran.status, 1);
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    assert_eq!(place.all(), ["d"]);
}

#[test]
fn moving_from_local() {
    let place = Place::new();
    place.write("t/a", "1");
    place.write("t/s/b", "2");
    place.ok("mkdir @/to");
    place.ok("moveFromLocal @/t @/to");
    assert_eq!(place.all(), ["to", "to/t", "to/t/a", "to/t/s", "to/t/s/b"]);
    place.write("t/c", "3");
    place.fails("moveFromLocal @/t @/to", "moveFromLocal: `@/to/t': File exists");
    assert!(place.exists("t/c"));
}

#[test]
fn appending() {
    let place = Place::new();
    place.write("a", "1");
    place.write("b", "2");
    place.ok("appendToFile @/a @/b @/log");
    assert_eq!(place.run_with("appendToFile - @/log", "3").status, 0);
    assert_eq!(place.read("log"), "123");
    place.fails("appendToFile @/a @/no @/log", "appendToFile: `@/no': No such file or directory");
    assert_eq!(place.read("log"), "123", "nothing is appended if a source is missing");
    place.fails("appendToFile - @/a @/log", "appendToFile: stdin (-) must be the sole input argument when present");
    place.fails("appendToFile @/a", "appendToFile: missing destination argument");
    place.ok("mkdir @/d");
    place.fails("appendToFile @/a @/d", "appendToFile: `@/d': Is a directory");
}

#[test]
fn merging() {
    let place = Place::new();
    place.write("d/2", "two");
    place.write("d/1", "one");
    place.write("d/3", "");
    place.write("d/sub/x", "not this");
    place.ok("getmerge @/d @/all");
    assert_eq!(place.read("all"), "onetwo");
    place.ok("getmerge -nl @/d @/all");
    assert_eq!(place.read("all"), "one\ntwo\n\n");
    place.ok("getmerge -nl -skip-empty-file @/d @/all");
    assert_eq!(place.read("all"), "one\ntwo\n");
    place.fails("getmerge @/d @/no @/other", "getmerge: `@/no': No such file or directory");
    assert!(!place.exists("other"));
    place.fails("getmerge @/d/1 @/d", "getmerge: `@/d': Is a directory");
}
