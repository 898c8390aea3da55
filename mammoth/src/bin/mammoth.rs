//! The `mammoth` program; also the job program of the built-in examples.

use clap::Parser;
use mammoth::args::{Mammoth, Verb};
use mammoth::layout::Role;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Run by a tasktracker or as a driver, this program is the examples'.
    if let Some(status) = mammoth_runtime::program::dispatch(mammoth_examples::jobs(), mammoth_examples::apps()) {
        return status;
    }
    let parsed = match Mammoth::try_parse() {
        Ok(parsed) => parsed,
        Err(error) => return mammoth::args::refuse(&error),
    };
    match parsed.command {
        Verb::Demo(args) => mammoth::report(mammoth::demo::run(&args)),
        Verb::Up(args) => mammoth::report(mammoth::up::up(&args)),
        Verb::Down(args) => mammoth::report(mammoth::up::down(&args)),
        Verb::Restart(args) => mammoth::report(mammoth::up::restart(&args)),
        Verb::Namenode(args) => mammoth::daemon::main(Role::Namenode, &args),
        Verb::Datanode(args) => mammoth::daemon::main(Role::Datanode, &args),
        Verb::Jobtracker(args) => mammoth::daemon::main(Role::Jobtracker, &args),
        Verb::Tasktracker(args) => mammoth::daemon::main(Role::Tasktracker, &args),
        Verb::Compare(args) => mammoth::report(mammoth::compare::run(&args)),
        Verb::Mapred { args } => mammoth_cli::mapred::main(args, mammoth::examples_program()),
        Verb::Dfs { args } => mammoth_cli::main(args),
    }
}
