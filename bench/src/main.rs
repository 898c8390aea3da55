//! What Mammoth costs, beside what the machine could do at best, in one run. No figure passes or fails: machines differ, and
//! the ratios within a run are what can be compared.
//!
//! `cargo run --release -p mammoth-bench [-- --mib N] [--files N] [--runs N] [--numbers N] [--only PART]`, where PART is floors,
//! start, data, copies, metadata, jobs, chain, scale or heartbeats. The last two are measured only if they are named: with 10,000,000
//! files they want 6 GiB of memory and some minutes.

mod caller;
mod chain;
mod cluster;
mod copies;
mod data;
mod floors;
mod jobs;
mod metadata;
mod meter;
mod primitives;
mod scale;
mod start;

use std::process::ExitCode;

/// How much to measure.
pub(crate) struct Scale {
    /// Size of the file that is put and got, MiB.
    pub(crate) mib: u64,
    /// Files in the namespace for the restart.
    pub(crate) files: u64,
    /// Repetitions of the data path; medians are printed.
    pub(crate) runs: usize,
    /// Numbers that go through the chain of maps.
    pub(crate) numbers: u64,
    /// The only part to measure; all without it.
    pub(crate) only: Option<String>,
}

const USAGE: &str = "mammoth-bench [--mib N] [--files N] [--runs N] [--numbers N] [--only floors|start|data|copies|metadata|jobs|chain|scale|heartbeats]";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.split_first() {
        Some((role, rest)) if role == scale::namenode::ROLE => return end(scale::namenode::serve(rest)),
        Some((role, rest)) if role == scale::WRITE => return end(scale::write(rest)),
        _ => {}
    }
    let scale = match parse(args.into_iter()) {
        Ok(scale) => scale,
        Err(reason) => {
            eprintln!("mammoth-bench: {reason}\nusage: {USAGE}");
            return ExitCode::from(255);
        }
    };
    end(run(&scale))
}

fn end(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("mammoth-bench: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Scale, String> {
    let mut scale = Scale { mib: 1024, files: 100_000, runs: 3, numbers: 100_000_000, only: None };
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
        if arg == "--only" {
            scale.only = Some(value);
            continue;
        }
        let number: u64 = value.parse().map_err(|_| format!("{arg} {value}: not a number"))?;
        match arg.as_str() {
            "--mib" => scale.mib = number,
            "--files" => scale.files = number,
            "--runs" => scale.runs = usize::try_from(number).map_err(|e| e.to_string())?.max(1),
            "--numbers" => scale.numbers = number.max(1),
            _ => return Err(format!("unknown option {arg}")),
        }
    }
    Ok(scale)
}

/// Parts that are measured only if they are named.
const LARGE: [&str; 2] = ["scale", "heartbeats"];

type Part = fn(&Scale) -> Result<(), String>;

fn run(scale: &Scale) -> Result<(), String> {
    let parts: [(&str, Part); 9] = [
        ("floors", |_| floors::measure()),
        ("start", |_| start::measure()),
        ("data", data::measure),
        ("copies", copies::measure),
        ("metadata", metadata::measure),
        ("chain", |scale| chain::measure(scale.numbers)),
        ("jobs", jobs::measure),
        ("scale", scale::measure),
        ("heartbeats", scale::heartbeats::measure),
    ];
    let wanted = |name: &str| scale.only.as_deref().map_or(!LARGE.contains(&name), |only| only == name);
    let mut chosen = parts.into_iter().filter(|(name, _)| wanted(name)).peekable();
    if chosen.peek().is_none() {
        return Err(format!("--only {}: no such part; {USAGE}", scale.only.as_deref().unwrap_or_default()));
    }
    chosen.try_for_each(|(_, part)| part(scale))
}
