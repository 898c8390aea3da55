//! `truncate`: files become shorter.

use super::Outcome;
use crate::args::Format;
use crate::fault::{Fault, PathIssue};
use crate::paths::Item;
use crate::session::Session;
use std::time::Duration;

/// Pause between two looks at a file that is being cut.
const WAIT: Duration = Duration::from_millis(500);

/// `-truncate`.
pub(crate) fn run(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let mut parsed = Format::at_least(2, &["w"]).parse(args)?;
    let text = parsed.operands.remove(0);
    let Ok(len) = text.parse::<i64>() else { return Err(Fault::Usage(format!("For input string: \"{text}\""))) };
    let Ok(len) = u64::try_from(len) else { return Err(Fault::Usage("Truncate length must be >= 0".to_owned())) };
    let waits = parsed.has("w");
    let mut waiting = Vec::new();
    session.each(&parsed.operands, |session, item| {
        if truncate(session, &item, len, waits)? {
            waiting.push(item);
        }
        Ok(())
    })?;
    for item in waiting {
        let result = wait(session, &item, len);
        session.absorb(result)?;
    }
    Ok(())
}

/// Tells whether it must be waited for.
fn truncate(session: &mut Session<'_>, item: &Item, len: u64, waits: bool) -> Result<bool, Fault> {
    let shown = &item.shown;
    let status = item.found()?;
    if status.is_folder() {
        return Err(item.fault(PathIssue::IsDirectory));
    }
    if len > status.len {
        let present = status.len;
        return Err(Fault::Other(format!(
            "Cannot truncate to a larger file size. Current size: {present}, truncate size: {len}."
        )));
    }
    if item.fs.truncate(&item.path, len)? {
        session.line(format_args!("Truncated {shown} to length: {len}"))?;
        return Ok(false);
    }
    if !waits {
        session.line(format_args!(
            "Truncating {shown} to length: {len}. Wait for block recovery to complete before further updating this file."
        ))?;
    }
    Ok(waits)
}

/// Waits until the file has its new length, or is gone.
fn wait(session: &mut Session<'_>, item: &Item, len: u64) -> Outcome {
    session.flush()?;
    loop {
        let status = item.fs.status(&item.path)?.ok_or_else(|| item.fault(PathIssue::NotFound))?;
        if status.len <= len {
            return session.line(format_args!("Truncated {} to length: {len}", item.shown));
        }
        std::thread::sleep(WAIT);
    }
}
