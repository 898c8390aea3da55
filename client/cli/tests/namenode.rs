//! Command lines against a real namenode in this process; no datanode, so files are empty.
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests")]

use mammoth_cli::{Io, run};
use mammoth_namenode::{Components, Handle, NamenodeConfig};
use mammoth_platform::{Deadline, Settings, SystemClock, process};
use std::time::Duration;

struct Cluster {
    namenode: Handle,
    user: String,
    /// Holds the namenode's folder.
    _dir: tempfile::TempDir,
}

struct Ran {
    status: u8,
    out: String,
    err: String,
}

impl Cluster {
    fn start(more: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut pairs = vec![
            format!("dfs.namenode.name.dir={}", dir.path().join("name").display()),
            "dfs.namenode.rpc-address=127.0.0.1:0".to_owned(),
            "dfs.namenode.http-address=127.0.0.1:0".to_owned(),
            "mammoth.namenode.internal-address=127.0.0.1:0".to_owned(),
        ];
        pairs.extend(more.iter().map(|pair| (*pair).to_owned()));
        let settings = Settings::load(None, &pairs).unwrap();
        let config = NamenodeConfig::from_settings(&settings).unwrap();
        let namenode = mammoth_namenode::start(config, Components::default()).unwrap();
        let user = std::env::var("HADOOP_USER_NAME").unwrap_or_else(|_| process::user_name());
        let cluster = Self { namenode, user, _dir: dir };
        cluster.wait("safemode get", "OFF");
        cluster
    }

    /// Polls an admin command until its output ends so.
    fn wait(&self, line: &str, end: &str) {
        let deadline = Deadline::after(&SystemClock, Duration::from_secs(20));
        loop {
            let ran = self.run(&format!("admin {line}"));
            if ran.out.trim_end().ends_with(end) {
                return;
            }
            assert!(!deadline.is_over(&SystemClock), "{} {}", ran.out, ran.err);
            std::thread::sleep(Duration::from_millis(10)); // poll
        }
    }

    fn uri(&self) -> String {
        format!("hdfs://{}", self.namenode.addrs().rpc)
    }

    fn run(&self, line: &str) -> Ran {
        let uri = self.uri();
        let words = line.split(' ').map(|word| word.replace("URI", &uri).replace("USER", &self.user));
        let args = ["-fs".to_owned(), uri.clone()].into_iter().chain(words).map(Into::into).collect();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let io = Io {
            stdin: &mut std::io::empty(),
            stdout: &mut out,
            stderr: &mut err,
            stderr_is_terminal: false,
            owns_process: false,
        };
        let status = run(args, io);
        let text = |bytes| String::from_utf8(bytes).unwrap().replace(&uri, "URI").replace(&self.user, "USER");
        Ran { status, out: text(out), err: text(err) }
    }

    fn ok(&self, line: &str) -> String {
        let ran = self.run(line);
        assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{line}: {}", ran.out);
        ran.out
    }

    fn fails(&self, line: &str, message: &str) {
        let ran = self.run(line);
        assert_eq!((ran.status, ran.err.trim_end()), (1, message), "{line}: {}", ran.out);
    }
}

