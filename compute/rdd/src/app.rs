//! Applications: functions that are given a context, by name, in a program that is driver and executor in one.

use crate::{Context, Error};
use mammoth_runtime::program::{self, AppEntry, Invocation};
use std::io::Write;
use std::process::ExitCode;

/// What an application returns: any error ends the program with one line and status 1.
pub type AppResult = Result<(), Box<dyn std::error::Error>>;

/// An application: a context on the cluster of the environment, and what follows the name on the command line.
pub type App = fn(&Context, &[String]) -> AppResult;

/// All of a program's `main`: it is driver or executor, as its environment says, and in an executor no application's function
/// ever runs.
///
/// ```no_run
/// use mammoth_rdd::{AppResult, Context, apps};
///
/// fn hello(context: &Context, args: &[String]) -> AppResult {
///     println!("{} records, {args:?}", context.range(0..10, 2).count()?);
///     Ok(())
/// }
///
/// fn main() -> std::process::ExitCode {
///     mammoth_rdd::main(apps![hello])
/// }
/// ```
#[must_use]
pub fn main(apps: &[AppEntry]) -> ExitCode {
    program::main(&[], apps)
}

/// The applications of a program, for [`main`](crate::main): functions, or names and functions (`"word-count" => wordcount`).
#[macro_export]
macro_rules! apps {
    (@entry $name:expr, $function:expr) => {
        $crate::AppEntry {
            name: $name,
            driver: |invocation| $crate::drive(invocation, $function),
            executor: $crate::executor_main,
        }
    };
    ($($function:ident),+ $(,)?) => {
        &[$($crate::apps!(@entry stringify!($function), $function)),+]
    };
    ($($name:literal => $function:path),+ $(,)?) => {
        &[$($crate::apps!(@entry $name, $function)),+]
    };
}

/// Runs an application as its driver; what [`apps!`] names.
#[doc(hidden)]
#[must_use]
pub fn drive(invocation: Invocation, app: App) -> ExitCode {
    let name = invocation.name.clone();
    match run(&invocation, app) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not `eprintln`: that panics where nobody reads any more.
            let _gone = writeln!(std::io::stderr(), "{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(invocation: &Invocation, app: App) -> AppResult {
    let context = Context::cluster(invocation)?;
    let ended = app(&context, &invocation.args);
    match &ended {
        Ok(()) => context.stop(),
        Err(error) => context.fail(&error.to_string()),
    }
    ended
}

impl Context {
    /// The context of an application: on the cluster of the environment, or without one where `MAMMOTH_MASTER` names another
    /// master.
    fn cluster(invocation: &Invocation) -> Result<Self, Error> {
        let options = mammoth_engine::Options::of(&invocation.name, &invocation.environment)?;
        match std::env::var(MASTER_VARIABLE) {
            Ok(master) if !master.is_empty() => Self::with_options(&master, &options),
            _ => Ok(Self::of(mammoth_engine::start_on_cluster(&options, &invocation.environment)?)),
        }
    }
}

/// Variable with a master that an application runs on instead of a cluster: `local[2]`, `local-cluster[2,1,512]`.
pub const MASTER_VARIABLE: &str = "MAMMOTH_MASTER";
