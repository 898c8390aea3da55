//! The commands of the README, taken out of the README and run, in its order, from the project's folder.

use crate::harness::{program, run};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace folder").to_owned()
}

/// The lines of all `sh` blocks.
fn commands() -> Vec<String> {
    let text = std::fs::read_to_string(root().join("README.md")).expect("README.md");
    let mut inside = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            _ if inside && !line.trim().is_empty() => lines.push(line.to_owned()),
            _ => {}
        }
    }
    lines
}

/// A command as the test runs it: the programs are built already, folders and ports are the test's own. What would build
/// again, or run the tests inside the tests, is left out.
fn adapted(line: &str, dir: &Path) -> Option<String> {
    let builds = line.starts_with("cargo build") || line.starts_with("cargo test") || line.starts_with("export PATH");
    if builds {
        return None;
    }
    let line = line.replace("/tmp/mammoth", &dir.display().to_string());
    let line = line.replace("mammoth up ", "mammoth up --port-base 0 ");
    Some(line.replace("cargo run --release -- ", "mammoth "))
}

#[test]
fn the_readme_starts_with_the_demo_and_then_the_tests() {
    let commands = commands();
    assert_eq!(commands[0], "cargo run --release -- demo --exit");
    assert_eq!(commands[1], "cargo test --workspace");
}

#[test]
fn every_command_of_the_readme_works() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let dir = temp.path().join("cluster");
    let mut script = String::from("set -eu\n");
    for line in commands() {
        if let Some(line) = adapted(&line, &dir) {
            script += &format!("echo '+ {}' >&2\n{line}\n", line.replace('\'', "'\\''"));
        }
    }
    assert!(script.contains("dfs put README.md"), "{script}");
    let programs = program("mammoth").parent().expect("a folder").to_owned();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(&script).current_dir(root()).env("PATH", path);
    let run = run(&mut shell, b"", Duration::from_secs(300));
    // Whatever happened, nothing stays.
    let _ = Command::new(program("mammoth")).arg("down").arg("--dir").arg(&dir).output();
    assert_eq!(run.code, 0, "{}\n{}", run.err, run.text());
    for expected in ["identical", "Replication 2 set: /texts/hallo", "hallo 6 2", "Deleted /texts"] {
        assert!(run.text().contains(expected), "no `{expected}` in:\n{}", run.text());
    }
}
