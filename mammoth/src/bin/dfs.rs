//! The `dfs` program: the file system shell.

use std::process::ExitCode;

fn main() -> ExitCode {
    mammoth_cli::main(std::env::args_os().skip(1).collect())
}
