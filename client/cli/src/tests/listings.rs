//! What is printed about files: ls, stat, du, count, df, find, head, tail, cat, test.

use crate::testing::Place;
use std::fs::{File, FileTimes};
use std::time::{Duration, UNIX_EPOCH};

/// 2017-08-03 06:57:09.500 UTC.
const MODIFIED_MS: u64 = 1_501_743_429_500;

fn set_times(place: &Place, name: &str, modified_ms: u64) {
    let at = |ms| UNIX_EPOCH + Duration::from_millis(ms);
    let times = FileTimes::new().set_modified(at(modified_ms)).set_accessed(at(modified_ms + 3_600_000));
    File::open(place.path(name)).unwrap().set_times(times).unwrap();
}

fn sample() -> Place {
    let place = Place::new();
    place.write("d/b", "0123456789");
    place.write("d/a", "x".repeat(2048));
    place.write("d/sub/c", "");
    for (name, minutes) in [("d/a", 1), ("d/b", 2), ("d/sub/c", 3), ("d/sub", 3), ("d", 4)] {
        set_times(&place, name, MODIFIED_MS + minutes * 60_000);
    }
    place.ok("chmod -R u=rwx,g=rx,o=rx @/d");
    place.ok("chmod 644 @/d/a @/d/b");
    place
}

/// Cuts owner and group, which depend on who runs the tests, and the dates, which depend on where.
fn cut(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        [mode, replicas, _, _, len @ .., _, _, path] => format!("{mode} {replicas} {} {path}", len.join(" ")),
        _ => line.to_owned(),
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(cut).collect()
}

#[test]
fn ls_of_a_folder() {
    let place = sample();
    let out = place.ok("-ls @/d");
    let expected = ["Found 3 items", "-rw-r--r-- 1 2048 @/d/a", "-rw-r--r-- 1 10 @/d/b", "drwxr-xr-x - 0 @/d/sub"];
    assert_eq!(lines(&out), expected);
    let first = out.lines().nth(1).unwrap();
    assert!(first.starts_with("-rw-r--r--   1 "), "{first}");
    let second = out.lines().nth(3).unwrap();
    assert!(second.starts_with("drwxr-xr-x   - "), "{second}");
    let length = first.find("2048").unwrap();
    assert_eq!(&first[length - 7..length], "       ", "the size has a column of ten places: {first}");
    let date = &first[length + 5..length + 21];
    assert!(date.starts_with("2017-08-0") && date.as_bytes()[13] == b':', "{date}");
}

