//! The `jobtracker` program.

use clap::Parser;
use mammoth::layout::Role;
use std::process::ExitCode;

fn main() -> ExitCode {
    mammoth::daemon::main(Role::Jobtracker, &mammoth::args::Daemon::parse())
}
