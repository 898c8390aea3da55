//! `admin`: what operators ask for, as in `hdfs dfsadmin`; failures end with status 255 there.

use super::{Outcome, report};
use crate::EXIT_USAGE;
use crate::args::Format;
use crate::fault::Fault;
use crate::session::Session;
use mammoth_client::{ReportKind, SafeModeAction};
use mammoth_protocol::DfsPath;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Pause between two questions while safe mode is waited for.
const WAIT: Duration = Duration::from_millis(500);

/// What executes one of the commands below `admin`.
type Run = fn(&mut Session<'_>, Vec<String>) -> Outcome;

/// The commands below `admin`.
const COMMANDS: [(&str, Run); 8] = [
    ("listOpenFiles", open_files),
    ("metasave", meta_save),
    ("printTopology", topology),
    ("refreshNodes", refresh_nodes),
    ("report", report::run),
    ("safemode", safe_mode),
    ("saveNamespace", save_namespace),
    ("setBalancerBandwidth", set_bandwidth),
];

/// `admin report …`, `admin safemode …`; a dash before the name is fine.
pub(crate) fn run(session: &mut Session<'_>, mut args: Vec<String>) -> Outcome {
    if args.is_empty() {
        return Err(Fault::Usage("Not enough arguments: expected 1 but got 0".to_owned()));
    }
    let typed = args.remove(0);
    let typed = typed.strip_prefix('-').unwrap_or(&typed);
    if let Some(&(name, run)) = COMMANDS.iter().find(|(name, _)| *name == typed) {
        session.name = name;
        let result = run(session, args);
        return finish(session, result);
    }
    if PLANNED.contains(&typed) {
        return Err(Fault::Other(format!("'{typed}' is not implemented yet")));
    }
    Err(Fault::Usage(format!("{typed}: Unknown command")))
}

/// Commands of `hdfs dfsadmin` that are not built yet.
const PLANNED: [&str; 17] = [
    "allowSnapshot",
    "clrQuota",
    "clrSpaceQuota",
    "disallowSnapshot",
    "evictWriters",
    "fetchImage",
    "finalizeUpgrade",
    "getBalancerBandwidth",
    "getDatanodeInfo",
    "reconfig",
    "rollEdits",
    "rollingUpgrade",
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

fn safe_mode(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let [word] = args.as_slice() else {
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

fn refresh_nodes(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    Format::new(0, 0, &[]).parse(args)?;
    session.systems.client()?.refresh_nodes()?;
    session.line("Refresh nodes successful")
}

/// Racks and their datanodes, both in the order of their names.
fn topology(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    Format::new(0, 0, &[]).parse(args)?;
    let mut racks: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in session.systems.client()?.datanode_report(ReportKind::All)? {
        let mut name = node.transfer_addr();
        if !node.hostname.is_empty() && node.hostname != node.ip {
            name += &format!(" ({})", node.hostname);
        }
        racks.entry(node.rack).or_default().insert(name);
    }
    for (rack, nodes) in racks {
        session.line(format_args!("Rack: {rack}"))?;
        for node in nodes {
            session.line(format_args!("   {node}"))?;
        }
        session.line("")?;
    }
    Ok(())
}

fn open_files(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let parsed = Format::new(0, 0, &["blockingDecommission"]).values(&["path"]).parse(args)?;
    let below = match parsed.value("path").filter(|path| !path.is_empty()) {
        Some(path) => DfsPath::parse(path).map_err(|bad| Fault::Other(bad.to_string()))?,
        None => DfsPath::root(),
    };
    let files = session.systems.client()?.open_files(&below, parsed.has("blockingDecommission"))?;
    session.line(format_args!("{:<20}\t{:<20}\t{}", "Client Host", "Client Name", "Open File Path"))?;
    for file in files {
        session.line(format_args!("{:<20}\t{:<20}\t{:>20}", file.machine, file.client, file.path))?;
    }
    Ok(())
}

fn save_namespace(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    // Before a shutdown, too, a checkpoint is made however recent the last one is.
    Format::new(0, 0, &["beforeShutdown"]).parse(args)?;
    session.systems.client()?.save_namespace()?;
    session.line("Save namespace successful")
}

/// Bytes a second, with a unit as in `10m` if one is given.
fn set_bandwidth(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let [text] = args.as_slice() else {
        return Err(Fault::Usage("expected <bandwidth in bytes per second>".to_owned()));
    };
    if text.starts_with('-') {
        return Err(Fault::Usage("Bandwidth should be a non-negative integer".to_owned()));
    }
    let bandwidth =
        bytes(text).ok_or_else(|| Fault::Usage(format!("NumberFormatException: Invalid size \"{text}\"")))?;
    session.systems.client()?.set_balancer_bandwidth(bandwidth)?;
    session.line(format_args!("Balancer bandwidth is set to {bandwidth}"))
}

/// A number of bytes, perhaps with one of the units k, m, g, t, p and e behind it.
fn bytes(text: &str) -> Option<u64> {
    let unit = text.chars().next_back().and_then(|last| "kmgtpe".find(last.to_ascii_lowercase()));
    let digits = if unit.is_some() { &text[..text.len() - 1] } else { text };
    let factor = unit.map_or(1, |at| 1_u64 << (10 * (at as u32 + 1)));
    digits.parse::<u64>().ok()?.checked_mul(factor).filter(|bytes| i64::try_from(*bytes).is_ok())
}

fn meta_save(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let parsed = Format::new(1, 1, &[]).parse(args)?;
    let file = &parsed.operands[0];
    let client = session.systems.client()?;
    client.meta_save(file)?;
    let namenode = client.namenode_address();
    session.line(format_args!("Created metasave file {file} in the log directory of namenode hdfs://{namenode}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bandwidths_take_units_as_in_hadoop() {
        for (text, number) in [("10", Some(10)), ("2k", Some(2048)), ("100M", Some(100 << 20)), ("0", Some(0))] {
            assert_eq!(bytes(text), number);
        }
        for text in ["", "m", "x", "1x", "-1", "8e", "99999999999999999999"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}