#[test]
fn names_come_move_and_go() {
    let dfs = Cluster::start(&[]);
    assert_eq!(dfs.ok("-ls /"), "");
    dfs.fails("-ls", "ls: `.': No such file or directory");
    dfs.fails("mkdir x", "mkdir: `x': No such file or directory");
    dfs.fails("touchz f", "touchz: `f': No such file or directory: `URI/user/USER/f'");
    dfs.ok("mkdir -p d/sub /other");
    dfs.ok("touchz d/f /other/g");
    assert_eq!(dfs.ok("ls -C"), "d\n");
    assert_eq!(dfs.ok("ls -C d"), "d/f\nd/sub\n");
    assert_eq!(dfs.ok("ls -C URI/o*"), "URI/other/g\n");
    assert_eq!(dfs.ok("ls -C /*/g"), "/other/g\n");
    let line = dfs.ok("ls d").lines().nth(1).unwrap().to_owned();
    assert!(line.starts_with("-rw-r--r--   3 USER supergroup          0 20"), "{line}");
    dfs.fails("ls /other/g/below", "ls: `/other/g/below': No such file or directory");
    dfs.fails("ls /x*", "ls: `/x*': No such file or directory");
    dfs.fails("mkdir /other", "mkdir: `/other': File exists");
    dfs.ok("mv d/f /other");
    dfs.fails("mv /other/f /other/g", "mv: `/other/g': File exists");
    dfs.ok("mv /other renamed");
    assert_eq!(dfs.ok("find / -name [fg]"), "/user/USER/renamed/f\n/user/USER/renamed/g\n");
    dfs.fails("rm renamed", "rm: `renamed': Is a directory");
    dfs.fails("rmdir renamed", "rmdir: `renamed': Directory is not empty");
    assert_eq!(dfs.ok("rm -r renamed"), "Deleted renamed\n");
    dfs.ok("rmdir d/sub d");
    dfs.fails("rm /no:good", "rm: Invalid path name /no:good: the part `no:good` is not allowed");
    assert_eq!(dfs.run("-rm -f /none").status, 0);
}

#[test]
fn attributes_and_totals() {
    let dfs = Cluster::start(&[]);
    dfs.ok("mkdir -p /d/e");
    dfs.ok("touchz /d/f");
    dfs.ok("chmod 640 /d/f");
    dfs.ok("chmod -R o+X /d");
    dfs.ok("chown alice:staff /d/f");
    dfs.ok("touch -t 20170803:065709 /d/f");
    assert_eq!(dfs.ok("stat %a,%u,%g,%r,%b,%F,%n /d/f"), "640,alice,staff,3,0,regular file,f\n");
    assert!(dfs.ok("stat /d/f").starts_with("2017-08-0"));
    assert_eq!(dfs.ok("stat %o,%r,%F /d"), "0,0,directory\n");
    assert_eq!(dfs.ok("setrep 2 /d"), "Replication 2 set: /d/f\n");
    assert_eq!(dfs.ok("stat %r /d/f"), "2\n");
    assert_eq!(dfs.ok("count /d"), "           2            1                  0 /d\n");
    assert_eq!(dfs.ok("du /d"), "0  0  /d/e\n0  0  /d/f\n");
    assert_eq!(dfs.ok("df").lines().nth(1).unwrap().split_whitespace().next(), Some("URI"));
    for (flag, status) in [("e", 0), ("f", 0), ("d", 1), ("z", 0), ("s", 1), ("r", 0), ("w", 0)] {
        assert_eq!(dfs.run(&format!("test -{flag} /d/f")).status, status, "-{flag}");
    }
    assert_eq!(dfs.ok("cat /d/f"), "");
    dfs.fails("cat /d", "cat: `/d': Is a directory");
}

#[test]
fn deleted_files_go_to_the_trash() {
    let dfs = Cluster::start(&["fs.trash.interval=60"]);
    dfs.ok("mkdir -p /d/sub");
    dfs.ok("touchz /d/f /d/sub/g");
    let ran = dfs.run("rm /d/f");
    let trash = "/user/USER/.Trash/Current";
    assert_eq!((ran.status, ran.out.as_str()), (0, ""));
    assert_eq!(ran.err, format!("Moved: 'URI/d/f' to trash at: URI{trash}/d/f\n"));
    dfs.ok("touchz /d/f");
    let again = dfs.run("rm /d/f").err;
    assert!(again.starts_with(&format!("Moved: 'URI/d/f' to trash at: URI{trash}/d/f1")), "{again}");
    assert_eq!(dfs.ok("stat %a /user/USER/.Trash"), "700\n");
    // A folder whose path is taken in the trash gets the time behind its name.
    let ran = dfs.run("rm -r /d");
    assert!(ran.err.starts_with(&format!("Moved: 'URI/d' to trash at: URI{trash}/d1")), "{}", ran.err);
    assert_eq!(dfs.ok(&format!("ls -C {trash}/d1*")), format!("{}/sub\n", moved_to(&ran.err)));
    assert_eq!(dfs.ok("rm -r -skipTrash /user/USER/.Trash"), "Deleted /user/USER/.Trash\n");
    dfs.ok("touchz /h");
    assert_eq!(dfs.ok("rm -skipTrash /h"), "Deleted /h\n");
    let ran = dfs.run("rm -r /user");
    assert_eq!(
        ran.err,
        "rm: Cannot move \"URI/user\" to the trash, as it contains the trash. Consider using -skipTrash option\n"
    );
}

