//! What Mammoth costs, beside what the machine could do at best, in one run. No figure passes or fails: machines differ, and
//! the ratios within a run are what can be compared.
//!
//! `cargo run --release -p mammoth-bench [-- --mib N] [--files N] [--runs N]`

mod cluster;
mod data;
mod floors;
mod metadata;
mod meter;
mod primitives;
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
}

fn main() -> ExitCode {
    let scale = match parse(std::env::args().skip(1)) {
        Ok(scale) => scale,
        Err(reason) => {
            eprintln!("mammoth-bench: {reason}\nusage: mammoth-bench [--mib N] [--files N] [--runs N]");
            return ExitCode::from(255);
        }
    };
    match run(&scale) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("mammoth-bench: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Scale, String> {
    let mut scale = Scale { mib: 1024, files: 100_000, runs: 3 };
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a number"))?;
        let number: u64 = value.parse().map_err(|_| format!("{arg} {value}: not a number"))?;
        match arg.as_str() {
            "--mib" => scale.mib = number,
            "--files" => scale.files = number,
            "--runs" => scale.runs = usize::try_from(number).map_err(|e| e.to_string())?.max(1),
            _ => return Err(format!("unknown option {arg}")),
        }
    }
    Ok(scale)
}

fn run(scale: &Scale) -> Result<(), String> {
    floors::measure()?;
    start::measure()?;
    data::measure(scale)?;
    metadata::measure(scale)
}
