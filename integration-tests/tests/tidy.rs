//! Checks of the source tree itself: which package may use which, how long files and functions may be, and what a core may
//! never touch. A rule that only stands in a document is broken within a month.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Longest file and function, in lines; tests included, generated code not.
const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;
/// Nine of ten files are at most this long.
const FILE_LINES_P90: usize = 400;

/// For each package the packages of ours that it may use, dev-dependencies aside.
const EDGES: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("platform", &["protocol"]),
    ("net", &["protocol", "platform"]),
    ("web", &["protocol", "platform"]),
    ("journal", &["protocol", "platform"]),
    ("namenode-core", &["protocol"]),
    ("simulator", &["namenode-core", "jobtracker-core", "engine-core", "journal", "protocol"]),
    ("client", &["protocol", "platform", "net"]),
    ("cli", &["client", "protocol", "platform"]),
    ("namenode", &["namenode-core", "net", "web", "journal", "protocol", "platform"]),
    ("datanode", &["client", "net", "web", "protocol", "platform"]),
    ("jobtracker-core", &["protocol"]),
    ("jobtracker", &["jobtracker-core", "client", "web", "journal", "protocol", "platform"]),
    ("tasktracker", &["client", "web", "protocol", "platform"]),
    ("runtime-derive", &[]),
    ("runtime", &["runtime-derive", "client", "protocol", "platform"]),
    ("mapreduce", &["runtime", "client", "protocol", "platform"]),
    ("engine-core", &["protocol"]),
    ("engine", &["engine-core", "runtime", "client", "web", "protocol", "platform"]),
    ("rdd", &["engine", "runtime", "protocol", "platform"]),
    ("examples", &["mapreduce", "rdd", "runtime"]),
    ("bench", &["client", "journal", "namenode", "namenode-core", "protocol", "platform", "rdd"]),
    (
        "fuzz",
        &[
            "protocol",
            "platform",
            "net",
            "journal",
            "namenode-core",
            "namenode",
            "datanode",
            "client",
            "cli",
            "jobtracker-core",
            "jobtracker",
            "tasktracker",
            "runtime",
            "engine",
        ],
    ),
    (
        "mammoth",
        &[
            "namenode",
            "datanode",
            "jobtracker",
            "tasktracker",
            "client",
            "cli",
            "runtime",
            "mapreduce",
            "engine",
            "rdd",
            "examples",
            "net",
            "web",
            "protocol",
            "platform",
        ],
    ),
];

/// Texts that no file of a pure core may contain, with what to do instead.
const BANNED_IN_CORES: &[(&str, &str)] = &[
    ("tokio", "doors are asynchronous, cores are not"),
    ("axum", "HTTP belongs into a door"),
    ("reqwest", "HTTP belongs into a door"),
    ("sled", "the journal keeps rows"),
    ("std::fs", "the journal writes files"),
    ("std::net::Tcp", "sockets belong into a door"),
    ("std::time", "time is an argument"),
    ("std::thread", "the driver owns the one thread"),
    ("std::sync::Mutex", "a core has one owner and no lock"),
    ("std::sync::RwLock", "a core has one owner and no lock"),
    ("std::sync::atomic", "a core has one owner"),
    ("std::sync::mpsc", "the driver hands things over"),
    ("std::collections::Hash", "its order is random; use hashbrown with a fixed hasher, or a B-tree"),
    ("async fn", "cores are synchronous"),
    ("println!", "a core returns, it does not print"),
];

/// Files that may switch `unsafe_code` on, each with its argument at the place.
const UNSAFE_ALLOWED: &[&str] = &[
    "compute/engine/src/code.rs",
    "compute/mapreduce/tests/allocations.rs",
    "compute/rdd/tests/alloc.rs",
    "compute/runtime/tests/alloc.rs",
    "fuzz/src/lib.rs",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace folder").to_owned()
}

/// Every Rust file of the project, with its text.
fn sources() -> Vec<(PathBuf, String)> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"])
        .current_dir(root())
        .output()
        .expect("git lists the files");
    assert!(output.status.success(), "git ls-files failed: {}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).expect("file names are UTF-8");
    let mut files = Vec::new();
    for name in names.lines().filter(|name| root().join(name).exists()) {
        let text = std::fs::read_to_string(root().join(name)).expect("source files are UTF-8");
        files.push((PathBuf::from(name), text));
    }
    assert!(files.len() > 50, "only {} source files found: the check looks in the wrong place", files.len());
    files
}

