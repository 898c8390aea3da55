//! The programs of the README, and one with a key of its own, as their authors have them: in packages of their own, outside of
//! this project, with one dependency each. They are built, run as the README says, and compared with a plain loop.
//!
//! All dependencies are built for it once more, in a folder that goes away; nothing of the project's own is touched.

use crate::harness::{Cluster, Options, program, run, words_of};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// On a machine that has much else to do.
const BUILD_LIMIT: Duration = Duration::from_secs(1500);

/// A job with a key and a value of its own types.
const OWN_TYPES: &str = r#"
use mammoth_mapreduce::prelude::*;
use mammoth_mapreduce::serde::{Deserialize, Serialize};

#[derive(Key)]
enum Size {
    Short(u32),
    Long { len: u32 },
}

#[derive(Serialize, Deserialize)]
#[serde(crate = "mammoth_mapreduce::serde")]
struct Seen {
    times: u64,
}

#[derive(Clone)]
struct Sizes;

impl Mapper for Sizes {
    type Key = Size;
    type Value = Seen;

    fn map(&mut self, _offset: u64, line: &str, out: &mut Emit<'_, Size, Seen>) -> Outcome {
        for word in line.split_whitespace() {
            let len = word.len() as u32;
            out.emit(&if len < 4 { Size::Short(len) } else { Size::Long { len } }, &Seen { times: 1 });
        }
        Ok(())
    }
}

impl Reducer for Sizes {
    type Key = Size;
    type Value = Seen;

    fn reduce(&mut self, size: &Size, values: &mut Values<'_, Seen>, out: &mut Output<'_>) -> Outcome {
        let (Size::Short(len) | Size::Long { len }) = size;
        out.emit(len, values.map(|seen| seen.times).sum::<u64>());
        Ok(())
    }
}

fn sizes(args: &JobArgs<'_>) -> Result<Job, JobError> {
    let [input, output] = args.args else { return Err(usage("sizes IN OUT")) };
    Ok(Job::new("sizes").input(input).output(output).mapper(Sizes).reducer(Sizes))
}

fn main() -> ExitCode {
    mammoth_mapreduce::main(jobs![sizes])
}
"#;

/// The same in memory: the derived key decides where a record goes.
const OWN_RECORDS: &str = r#"
use mammoth_rdd::serde::{Deserialize, Serialize};
use mammoth_rdd::{AppResult, Context, Key, apps};

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Key, Serialize, Deserialize)]
#[serde(crate = "mammoth_rdd::serde")]
struct Size(u32);

fn sizes(context: &Context, args: &[String]) -> AppResult {
    let [input, output] = args else { return Err("Usage: sizes IN OUT".into()) };
    context
        .text_file(input, 0)?
        .flat_map(|line| line.split_whitespace().map(|word| (Size(word.len() as u32), 1_u64)).collect::<Vec<_>>())
        .reduce_by_key(|a, b| a + b, 2)
        .map(|(Size(len), count)| (len, count))
        .save_pairs_as_text_file(output)?;
    Ok(())
}

fn main() -> std::process::ExitCode {
    mammoth_rdd::main(apps![sizes])
}
"#;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace folder").to_owned()
}

/// The README's blocks of code in a language.
fn blocks(language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join("README.md")).expect("README.md");
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// A package as `cargo new` makes it, with these dependencies and this program.
fn write_package(folder: &Path, name: &str, dependencies: &str, main: &str) {
    let sources = folder.join(name).join("src");
    std::fs::create_dir_all(&sources).expect("a folder");
    let dependencies = dependencies.replace("/path/to/mammoth", &root().display().to_string());
    let manifest = format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n{dependencies}");
    std::fs::write(folder.join(name).join("Cargo.toml"), manifest).expect("written");
    std::fs::write(sources.join("main.rs"), main).expect("written");
}

/// Builds the programs; the folder with them.
fn build(folder: &Path) -> PathBuf {
    let (packages, programs) = (blocks("toml"), blocks("rust"));
    assert_eq!((packages.len(), programs.len()), (2, 2), "the README has a program for each mode");
    let names = ["lengths", "lengths-in-memory", "sizes", "sizes-in-memory"];
    let programs = [programs[0].as_str(), programs[1].as_str(), OWN_TYPES, OWN_RECORDS];
    for (number, name) in names.iter().enumerate() {
        write_package(folder, name, &packages[number % 2], programs[number]);
    }
    let workspace = format!("[workspace]\nresolver = \"3\"\nmembers = {names:?}\n");
    std::fs::write(folder.join("Cargo.toml"), workspace).expect("written");
    // The versions that the project was built with, so that nothing need be fetched.
    let lock = std::fs::read(root().join("Cargo.lock")).expect("Cargo.lock");
    std::fs::write(folder.join("Cargo.lock"), &lock).expect("written");
    let target = folder.join("target");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--offline", "--quiet"]).current_dir(folder);
    cargo.env("CARGO_TARGET_DIR", &target).env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_INCREMENTAL", "0");
    let built = run(&mut cargo, b"", BUILD_LIMIT).ok();
    eprintln!("built outside in {:.0} s", built.took.as_secs_f64());
    assert!(!built.err.contains("warning"), "{}", built.err);
    assert_eq!(std::fs::read(root().join("Cargo.lock")).expect("Cargo.lock"), lock, "the project's own file");
    target.join("debug")
}

/// Words by their length, counted in a loop: `length TAB count`, sorted as text.
fn counted(text: &str) -> Vec<String> {
    let mut counts: BTreeMap<usize, u64> = BTreeMap::new();
    for word in text.split_whitespace() {
        *counts.entry(word.len()).or_default() += 1;
    }
    let mut lines: Vec<String> = counts.iter().map(|(length, count)| format!("{length}\t{count}")).collect();
    lines.sort();
    lines
}

#[test]
#[ignore = "builds all dependencies once more, which takes minutes"]
fn programs_outside_of_this_project_are_built_and_run_as_the_readme_says() {
    let folder = tempfile::Builder::new().prefix("mammoth-outside-").tempdir().expect("a temporary folder");
    let programs = build(folder.path());
    let cluster = Cluster::start(Options::fast().jobs(3));
    let text = words_of(11, 3 << 20);
    cluster.put("/texts/a", text.as_bytes());
    let mut commands: Vec<String> =
        blocks("console").iter().flat_map(|block| block.lines()).map(str::to_owned).collect();
    assert_eq!(commands.len(), 2, "{commands:?}");
    commands.push("$ mapred run ./target/release/sizes sizes /texts /sizes".to_owned());
    commands
        .push("$ mapred run --mode memory ./target/release/sizes-in-memory sizes /texts /sizes-in-memory".to_owned());
    for command in &commands {
        let args = command.strip_prefix("$ mapred ").unwrap_or_else(|| panic!("no command: {command}"));
        let args = args.replace("./target/release", &programs.display().to_string());
        let args: Vec<&str> = args.split_whitespace().collect();
        let ran = cluster.mapred(&args).ok();
        let output = args.last().expect("an output");
        assert!(cluster.output(output) == counted(&text), "{command}: {}", ran.err);
    }
    // Wrong usage is answered by the program itself.
    let usage = cluster.mapred(&["run", &programs.join("lengths").display().to_string(), "lengths", "/texts"]);
    assert_eq!((usage.code, usage.err.as_str()), (255, "Usage: lengths IN OUT\n"));
    let path = program("mapred").parent().expect("a folder").to_owned();
    assert!(!programs.starts_with(path.parent().expect("the target folder")), "built outside");
}
