//! Runs fuzz targets for as long as wanted, guided by coverage.
//!
//! `cargo run --release -p mammoth-fuzz -- TARGET… | all [--seconds N] [--corpus DIR]`. It builds the engine (libFuzzer, which
//! needs a C++ compiler) with coverage counters, overflow checks and debug assertions in every package, by the ordinary
//! toolchain; new inputs gather below `target/fuzz/corpus/TARGET`, inputs that fail in `target/fuzz/failures/TARGET`. What
//! failed belongs into `fuzz/corpus/TARGET` with the repair. `--run FILE…` runs one target on files, to look at a failure;
//! `--blind` makes do without the engine and without its guidance, with what this program itself is built with.

use mammoth_fuzz::mutate::Mutator;
use mammoth_fuzz::{TARGETS, Target, find};
use mammoth_platform::{Deadline, Entropy, SystemClock, SystemEntropy};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

/// What makes the compiler count where a run comes through. All of it is stable; a sanitizer would not be.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";
const USAGE: &str = "mammoth-fuzz TARGET…|all [--seconds N] [--corpus DIR] [--blind] | TARGET --run FILE…";
/// Longest input that the engine makes.
const LEN_MAX: usize = 8192;
/// One run that takes longer hangs, seconds.
const RUN_SECONDS_MAX: u64 = 10;

/// What is asked for.
struct Asked {
    targets: Vec<&'static Target>,
    seconds: u64,
    corpus: Option<PathBuf>,
    files: Vec<PathBuf>,
    blind: bool,
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)).and_then(|asked| run(&asked)) {
        Ok(failed) if failed.is_empty() => ExitCode::SUCCESS,
        Ok(failed) => {
            eprintln!("mammoth-fuzz: failed: {}", failed.join(" "));
            ExitCode::FAILURE
        }
        Err(reason) => {
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            eprintln!("mammoth-fuzz: {reason}\nusage: {USAGE}\ntargets: {}", names.join(" "));
            ExitCode::from(255)
        }
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Asked, String> {
    let mut asked = Asked { targets: Vec::new(), seconds: 60, corpus: None, files: Vec::new(), blind: false };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seconds" => {
                let value = args.next().ok_or("--seconds needs a value")?;
                asked.seconds = value.parse().map_err(|_| format!("--seconds {value}: not a number"))?;
            }
            "--corpus" => asked.corpus = Some(args.next().ok_or("--corpus needs a folder")?.into()),
            "--run" => asked.files = args.by_ref().map(PathBuf::from).collect(),
            "--blind" => asked.blind = true,
            "all" => asked.targets.extend(TARGETS),
            name => asked.targets.push(find(name).ok_or_else(|| format!("{name}: no such target"))?),
        }
    }
    if asked.targets.is_empty() { Err("no target named".to_owned()) } else { Ok(asked) }
}

/// Runs the targets one after the other; the names of those that failed.
fn run(asked: &Asked) -> Result<Vec<&'static str>, String> {
    if !asked.files.is_empty() {
        for target in &asked.targets {
            for file in &asked.files {
                eprintln!("{}: {}", target.name, file.display());
                target.check(&std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?);
            }
        }
        return Ok(Vec::new());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no workspace")?.to_owned();
    if asked.blind {
        let results: Result<Vec<_>, _> =
            asked.targets.iter().map(|target| Ok((blind(&root, target, asked.seconds)?, target.name))).collect();
        return results.map(|all: Vec<(bool, &str)>| {
            all.into_iter().filter(|(passed, _)| !passed).map(|(_, name)| name).collect()
        });
    }
    let engine = build(&root)?;
    let mut failed = Vec::new();
    for target in &asked.targets {
        if !fuzz(&engine, &root, target, asked)? {
            failed.push(target.name);
        }
    }
    Ok(failed)
}

/// Builds the engine; gives its path.
fn build(root: &Path) -> Result<PathBuf, String> {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let folder = root.join("target/fuzz");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // With a target named, the flags concern what runs there, and no build script or macro.
    command.current_dir(root).env("RUSTFLAGS", COVERAGE).env_remove("RUSTC_WORKSPACE_WRAPPER").args([
        "build",
        "--profile",
        "fuzz",
        "--package",
        "mammoth-fuzz",
        "--bin",
        "mammoth-fuzz-engine",
        "--features",
        "engine",
    ]);
    command.arg("--target").arg(&triple).arg("--target-dir").arg(&folder);
    let status = command.status().map_err(|error| format!("cargo: {error}"))?;
    if status.success() {
        Ok(folder.join(triple).join("fuzz/mammoth-fuzz-engine"))
    } else {
        Err("the engine does not build".to_owned())
    }
}

/// Runs one target; false if it failed.
fn fuzz(engine: &Path, root: &Path, target: &Target, asked: &Asked) -> Result<bool, String> {
    let corpus = asked.corpus.clone().unwrap_or_else(|| root.join("target/fuzz/corpus")).join(target.name);
    let failures = root.join("target/fuzz/failures").join(target.name);
    let committed = root.join("fuzz/corpus").join(target.name);
    for folder in [&corpus, &failures] {
        std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    eprintln!("{}: {} s", target.name, asked.seconds);
    let mut command = Command::new(engine);
    command.env("MAMMOTH_FUZZ_TARGET", target.name).env("MAMMOTH_FUZZ_SEEDS", &corpus).arg(&corpus);
    if committed.exists() {
        command.arg(&committed);
    }
    command.arg(format!("-max_total_time={}", asked.seconds));
    command.arg(format!("-max_len={LEN_MAX}"));
    command.arg(format!("-timeout={RUN_SECONDS_MAX}"));
    command.arg(format!("-artifact_prefix={}/", failures.display()));
    command.args(["-rss_limit_mb=2048", "-use_value_profile=1", "-print_final_stats=1", "-verbosity=1"]);
    Ok(command.status().map_err(|error| format!("{}: {error}", engine.display()))?.success())
}

/// Changes inputs without guidance for so long; false if one failed, which is kept.
fn blind(root: &Path, target: &Target, seconds: u64) -> Result<bool, String> {
    let mut inputs = (target.seeds)();
    let committed = std::fs::read_dir(root.join("fuzz/corpus").join(target.name)).into_iter().flatten().flatten();
    inputs.extend(committed.filter_map(|entry| std::fs::read(entry.path()).ok()));
    let mutator = Mutator::new(SystemEntropy.next_u64());
    let end = Deadline::after(&SystemClock, Duration::from_secs(seconds));
    let mut runs = 0_u64;
    while !runs.is_multiple_of(256) || !end.is_over(&SystemClock) {
        let bytes = mutator.change(&inputs);
        if catch_unwind(AssertUnwindSafe(|| target.check(&bytes))).is_err() {
            let folder = root.join("target/fuzz/failures").join(target.name);
            let path = folder.join(format!("blind-{runs}"));
            let kept = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, &bytes));
            kept.map_err(|error| format!("{}: {error}", path.display()))?;
            eprintln!("{}: failed after {runs} runs: {}", target.name, path.display());
            return Ok(false);
        }
        runs += 1;
    }
    eprintln!("{}: {runs} runs in {seconds} s", target.name);
    Ok(true)
}
