//! The `tasktracker` program.

use clap::Parser;
use mammoth::layout::Role;
use std::process::ExitCode;

fn main() -> ExitCode {
    mammoth::daemon::main(Role::Tasktracker, &mammoth::args::Daemon::parse())
}
