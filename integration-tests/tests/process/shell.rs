//! The shell against a real cluster.

use crate::harness::{Cluster, Options, bytes_of};

#[test]
fn a_file_goes_in_and_comes_out_identical() {
    let cluster = Cluster::start(Options::fast());
    let bytes = bytes_of(1, 3 * 1024 * 1024 + 17);
    cluster.put("/a", &bytes);
    assert!(cluster.cat("/a") == bytes);
    for name in ["datanode-1", "datanode-2", "datanode-3"] {
        assert_eq!(cluster.replicas(name).len(), 4, "four blocks with a replica on each of three datanodes");
    }
    cluster.restart("namenode").ok();
    assert!(cluster.cat("/a") == bytes);
}

#[test]
fn folders_of_files_go_in_and_come_out() {
    let cluster = Cluster::start(Options::fast());
    let local = tempfile::tempdir().expect("a temporary folder");
    let tree = local.path().join("tree");
    std::fs::create_dir_all(tree.join("deep/er")).expect("folders");
    for (name, bytes) in [("one", 10), ("deep/two", 1_200_000), ("deep/er/empty", 0)] {
        std::fs::write(tree.join(name), bytes_of(2, bytes)).expect("written");
    }
    let (from, back) = (tree.display().to_string(), local.path().join("back").display().to_string());
    cluster.dfs(&["put", &from, "/tree"]).ok();
    cluster.dfs(&["get", "/tree", &back]).ok();
    for name in ["one", "deep/two", "deep/er/empty"] {
        let same = std::fs::read(tree.join(name)).expect("source")
            == std::fs::read(local.path().join("back").join(name)).expect("copy");
        assert!(same, "{name}");
    }
    let globbed = cluster.dfs(&["cat", "/tree/o?e", "/tree/{deep,none}/t*"]).ok().out;
    assert_eq!(globbed.len(), 1_200_010);
}

#[test]
fn listings_look_like_hadoops() {
    let cluster = Cluster::start(Options::fast());
    cluster.dfs(&["mkdir", "-p", "/d/sub"]).ok();
    cluster.put("/d/file", b"12345");
    let text = cluster.dfs(&["ls", "/d"]).ok().text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "Found 2 items", "{text}");
    assert!(lines[1].starts_with("-rw-r--r--   3 ") && lines[1].ends_with(" /d/file"), "{text}");
    assert!(lines[1].contains("          5 20"), "{text}");
    assert!(lines[2].starts_with("drwxr-xr-x   - ") && lines[2].ends_with(" /d/sub"), "{text}");
    assert_eq!(cluster.dfs(&["stat", "%n %b %r %F", "/d/file"]).ok().text(), "file 5 3 regular file\n");
    assert_eq!(cluster.dfs(&["du", "-s", "/d"]).ok().text(), "5  15  /d\n");
    assert_eq!(cluster.dfs(&["count", "/d"]).ok().text(), "           2            1                  5 /d\n");
    assert_eq!(cluster.dfs(&["rm", "-r", "/d"]).ok().text(), "Deleted /d\n");
    let report = cluster.dfs(&["admin", "-report"]).ok().text();
    assert!(report.contains("Live datanodes (3):") && report.contains("Under replicated blocks: 0"), "{report}");
    let df = cluster.dfs(&["df"]).ok().text();
    assert!(df.starts_with("Filesystem") && df.contains(&cluster.fs()), "{df}");
}

#[test]
fn both_spellings_and_the_embedded_cluster_work() {
    let cluster = Cluster::start(Options { embedded: true, ..Options::fast() });
    cluster.dfs_with(&["-put", "-", "/a"], b"hello\nworld\n").ok();
    assert_eq!(cluster.dfs(&["-cat", "/a"]).ok().text(), "hello\nworld\n");
    assert_eq!(cluster.dfs(&["-tail", "/a"]).ok().text(), "hello\nworld\n");
    cluster.dfs(&["-touchz", "/b"]).ok();
    for name in ["namenode", "datanode-2"] {
        cluster.restart(name).ok();
    }
    assert_eq!(cluster.dfs(&["-cat", "/a", "/b"]).ok().text(), "hello\nworld\n");
}