/// The path at the end of a message about the trash.
fn moved_to(message: &str) -> &str {
    message.trim_end().rsplit("URI").next().unwrap()
}

#[test]
fn safe_mode_and_the_report() {
    let dfs = Cluster::start(&[]);
    assert_eq!(dfs.ok("admin -safemode get"), "Safe mode is OFF\n");
    assert_eq!(dfs.ok("admin safemode enter"), "Safe mode is ON\n");
    let ran = dfs.run("mkdir /x");
    assert_eq!((ran.status, ran.err.lines().count()), (1, 1), "{}", ran.err);
    assert!(ran.err.starts_with("mkdir: Cannot create directory /x. Name node is in safe mode."), "{}", ran.err);
    assert!(dfs.ok("admin report").starts_with("Safe mode is ON\nConfigured Capacity: 0 (0 B)\n"));
    assert_eq!(dfs.ok("dfsadmin -safemode leave"), "Safe mode is OFF\n");
    assert_eq!(dfs.ok("admin safemode wait"), "Safe mode is OFF\n");
    assert!(dfs.ok("admin report -live").ends_with("Live datanodes (0):\n\n"));
    let report: serde_json::Value = serde_json::from_str(&dfs.ok("admin report --json")).unwrap();
    assert_eq!((&report["safeMode"], &report["datanodes"]), (&false.into(), &serde_json::json!([])));
}

#[test]
fn what_operators_ask_for() {
    let dfs = Cluster::start(&[]);
    assert_eq!(dfs.ok("admin -refreshNodes"), "Refresh nodes successful\n");
    assert_eq!(dfs.ok("admin -printTopology"), "");
    let header = "Client Host         \tClient Name         \tOpen File Path\n";
    assert_eq!(dfs.ok("admin -listOpenFiles -blockingDecommission -path /"), header);
    let ran = dfs.run("admin -saveNamespace");
    let refusal = "saveNamespace: Safe mode should be turned ON in order to create namespace image.\n";
    assert_eq!((ran.status, ran.err.as_str()), (255, refusal));
    dfs.ok("mkdir /d");
    dfs.ok("admin -safemode enter");
    assert_eq!(dfs.ok("admin -saveNamespace"), "Save namespace successful\n");
    assert_eq!(dfs.ok("admin -saveNamespace -beforeShutdown"), "Save namespace successful\n", "nothing is new");
    assert_eq!(dfs.run("admin -refreshNodes now").status, 255);
}

#[test]
fn empty_files_are_truncated_and_not_joined() {
    let dfs = Cluster::start(&[]);
    dfs.ok("touchz /a /b");
    assert_eq!(dfs.ok("truncate -w 0 /a"), "Truncated /a to length: 0\n");
    dfs.fails("truncate 1 /a", "truncate: Cannot truncate to a larger file size. Current size: 0, truncate size: 1.");
    dfs.fails("truncate 1 /", "truncate: `/': Is a directory");
    dfs.fails("concat /a /b", "concat: concat: source file /b is invalid or empty or underConstruction");
    dfs.fails("concat /a /c", "concat: /c does not exist or is not file.");
    dfs.fails("concat /c /a", "concat: Target path /c does not exist or is not file.");
    assert_eq!(dfs.run("truncate -1 /a").status, 255);
    assert_eq!(dfs.run("concat /a").status, 255);
}

#[test]
fn a_put_that_fails_leaves_nothing_behind() {
    let dfs = Cluster::start(&[]);
    let local = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(local.path(), "there is no datanode to take this").unwrap();
    let ran = dfs.run(&format!("put {} /f", local.path().display()));
    assert_eq!((ran.status, ran.err.lines().count()), (1, 1), "{}", ran.err);
    assert!(ran.err.starts_with("put: "), "{}", ran.err);
    assert_eq!(dfs.ok("ls /"), "");
}