#[test]
fn ls_in_other_orders_and_forms() {
    let place = sample();
    let paths = |line: &str| {
        let out = place.ok(line);
        out.lines()
            .filter_map(|l| l.rsplit('/').next())
            .filter(|l| !l.starts_with("Found"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(paths("ls @/d"), "a b sub");
    assert_eq!(paths("ls -r @/d"), "sub b a");
    assert_eq!(paths("ls -t @/d"), "sub b a");
    assert_eq!(paths("ls -t -r @/d"), "a b sub");
    assert_eq!(paths("ls -S @/d"), "a b sub");
    assert_eq!(paths("ls -R @/d"), "a b sub c");
    assert_eq!(place.ok("ls -C @/d"), "@/d/a\n@/d/b\n@/d/sub\n");
    assert_eq!(lines(&place.ok("ls -h @/d/a @/d/b")), ["-rw-r--r-- 1 2 K @/d/a", "-rw-r--r-- 1 10 @/d/b"]);
    assert_eq!(lines(&place.ok("ls -d @/d")), ["drwxr-xr-x - 0 @/d"]);
    assert_eq!(place.ok("ls @/d/sub/c").lines().count(), 1, "a file has no header");
    place.write("empty/x", "");
    place.ok("rm @/empty/x");
    assert_eq!(place.ok("ls @/empty"), "");
}

#[test]
fn ls_with_patterns_and_what_is_missing() {
    let place = sample();
    assert_eq!(place.ok("ls -C @/d/[ab]"), "@/d/a\n@/d/b\n");
    assert_eq!(place.ok("ls -C -d @/{d,nope}/{a,sub}"), "@/d/a\n@/d/sub\n");
    assert_eq!(place.ok("ls -C -d file://@/d/*").lines().count(), 3);
    place.fails("ls @/x*", "ls: `@/x*': No such file or directory");
    place.fails("ls @/nope/", "ls: `@/nope/': No such file or directory");
    let ran = place.run("ls -C @/nope @/d/a @/none");
    assert_eq!((ran.status, ran.out.as_str()), (1, "@/d/a\n"));
    assert_eq!(
        ran.err, "ls: `@/nope': No such file or directory\nls: `@/none': No such file or directory\n",
        "the others are still listed"
    );
    place.fails("ls @/[a", "ls: Illegal file pattern: Unclosed character class at pos 2: `[a'");
}

#[test]
fn ls_keeps_the_scheme_that_was_typed() {
    let place = sample();
    assert_eq!(
        place.ok("ls -C file://@/d/a").trim_end(),
        "file://@/d/a".replace("file://@", &format!("file://{}", "@"))
    );
}

#[test]
fn ls_as_json() {
    let place = sample();
    let out = place.ok("ls --json @/d");
    let entries: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(entries.len(), 3);
    assert_eq!(entries[0]["path"], "@/d/a");
    assert_eq!(entries[0]["length"], 2048);
    assert_eq!(entries[0]["permission"], "644");
    assert_eq!(entries[0]["modificationTime"], MODIFIED_MS + 60_000);
    assert_eq!((&entries[0]["type"], &entries[2]["type"]), (&"FILE".into(), &"DIRECTORY".into()));
}

#[test]
fn stat_in_every_format() {
    let place = sample();
    assert_eq!(place.ok("stat @/d/a"), "2017-08-03 06:58:09\n");
    assert_eq!(place.ok("stat %F|%a|%A|%b|%n|%r|%Y|%X|%x|%%|%q @/d/b").trim_end(), {
        let (mtime, atime) = (MODIFIED_MS + 120_000, MODIFIED_MS + 3_720_000);
        format!("regular file|644|rw-r--r--|10|b|1|{mtime}|{atime}|2017-08-03 07:59:09|%|q")
    });
    assert_eq!(place.ok("stat %F|%a|%b|%o|%r @/d"), "directory|755|0|0|0\n");
    assert_eq!(place.ok("stat -R %n @/d"), "d\na\nb\nsub\nc\n");
    place.refused("stat %n", "-stat: Not enough arguments: expected 1 but got 0");
    place.fails("stat @/nope", "stat: `@/nope': No such file or directory");
}

#[test]
fn du_and_count_and_df() {
    let place = sample();
    assert_eq!(place.ok("du @/d"), "2048  2048  @/d/a\n10    10    @/d/b\n0     0     @/d/sub\n");
    assert_eq!(place.ok("du -s @/d"), "2058  2058  @/d\n");
    assert_eq!(
        place.ok("du -s -h -v @/d"),
        "SIZE   DISK_SPACE_CONSUMED_WITH_ALL_REPLICAS  FULL_PATH_NAME\n2.0 K  2.0 K                                  @/d\n"
    );
    let line = "           2            3               2058 @/d\n";
    assert_eq!(place.ok("count @/d"), line);
    let header = "   DIR_COUNT   FILE_COUNT       CONTENT_SIZE PATHNAME\n";
    assert_eq!(place.ok("count -v @/d"), format!("{header}{line}"));
    let quotas = "        none             inf            none             inf ";
    assert_eq!(place.ok("count -q @/d"), format!("{quotas}{line}"));
    assert_eq!(place.ok("count -u @/d"), format!("{quotas}@/d\n"));
    let df = place.ok("df");
    let header: Vec<_> = df.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header, ["Filesystem", "Size", "Used", "Available", "Use%"]);
    assert!(df.lines().nth(1).unwrap().ends_with('%'));
    let total: serde_json::Value = serde_json::from_str(&place.ok("df --json")).unwrap();
    assert!(total["capacity"].as_u64().unwrap() > 0);
}

#[test]
fn find_by_name() {
    let place = sample();
    assert_eq!(place.ok("find @/d"), "@/d\n@/d/a\n@/d/b\n@/d/sub\n@/d/sub/c\n");
    assert_eq!(place.ok("find @/d -name [ac]"), "@/d/a\n@/d/sub/c\n");
    assert_eq!(place.ok("find @/d -iname SU* -print0"), "@/d/sub\0");
    assert_eq!(place.ok("find @/d/sub -name s* -a -name *b -print"), "@/d/sub\n");
    place.fails("find @/d -size 3", "find: Unexpected argument: -size");
}

#[test]
fn the_ends_of_files() {
    let place = Place::new();
    let text: String = (0..500).map(|n| format!("{n:03}\n")).collect();
    place.write("f", &text);
    assert_eq!(place.ok("head @/f"), text[..1024]);
    assert_eq!(place.ok("tail @/f"), text[text.len() - 1024..]);
    place.write("short", "abc");
    assert_eq!((place.ok("head @/short"), place.ok("tail @/short")), ("abc".into(), "abc".into()));
    assert_eq!(place.ok("cat @/short @/short"), "abcabc");
    place.write("d/x", "");
    for command in ["cat", "head", "tail", "text"] {
        place.fails(&format!("{command} @/d"), &format!("{command}: `@/d': Is a directory"));
        place.fails(&format!("{command} @/no"), &format!("{command}: `@/no': No such file or directory"));
    }
    assert_eq!(place.ok("text @/short"), "abc");
    place.write("z.gz", b"\x1f\x8b\x08\0");
    place.fails("text @/z.gz", "text: `@/z.gz': decoding gzip is not implemented yet");
}

#[test]
fn test_answers_by_its_status() {
    let place = sample();
    for (flag, path, status) in [
        ("e", "d", 0),
        ("e", "no", 1),
        ("d", "d", 0),
        ("d", "d/a", 1),
        ("f", "d/a", 0),
        ("f", "d", 1),
        ("s", "d/a", 0),
        ("s", "d/sub/c", 1),
        ("z", "d/sub/c", 0),
        ("z", "d/a", 1),
        ("z", "no", 1),
        ("r", "d/a", 0),
        ("w", "d/a", 0),
        ("w", "no", 1),
    ] {
        let ran = place.run(&format!("-test -{flag} @/{path}"));
        assert_eq!((ran.status, ran.err.as_str()), (status, ""), "-{flag} {path}");
    }
    assert_eq!(place.run("test -e @/no*").status, 1);
}