/// What a cluster was started with holds for whoever sources its `env`, until it is started with something else.
fn clients_use_what_up_was_told(embedded: bool) {
    let options = Options { embedded, ..Options::default() };
    let cluster = Cluster::start(options.set("dfs.replication", "2").set("dfs.blocksize", "2m"));
    let stored = ". ./env; echo hello | dfs put - /a; dfs stat '%r %o' /a";
    assert_eq!(cluster.shell(stored).ok().text(), "2 2097152\n");
    // What is asked of `dfs` itself goes before.
    let asked = ". ./env; echo hello | dfs -D dfs.replication=1 put - /b; dfs stat '%r %o' /b";
    assert_eq!(cluster.shell(asked).ok().text(), "1 2097152\n");
    // A restart of a daemon leaves it; the next `up`, in the same shell, starts from the defaults.
    cluster.restart("datanode-1").ok();
    let kept = ". ./env; echo hello | dfs put - /c; dfs stat '%r %o' /c";
    assert_eq!(cluster.shell(kept).ok().text(), "2 2097152\n");
    let processes = if embedded { "" } else { "--processes" };
    let again = format!(
        ". ./env; mammoth down --dir .; mammoth up --dir . --detach --port-base 0 --tasktrackers 0 {processes} >&2; . ./env
         echo hello | dfs put - /d; dfs stat '%r %o' /d /a"
    );
    assert_eq!(cluster.shell(&again).ok().text(), "3 134217728\n2 2097152\n");
}

#[test]
fn clients_use_what_up_was_told_embedded() {
    clients_use_what_up_was_told(true);
}

#[test]
fn clients_use_what_up_was_told_with_processes() {
    clients_use_what_up_was_told(false);
}

/// 5 GiB through a pipe, in and out, with no process over 200 MiB.
#[test]
#[ignore = "long; .ci/full runs it"]
fn five_gib_in_and_out_in_little_memory() {
    use crate::harness::Random;
    use std::io::Read;
    use std::process::Stdio;
    const TOTAL: u64 = 5 << 30;
    let cluster = Cluster::start(Options::default());
    let mut put = cluster.dfs_command(&["put", "-", "/big"]);
    let mut child = put.stdin(Stdio::piped()).spawn().expect("dfs starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    std::io::copy(&mut Random::new(8, TOTAL), &mut pipe).expect("all is taken");
    let client_peak = peak_mib(child.id());
    drop(pipe);
    assert!(child.wait().expect("ends").success());
    let mut cat = cluster.dfs_command(&["cat", "/big"]);
    let mut child = cat.stdout(Stdio::piped()).spawn().expect("dfs starts");
    let mut out = child.stdout.take().expect("a pipe");
    let mut expected = Random::new(8, TOTAL);
    let (mut a, mut b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let (mut total, mut reader_peak) = (0, 0.0);
    loop {
        let n = out.read(&mut a).expect("reads");
        if n == 0 {
            break;
        }
        total += n as u64;
        // The last time that it is sure to be there.
        if total + (a.len() as u64) < TOTAL {
            reader_peak = peak_mib(child.id());
        }
        expected.read_exact(&mut b[..n]).expect("not longer than what went in");
        assert!(a[..n] == b[..n], "the bytes differ");
    }
    assert_eq!(expected.read(&mut b).expect("reads"), 0, "it came back whole");
    assert!(child.wait().expect("ends").success());
    for peak in [client_peak, reader_peak] {
        assert!(peak > 0.0 && peak < 200.0, "a client reached {peak} MiB");
    }
    for name in ["namenode", "datanode-1", "datanode-2", "datanode-3"] {
        let peak = peak_mib(u32::try_from(cluster.pid(name).as_raw_nonzero().get()).expect("a pid"));
        assert!(peak > 0.0 && peak < 200.0, "{name} reached {peak} MiB");
    }
}

fn peak_mib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse::<f64>().ok()).unwrap_or_default() / 1024.0
}

