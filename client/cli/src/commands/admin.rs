//! `admin`: what operators ask for, as in `hdfs dfsadmin`; failures end with status 255 there.

use super::{Outcome, report};
use crate::EXIT_USAGE;
use crate::fault::Fault;
use crate::session::Session;
use mammoth_client::SafeModeAction;
use std::time::Duration;

/// Pause between two questions while safe mode is waited for.
const WAIT: Duration = Duration::from_millis(500);

/// `admin report …`, `admin safemode …`; a dash before the name is fine.
pub(crate) fn run(session: &mut Session<'_>, mut args: Vec<String>) -> Outcome {
    if args.is_empty() {
        return Err(Fault::Usage("Not enough arguments: expected 1 but got 0".to_owned()));
    }
    let typed = args.remove(0);
    match typed.strip_prefix('-').unwrap_or(&typed) {
        "report" => {
            session.name = "report";
            let result = report::run(session, args);
            finish(session, result)
        }
        "safemode" => {
            session.name = "safemode";
            let result = safe_mode(session, &args);
            finish(session, result)
        }
        name if PLANNED.contains(&name) => Err(Fault::Other(format!("'{name}' is not implemented yet"))),
        name => Err(Fault::Usage(format!("{name}: Unknown command"))),
    }
}

/// Commands of `hdfs dfsadmin` that are not built yet.
const PLANNED: [&str; 22] = [
    "allowSnapshot",
    "clrQuota",
    "clrSpaceQuota",
    "disallowSnapshot",
    "evictWriters",
    "fetchImage",
    "finalizeUpgrade",
    "getDatanodeInfo",
    "listOpenFiles",
    "metasave",
    "printTopology",
    "reconfig",
    "refreshNodes",
    "rollEdits",
    "rollingUpgrade",
    "saveNamespace",
    "setBalancerBandwidth",
    "setQuota",
    "setSpaceQuota",
    "shutdownDatanode",
    "triggerBlockReport",
    "upgrade",
];

/// Reports a failure, which here means status 255.
fn finish(session: &mut Session<'_>, result: Outcome) -> Outcome {
    match result {
        Err(fault @ (Fault::Client(_) | Fault::Other(_))) => {
            let name = session.name;
            session.note(format_args!("{name}: {}", fault.line()));
            session.set_status(EXIT_USAGE);
            Ok(())
        }
        other => other,
    }
}

fn safe_mode(session: &mut Session<'_>, args: &[String]) -> Outcome {
    let [word] = args else {
        return Err(Fault::Usage("expected one of enter, leave, get, wait, forceExit".to_owned()));
    };
    let action = match word.to_ascii_lowercase().as_str() {
        "enter" => SafeModeAction::Enter,
        "leave" => SafeModeAction::Leave,
        "get" | "wait" => SafeModeAction::Get,
        "forceexit" => SafeModeAction::ForceExit,
        _ => return Err(Fault::Usage(format!("{word}: expected one of enter, leave, get, wait, forceExit"))),
    };
    let client = session.systems.client()?;
    let mut is_on = client.safe_mode(action)?;
    while is_on && word.eq_ignore_ascii_case("wait") {
        std::thread::sleep(WAIT);
        is_on = client.safe_mode(SafeModeAction::Get)?;
    }
    session.line(format_args!("Safe mode is {}", if is_on { "ON" } else { "OFF" }))
}
