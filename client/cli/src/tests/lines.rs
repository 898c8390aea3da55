//! The command line itself: what is unknown, too much, too little, or not there.

use crate::generic::Surroundings;
use crate::testing::{Closed, Place, run_bare};
use crate::{Io, run_in};

fn bare(words: &[&str]) -> crate::testing::Ran {
    run_bare(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>(), "")
}

#[test]
fn commands_that_do_not_exist() {
    let ran = bare(&["-lsx"]);
    assert_eq!((ran.status, ran.out.as_str()), (255, ""));
    assert!(ran.err.starts_with("-lsx: Unknown command\nUsage: dfs [generic options]\n\t[-admin "), "{}", ran.err);
    assert_eq!(bare(&["lsx"]).err.lines().next(), Some("lsx: Unknown command"));
    let ran = bare(&["-storagepolicies", "/f"]);
    assert_eq!((ran.status, ran.err.as_str()), (1, "dfs: 'storagepolicies' is not implemented yet\n"));
    let ran = bare(&[]);
    assert_eq!(ran.status, 255);
    assert!(ran.err.starts_with("Usage: dfs [generic options]\n"), "{}", ran.err);
}

#[test]
fn arguments_that_make_no_sense() {
    let place = Place::new();
    for (line, message) in [
        ("-ls -z", "-ls: Illegal option -z"),
        ("ls -z", "-ls: Illegal option -z"),
        ("-cat", "-cat: Not enough arguments: expected 1 but got 0"),
        ("-mv /a", "-mv: Not enough arguments: expected 2 but got 1"),
        ("-tail /a /b", "-tail: Too many arguments: expected 1 but got 2"),
        ("-chmod q /a", "-chmod: chmod : mode 'q' does not match the expected pattern."),
        ("-chown a*b /a", "-chown: 'a*b' does not match expected pattern for [owner][:group]."),
        ("-chown : /a", "-chown: ':' does not specify owner or group."),
        ("-chgrp a:b /a", "-chgrp: 'a:b' does not match expected pattern for group"),
        ("-test /a", "-test: No test flag given"),
        ("-test -d -e /a", "-test: Only one test flag is allowed"),
        ("-setrep 0 /a", "-setrep: replication must be >= 1"),
        ("-put -t x /a /b", "-put: For input string: \"x\""),
        (
            "-touch -t 2017 /a",
            "-touch: Unable to parse the specified timestamp 2017. The expected format is yyyyMMdd:HHmmss",
        ),
        ("-moveFromLocal -t 2 /a /b", "-moveFromLocal: Illegal option -t"),
        ("-cat ", "-cat: Can not create a Path from an empty string"),
        ("-admin safemode off", "-admin: off: expected one of enter, leave, get, wait, forceExit"),
    ] {
        place.refused(line, message);
    }
    let ran = place.run("-setrep two /a");
    assert_eq!(ran.status, 255);
    assert!(ran.err.starts_with("setrep: Illegal replication, a positive integer expected\n-setrep: For input"));
}

#[test]
fn no_file_system_is_said_once() {
    let ran = bare(&["-ls", "/a", "/b"]);
    assert_eq!(ran.status, 1);
    assert_eq!(ran.err.lines().count(), 1);
    assert!(ran.err.starts_with("ls: no file system given: use -fs hdfs://host:port, set MAMMOTH_FS"), "{}", ran.err);
}

#[test]
fn no_cluster_is_said_once_with_the_address() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    drop(socket);
    let uri = format!("hdfs://{address}");
    let ran = bare(&["-fs", &uri, "-ls", "/a", "/b"]);
    assert_eq!((ran.status, ran.err.lines().count()), (1, 1), "{}", ran.err);
    assert!(ran.err.starts_with("ls: ") && ran.err.contains(&address) && ran.err.contains("MAMMOTH_FS"), "{}", ran.err);
    let ran = bare(&["-fs", &uri, "admin", "-report"]);
    assert_eq!((ran.status, ran.err.lines().count()), (255, 1), "{}", ran.err);
    assert!(ran.err.starts_with("report: "), "{}", ran.err);
}

#[test]
fn strange_schemes() {
    let place = Place::new();
    place.fails("-ls s3a://bucket/x", "ls: No FileSystem for scheme \"s3a\"");
    place.fails("-ls hdfs:///x", "ls: Incomplete HDFS URI, no host: hdfs:///x");
}

#[test]
fn help_and_usage() {
    let ran = bare(&["-usage", "ls", "rm"]);
    assert_eq!(
        ran.out,
        "Usage: dfs [generic options] -ls [-C] [-d] [-h] [-q] [-R] [-t] [-S] [-r] [-u] [-e] [--json] [<path> ...]\n\
         Usage: dfs [generic options] -rm [-f] [-r|-R] [-skipTrash] [-safely] <src> ...\n"
    );
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    let ran = bare(&["help", "touchz"]);
    assert_eq!(ran.out, "-touchz <path> ... :\n  Creates empty files.\n");
    assert_eq!(bare(&["help", "nope"]).status, 255);
    let ran = bare(&["-help"]);
    assert!(ran.out.contains("\n-put [-f]") && ran.out.contains("-D <property=value>"), "{}", ran.out);
}

#[test]
fn a_closed_output_ends_the_command_quietly() {
    let place = Place::new();
    place.write("big", vec![b'x'; 3 << 20]);
    let args = ["-fs", "file:///", "cat", &place.path("big"), &place.path("missing")];
    let mut err = Vec::new();
    let io = Io {
        stdin: &mut std::io::empty(),
        stdout: &mut Closed,
        stderr: &mut err,
        stderr_is_terminal: false,
        owns_process: false,
    };
    let status = run_in(args.iter().map(Into::into).collect(), io, Surroundings::default());
    assert_eq!((status, String::from_utf8(err).unwrap().as_str()), (141, ""));
}
