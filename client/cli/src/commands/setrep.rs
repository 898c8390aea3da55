//! `setrep`: the wanted number of replicas.

use super::Outcome;
use crate::args::Format;
use crate::fault::Fault;
use crate::paths::Item;
use crate::session::Session;
use std::time::Duration;

/// Pause between two looks at the replicas.
const WAIT: Duration = Duration::from_millis(500);

/// `-setrep`.
pub(crate) fn run(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let mut parsed = Format::at_least(2, &["R", "w"]).parse(args)?;
    let text = parsed.operands.remove(0);
    let Ok(replication) = text.parse::<i16>() else {
        session.note("setrep: Illegal replication, a positive integer expected");
        return Err(Fault::Usage(format!("For input string: \"{text}\"")));
    };
    let replication = u16::try_from(replication).unwrap_or(0);
    if replication < 1 {
        return Err(Fault::Usage("replication must be >= 1".to_owned()));
    }
    let mut done = Vec::new();
    session.each(&parsed.operands, |session, item| {
        session.descend(&item, &mut |session, item| {
            if item.is_file() && set(session, item, replication)? {
                done.push(item.clone());
            }
            Ok(())
        })
    })?;
    if parsed.has("w") {
        done.iter().try_for_each(|item| wait(session, item, usize::from(replication)))?;
    }
    Ok(())
}

/// Tells whether the number was set.
fn set(session: &mut Session<'_>, item: &Item, replication: u16) -> Result<bool, Fault> {
    let shown = &item.shown;
    if item.found()?.is_erasure_coded {
        session.line(format_args!("Did not set replication for: {shown}, because it's an erasure coded file."))?;
        return Ok(false);
    }
    if !item.fs.set_replication(&item.path, replication)? {
        return Err(Fault::Other(format!("Could not set replication for: {shown}")));
    }
    session.line(format_args!("Replication {replication} set: {shown}"))?;
    Ok(true)
}

fn wait(session: &mut Session<'_>, item: &Item, replication: usize) -> Outcome {
    session.print(format_args!("Waiting for {} ...", item.shown))?;
    session.flush()?;
    let mut warned = false;
    loop {
        let counts = item.fs.replica_counts(&item.path)?;
        if counts.iter().all(|count| *count == replication) {
            return session.line(" done");
        }
        if !warned && counts.iter().any(|count| *count > replication) {
            session.line("\nWARNING: the waiting time may be long for DECREASING the number of replications.")?;
            warned = true;
        }
        session.print(".")?;
        session.flush()?;
        std::thread::sleep(WAIT);
    }
}
