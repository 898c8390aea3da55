//! What the binaries do: start daemons, alone or as a whole cluster in one folder, and show what they are good for.
//!
//! - [`args`]: the command line of `mammoth`.
//! - [`layout`]: the files of a cluster folder, and what a later `restart` or `down` reads from them.
//! - [`ports`]: which address each daemon gets, and that it keeps it.
//! - [`daemon`]: one daemon in this process, for the programs `namenode` and `datanode`.
//! - [`embedded`]: all daemons in this process, over the same sockets as anywhere else.
//! - [`processes`]: every daemon as a process of its own.
//! - [`control`]: how `restart` and `down` reach a running embedded cluster.
//! - [`up`], [`demo`], [`compare`]: the commands.

pub mod args;
pub mod compare;
pub mod control;
pub mod daemon;
pub mod demo;
pub mod embedded;
pub mod layout;
pub mod ports;
pub mod processes;
pub mod status;
pub mod up;

/// The program that holds the built-in jobs: `mammoth`, beside whatever runs now.
#[must_use]
pub fn examples_program() -> std::path::PathBuf {
    let here = std::env::current_exe().unwrap_or_default();
    here.with_file_name("mammoth")
}

/// Ends a command: one line on standard error and status 1 if it failed.
#[must_use]
pub fn report(result: Result<(), String>) -> std::process::ExitCode {
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("mammoth: {reason}");
            std::process::ExitCode::FAILURE
        }
    }
}
