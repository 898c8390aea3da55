//! The `mapred` commands: run programs, and look after jobs.
//!
//! - `run`: becomes the driver, which is the user's program; `program`: what can be a program
//! - `job`: `mapred job -list`, `-status`, `-kill` … in Hadoop's words

mod job;
mod program;
mod run;
#[cfg(test)]
mod tests;

use crate::fault::Fault;
use crate::generic::{Generic, Surroundings};
use crate::{EXIT_FAILED, EXIT_USAGE};
use mammoth_client::JobClient;
use mammoth_platform::{Settings, keys};
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Variable that names the jobtracker.
const JOBTRACKER_VARIABLE: &str = "MAMMOTH_JOBTRACKER";

const USAGE: &str = "\
Usage: mapred [-fs URI] [-jt URI] [-D KEY=VALUE]... [--conf DIR] COMMAND
  run [--mode disk|memory] [-D KEY=VALUE]... [PROGRAM] JOB ARGS...
      run a job of a program (a path with a slash), or one of the built-in examples: wordcount, grep
  job -list [all] | -status JOB | -kill JOB | -counter JOB GROUP NAME | -events JOB FROM COUNT
      | -list-attempt-ids JOB KIND STATE | -list-active-trackers | -logs JOB [ATTEMPT]
";

/// Runs the command line `args` (without the program's name). `examples` is the program that holds the built-in jobs.
#[must_use]
pub fn main(args: Vec<OsString>, examples: PathBuf) -> ExitCode {
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    ExitCode::from(run_in(args, &examples, Surroundings::of_process(), &mut out, &mut err))
}

/// Options before the command.
struct Place {
    settings: Settings,
    /// `-D` pairs and those of `-conf` files.
    pairs: Vec<String>,
    fs: Option<String>,
    conf_dir: Option<PathBuf>,
    jobtracker: Option<String>,
}

impl Place {
    fn take(args: &mut Vec<String>, environment: Surroundings) -> Result<Self, Fault> {
        let given = std::env::var(JOBTRACKER_VARIABLE).ok().filter(|value| !value.is_empty());
        Self::take_with(args, environment, given)
    }

    fn take_with(args: &mut Vec<String>, environment: Surroundings, given: Option<String>) -> Result<Self, Fault> {
        let mut front = Vec::new();
        let mut jobtracker = None;
        // Hadoop lets its generic options come in any order; `-jt` is ours to take, the rest is for all shells.
        while let Some(option) = args.first().cloned() {
            let takes = matches!(option.as_str(), "-fs" | "--fs" | "-D" | "-conf" | "--conf" | "-jt" | "--jt");
            let joined = option.len() > 2 && option.starts_with("-D");
            if !takes && !joined {
                break;
            }
            let count = if takes { 2 } else { 1 };
            if args.len() < count {
                return Err(Fault::Usage(format!("{option}: a value is missing")));
            }
            let words: Vec<String> = args.drain(..count).collect();
            if option.ends_with("-jt") { jobtracker = words.last().cloned() } else { front.extend(words) }
        }
        let conf_dir = environment.conf_dir.clone();
        let generic = Generic::take(&mut front, environment)?;
        let conf_dir = generic.folder().or(conf_dir);
        // Under their present names they follow below; a driver warns about old ones.
        let mut pairs: Vec<String> = generic.pairs().to_vec();
        let (settings, fs) = generic.into_settings()?;
        settings.validate()?;
        let named = |pair: &str, name: &str| pair.split('=').next().map(str::trim) == Some(name);
        pairs.retain(|pair| !settings.iter().any(|(name, _, _)| named(pair, name)));
        pairs.extend(
            settings
                .iter()
                .filter(|(_, _, origin)| matches!(origin, mammoth_platform::settings::Origin::CommandLine))
                .map(|(name, value, _)| format!("{name}={value}")),
        );
        let key = keys::MAPREDUCE_JOBTRACKER_HTTP_ADDRESS;
        let configured = if settings.is_given(key.name()) { Some(settings.addr(key)?.to_string()) } else { None };
        let jobtracker = jobtracker.or(given).or(configured);
        Ok(Self { settings, pairs, fs, conf_dir, jobtracker })
    }

    fn jobtracker(&self) -> Result<&str, Fault> {
        self.jobtracker.as_deref().ok_or_else(|| {
            Fault::Other(
                "no jobtracker given: use -jt http://host:port, set MAMMOTH_JOBTRACKER, or set HADOOP_CONF_DIR to a \
                 folder whose mapred-site.xml has mapreduce.jobtracker.http.address"
                    .to_owned(),
            )
        })
    }

    fn client(&self) -> Result<JobClient, Fault> {
        JobClient::connect(self.jobtracker()?).map_err(Fault::Client)
    }
}

fn run_in(
    args: Vec<OsString>,
    examples: &std::path::Path,
    environment: Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let mut texts = Vec::with_capacity(args.len());
    for arg in args {
        match arg.into_string() {
            Ok(text) => texts.push(text),
            Err(arg) => {
                let _ = writeln!(err, "mapred: `{}': the argument is not valid UTF-8", arg.to_string_lossy());
                return EXIT_USAGE;
            }
        }
    }
    match dispatch(&mut texts, examples, environment, out, err) {
        Ok(status) => status,
        Err(Fault::Usage(text)) => {
            let _ = writeln!(err, "mapred: {text}\n{USAGE}");
            EXIT_USAGE
        }
        Err(fault) => {
            let _ = writeln!(err, "mapred: {}", fault.line());
            EXIT_FAILED
        }
    }
}

fn dispatch(
    args: &mut Vec<String>,
    examples: &std::path::Path,
    environment: Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<u8, Fault> {
    let place = Place::take(args, environment)?;
    if args.is_empty() {
        return Err(Fault::Usage("no command".to_owned()));
    }
    match args.remove(0).trim_start_matches('-') {
        "run" => run::run(place, args, examples),
        "job" => job::job(&place, args, out),
        "help" => {
            let _ = write!(out, "{USAGE}");
            Ok(0)
        }
        "streaming" => {
            let _ = writeln!(err, "mapred: 'streaming' is not implemented yet");
            Ok(EXIT_FAILED)
        }
        other => Err(Fault::Usage(format!("{other}: Unknown command"))),
    }
}
