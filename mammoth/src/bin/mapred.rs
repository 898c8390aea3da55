//! The `mapred` program: jobs.

use std::process::ExitCode;

fn main() -> ExitCode {
    mammoth_cli::mapred::main(std::env::args_os().skip(1).collect(), mammoth::examples_program())
}
