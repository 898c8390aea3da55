//! The `dfs` shell: the commands of Hadoop's file system shell, with its options, output and exit codes.
//!
//! [`run`] executes one command line over streams that the caller gives; [`main`] does so for a process. Layout:
//!
//! - `generic`, `args`: options before the command, and of the command;
//! - `table`: all commands; `commands/`: one file each, parsing and running side by side;
//! - `session`: the state of one run; `systems`, `fs/`: the cluster and the local disk behind one interface;
//! - `paths`, `glob/`: paths as typed, and patterns; `copy/`: the copy loop of put, get and cp;
//! - [`mapred`]: the commands about jobs;
//! - `format`, `columns`, `json`: how things are written; `fault`: how failures are worded.
//!
//! It never exits the process and never touches the bytes of a block: that is the client library's work.

mod args;
mod columns;
mod commands;
mod copy;
mod fault;
mod format;
mod fs;
#[doc(hidden)]
pub mod fuzzing;
mod generic;
mod glob;
mod help;
mod input;
mod json;
pub mod mapred;
mod paths;
mod session;
mod systems;
mod table;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use fault::Fault;
use generic::{Generic, Surroundings};
use session::Session;
use std::ffi::OsString;
use std::io::{IsTerminal, Read, Write};
use std::process::ExitCode;
use systems::Systems;

/// Something failed.
const EXIT_FAILED: u8 = 1;
/// The command line makes no sense.
const EXIT_USAGE: u8 = 255;
/// The user interrupted.
const EXIT_INTERRUPTED: u8 = 130;
/// The reader of standard output went away: as for a process that SIGPIPE ended.
const EXIT_BROKEN_PIPE: u8 = 141;

/// The streams of one run.
pub struct Io<'a> {
    /// Read by `put -` and by questions.
    pub stdin: &'a mut dyn Read,
    /// Takes the output.
    pub stdout: &'a mut dyn Write,
    /// Takes errors, one line each.
    pub stderr: &'a mut dyn Write,
    /// Whether long copies draw a progress bar, on the standard error of the process.
    pub stderr_is_terminal: bool,
    /// Whether the process is this shell's own. Then copies handle SIGINT and SIGTERM, so that they leave no temporary file,
    /// and read the standard input of the process itself.
    pub owns_process: bool,
}

/// Variable that has the shell tell what the client library does, at the level that it names.
const LOG_VARIABLE: &str = "MAMMOTH_LOG";

/// Runs the command line `args` (without the program's name) on the streams of the process.
#[must_use]
pub fn main(args: Vec<OsString>) -> ExitCode {
    // Who asks for it sees what the library does, on standard error; nobody else sees a line more than Hadoop's shell prints.
    if std::env::var_os(LOG_VARIABLE).is_some()
        && let Err(error) = mammoth_platform::telemetry::start(None)
    {
        eprintln!("dfs: {error}");
        return ExitCode::from(EXIT_USAGE);
    }
    let (mut stdin, mut stdout, mut stderr) = (std::io::stdin(), RawStdout, std::io::stderr());
    let stderr_is_terminal = stderr.is_terminal();
    let io = Io { stdin: &mut stdin, stdout: &mut stdout, stderr: &mut stderr, stderr_is_terminal, owns_process: true };
    ExitCode::from(run(args, io))
}

/// Standard output without the line buffer of the standard library, as the session has a larger one.
struct RawStdout;

impl Write for RawStdout {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        Ok(rustix::io::write(rustix::stdio::stdout(), data)?)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Runs the command line `args` (without the program's name) and gives the exit status: 0, 1 if something failed, 255 for a
/// command line that makes no sense.
#[must_use]
pub fn run(args: Vec<OsString>, io: Io<'_>) -> u8 {
    run_in(args, io, Surroundings::of_process())
}

fn run_in(args: Vec<OsString>, io: Io<'_>, environment: Surroundings) -> u8 {
    // A standard error that is gone cannot be told about.
    let refuse = |io: Io<'_>, text: String| {
        let _ = writeln!(io.stderr, "dfs: {text}");
        EXIT_USAGE
    };
    let mut texts = Vec::with_capacity(args.len());
    for arg in args {
        match arg.into_string() {
            Ok(text) => texts.push(text),
            Err(arg) => return refuse(io, format!("`{}': the argument is not valid UTF-8", arg.to_string_lossy())),
        }
    }
    let generic = match Generic::take(&mut texts, environment) {
        Ok(generic) => generic,
        Err(fault) => return refuse(io, fault.line()),
    };
    if texts.is_empty() {
        let _ = help::all_usages(io.stderr);
        return EXIT_USAGE;
    }
    let typed = texts.remove(0);
    match table::find(&typed) {
        table::Found::Ready(command) => run_command(command, texts, generic, io),
        table::Found::Planned(name) => {
            let _ = writeln!(io.stderr, "dfs: '{name}' is not implemented yet");
            EXIT_FAILED
        }
        table::Found::Unknown => {
            let _ = writeln!(io.stderr, "{typed}: Unknown command");
            let _ = help::all_usages(io.stderr);
            EXIT_USAGE
        }
    }
}

fn run_command(command: &'static table::Command, args: Vec<String>, generic: Generic, io: Io<'_>) -> u8 {
    let systems = match Systems::new(generic) {
        Ok(systems) => systems,
        Err(fault) => {
            let _ = writeln!(io.stderr, "{}: {}", command.name, fault.line());
            return EXIT_FAILED;
        }
    };
    let mut session = Session::new(io, systems, command.name);
    if let Some(instead) = command.deprecated {
        session.note(format_args!("{}: DEPRECATED: Please use '{instead}' instead.", command.name));
    }
    let result = (command.run)(&mut session, args).and_then(|()| session.flush());
    match result {
        Ok(()) => session.exit_status(),
        Err(Fault::BrokenPipe) => EXIT_BROKEN_PIPE,
        Err(Fault::Interrupted) => {
            session.report(&Fault::Interrupted);
            EXIT_INTERRUPTED
        }
        Err(Fault::Usage(text)) => {
            session.note(format_args!("-{}: {text}", command.name));
            session.note(help::usage(command));
            EXIT_USAGE
        }
        Err(fault) => {
            session.report(&fault);
            EXIT_FAILED
        }
    }
}