/// CRC32C bit by bit.
fn crc32c(data: &[u8]) -> u32 {
    let step = |crc: u32| (0..8).fold(crc, |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82F6_3B78 } else { crc >> 1 });
    !data.iter().fold(u32::MAX, |crc, byte| step(crc ^ u32::from(*byte)))
}

#[test]
fn checksums_are_hdfs_own_whichever_datanodes_are_left() {
    let cluster = Cluster::start(Options::fast());
    let bytes = bytes_of(3, (1 << 20) + 1000);
    cluster.put("/hello", b"world\n");
    cluster.put("/empty", b"");
    cluster.put("/two", &bytes);
    // What HDFS 3 gives for these six bytes and for none.
    let expected = format!(
        "/hello\tMD5-of-0MD5-of-512CRC32C\t000002000000000000000000a74dcf6d5ba98e50ae0182c9d5d886fe\tBlockSize=1048576\n\
         /empty\tMD5-of-0MD5-of-0CRC32\t{:024}70bc8f4b72a86921468bf8e8441dce51\tBlockSize=1048576\n",
        0
    );
    assert_eq!(cluster.dfs(&["checksum", "-v", "/hello", "/empty"]).ok().text(), expected);
    let mode = "dfs.checksum.combine.mode=COMPOSITE_CRC";
    let composed = |path: &str| cluster.dfs(&["-D", mode, "-checksum", path]).ok().text();
    assert_eq!(composed("/two"), format!("/two\tCOMPOSITE-CRC32C\t{:08x}\n", crc32c(&bytes)));
    let before = cluster.dfs(&["checksum", "/two"]).ok().text();
    assert!(before.starts_with("/two\tMD5-of-2048MD5-of-512CRC32C\t000002000000000000000800"), "{before}");
    for name in ["datanode-1", "datanode-2"] {
        cluster.kill(name);
        assert_eq!(cluster.dfs(&["checksum", "/two"]).ok().text(), before, "without {name}");
    }
    cluster.dfs(&["mkdir", "/d"]).ok();
    let run = cluster.dfs(&["checksum", "/d", "/none", "/hello"]);
    assert_eq!(run.code, 1);
    assert!(
        run.err.contains("checksum: `/d': Is a directory") && run.err.contains("`/none': No such file"),
        "{}",
        run.err
    );
    assert!(run.text().starts_with("/hello\t"), "{}", run.text());
}

#[test]
fn a_copy_on_a_terminal_shows_rate_and_time_left() {
    if !std::path::Path::new("/usr/bin/script").exists() {
        eprintln!("skipped: no `script` to make a terminal with");
        return;
    }
    let cluster = Cluster::start(Options::fast());
    let local = tempfile::tempdir().expect("a temporary folder");
    let many = local.path().join("many");
    std::fs::create_dir(&many).expect("a folder");
    for name in ["a", "b", "c"] {
        std::fs::write(many.join(name), bytes_of(3, 12 << 20)).expect("written");
    }
    let one = many.join("a");
    for (args, part) in [
        (format!("put {} /one", one.display()), "% "),
        (format!("put -t 2 {} /many", many.display()), " files "),
        (format!("get -t 2 /many {}", local.path().join("back").display()), " files "),
    ] {
        let shell = format!("'{}' {args}", crate::harness::program("dfs").display());
        let mut command = std::process::Command::new("/usr/bin/script");
        command.args(["-qefc", &shell, "/dev/null"]).env("MAMMOTH_FS", cluster.fs()).env("TERM", "xterm");
        let shown = crate::harness::run(&mut command, b"", std::time::Duration::from_secs(60)).ok().text();
        for part in [part, "iB/s ", "ETA "] {
            assert!(shown.contains(part), "{args}: {part} is missing: {shown:?}");
        }
    }
    // Nothing of it where nobody looks on.
    let run = cluster.dfs(&["put", "-f", &one.display().to_string(), "/one"]).ok();
    assert_eq!((run.text(), run.err), (String::new(), String::new()));
}