/// Whether a file is part of a core; its tests may look at the process that they run in.
fn in_core(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.contains("/core/src/") && !name.contains("/tests/")
}

#[test]
fn packages_use_only_what_they_may() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let allowed: BTreeMap<&str, &[&str]> = EDGES.iter().copied().collect();
    let short = |name: &str| name.strip_prefix("mammoth-").unwrap_or(name).to_owned();
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = short(package["name"].as_str().expect("a name"));
        if name == "integration-tests" {
            continue;
        }
        let Some(may) = allowed.get(name.as_str()) else {
            wrong.push(format!("{name}: not in the list of edges"));
            continue;
        };
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let target = dependency["name"].as_str().expect("a name");
            let ours = target.starts_with("mammoth") && dependency["kind"].is_null();
            if ours && !may.contains(&short(target).as_str()) {
                wrong.push(format!("{name} must not use {target}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_stay_small_enough_to_read() {
    let mut lengths: Vec<(usize, PathBuf)> =
        sources().into_iter().map(|(path, text)| (text.lines().count(), path)).collect();
    lengths.sort();
    let long: Vec<_> = lengths.iter().filter(|(lines, _)| *lines > FILE_LINES_MAX).collect();
    assert!(long.is_empty(), "over {FILE_LINES_MAX} lines: {long:#?}");
    let (p90, _) = lengths[lengths.len() * 9 / 10];
    assert!(p90 <= FILE_LINES_P90, "one file of ten has over {FILE_LINES_P90} lines (p90 = {p90})");
}

/// Functions of a formatted file with their lengths: from the line of `fn` to the closing brace at the same indent.
fn functions(text: &str) -> Vec<(usize, String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let head = code.split_once("fn ").map(|(before, _)| before);
        let words = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe", "extern"];
        let is_function = head.is_some_and(|before| before.split_whitespace().all(|word| words.contains(&word)));
        if !is_function || code.ends_with(';') || code.ends_with('}') {
            continue;
        }
        let close = format!("{}}}", " ".repeat(indent));
        if let Some(length) = lines[at..].iter().position(|l| *l == close) {
            found.push((at + 1, code.to_owned(), length + 1));
        }
    }
    found
}

#[test]
fn functions_stay_small_enough_to_read() {
    let mut long = Vec::new();
    for (path, text) in sources() {
        for (line, head, length) in functions(&text) {
            if length > FUNCTION_LINES_MAX {
                long.push(format!("{}:{line}: {length} lines: {head}", path.display()));
            }
        }
    }
    assert!(long.is_empty(), "functions over {FUNCTION_LINES_MAX} lines: {long:#?}");
}

#[test]
fn the_function_check_sees_long_functions() {
    let body = "        x();\n".repeat(80);
    let text = format!("impl A {{\n    pub(crate) const fn long() {{\n{body}    }}\n    fn short() {{\n    }}\n}}\n");
    let lengths: Vec<usize> = functions(&text).into_iter().map(|(_, _, length)| length).collect();
    assert_eq!(lengths, [82, 2]);
}

#[test]
fn cores_are_pure() {
    let mut wrong = Vec::new();
    for (path, text) in sources().into_iter().filter(|(path, _)| in_core(path)) {
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for (banned, instead) in BANNED_IN_CORES {
                if code.contains(banned) {
                    wrong.push(format!("{}:{}: {banned}: {instead}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn one_file_names_sled() {
    let naming: Vec<_> = sources()
        .into_iter()
        .filter(|(path, text)| !path.ends_with("tests/tidy.rs") && text.contains("sled::"))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(naming.len(), 1, "{naming:?}");
    assert!(naming[0].starts_with("base/journal"), "{naming:?}");
}

#[test]
fn unsafe_code_and_forgotten_markers_stay_out() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if path.ends_with("tests/tidy.rs") {
            continue;
        }
        let allowed = UNSAFE_ALLOWED.iter().any(|name| path.ends_with(name));
        for (number, line) in text.lines().enumerate() {
            let place = format!("{}:{}", path.display(), number + 1);
            if line.contains("allow(unsafe_code") && !allowed {
                wrong.push(format!("{place}: unsafe code in a module that is not on the list"));
            }
            if ["FIXME", "XXX", "todo!", "dbg!("].iter().any(|marker| line.contains(marker)) {
                wrong.push(format!("{place}: {}", line.trim()));
            }
            if line.contains("thread::sleep") && path.to_string_lossy().contains("/tests/") && !line.contains("poll") {
                wrong.push(format!("{place}: a test polls with a deadline (name the pause `poll`), it does not sleep"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
