//! `help`, `usage` and `version`.

use super::Outcome;
use crate::fault::Fault;
use crate::help;
use crate::session::Session;
use crate::table::{Command, Found, find};

/// `-usage`.
pub(crate) fn usage(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    if args.is_empty() {
        return help::all_usages(session.out()).map_err(Fault::output);
    }
    args.iter().try_for_each(|name| {
        let text = help::usage(command(name)?);
        session.line(text)
    })
}

/// `-help`.
pub(crate) fn help(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    if args.is_empty() {
        return help::all_helps(session.out()).map_err(Fault::output);
    }
    args.iter().try_for_each(|name| help::help(session.out(), command(name)?).map_err(Fault::output))
}

/// `-version`.
pub(crate) fn version(session: &mut Session<'_>, _args: Vec<String>) -> Outcome {
    session.line(format_args!("mammoth {}", env!("CARGO_PKG_VERSION")))
}

fn command(name: &str) -> Result<&'static Command, Fault> {
    match find(name) {
        Found::Ready(command) => Ok(command),
        Found::Planned(name) => Err(Fault::Other(format!("'{name}' is not implemented yet"))),
        Found::Unknown => Err(Fault::Usage(format!("`{name}': Unknown command"))),
    }
}
