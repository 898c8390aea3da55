//! `rm` and `rmdir`.

use super::{Outcome, trash};
use crate::args::{Format, Parsed};
use crate::fault::{Fault, PathIssue};
use crate::paths::Item;
use crate::session::Session;

/// Setting: more files than this are deleted with `-safely` only after a question.
const LIMIT_KEY: &str = "hadoop.shell.safely.delete.limit.num.files";
const LIMIT_DEFAULT: u64 = 100;

/// `-rmr`.
pub(crate) fn rmr(session: &mut Session<'_>, mut args: Vec<String>) -> Outcome {
    args.insert(0, "-r".to_owned());
    rm(session, args)
}

/// `-rm`.
pub(crate) fn rm(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let parsed = Format::at_least(1, &["f", "r", "R", "skipTrash", "safely"]).parse(args)?;
    let force = parsed.has("f");
    let mut items = Vec::new();
    for arg in &parsed.operands {
        let result = match session.expand(arg) {
            Err(Fault::Path(fault)) if force && fault.issue() == PathIssue::NotFound => Ok(()),
            found => found.map(|found| items.extend(found)),
        };
        session.absorb(result)?;
    }
    for item in items {
        let result = if force && !item.exists() { Ok(()) } else { remove(session, &item, &parsed) };
        session.absorb(result)?;
    }
    Ok(())
}

fn remove(session: &mut Session<'_>, item: &Item, parsed: &Parsed) -> Outcome {
    item.found()?;
    let recursive = parsed.has("r") || parsed.has("R");
    if item.is_folder() && !recursive {
        return Err(item.fault(PathIssue::IsDirectory));
    }
    if !parsed.has("skipTrash") && trash::move_there(session, item)? {
        return Ok(());
    }
    if parsed.has("safely") && !confirm(session, item)? {
        return Ok(());
    }
    if !item.fs.delete(&item.path, recursive)? {
        return Err(item.fault(PathIssue::Io));
    }
    session.line(format_args!("Deleted {}", item.shown))
}

/// Asks before many files are deleted.
fn confirm(session: &mut Session<'_>, item: &Item) -> Result<bool, Fault> {
    let limit = match session.systems.settings().raw(LIMIT_KEY)? {
        Some((text, _)) => text.trim().parse().map_err(|_| Fault::Other(format!("{LIMIT_KEY}: bad value `{text}'")))?,
        None => LIMIT_DEFAULT,
    };
    let files = item.fs.summary(&item.path)?.file_count;
    if limit == 0 || files <= limit {
        return Ok(true);
    }
    loop {
        session.ask(format_args!("Proceed deleting {files} files? (Y or N) "));
        let answer = read_line(session)?;
        match answer.as_deref().map(str::to_ascii_lowercase).as_deref() {
            Some("y" | "yes") => return Ok(true),
            // Nobody to answer is no consent.
            Some("n" | "no") | None => {
                session.note("Delete aborted at user request.\n");
                return Ok(false);
            }
            Some(other) => session.note(format_args!("Invalid input: {other}")),
        }
    }
}

/// A line of standard input, `None` at its end. Byte by byte, as a later question reads on from there.
fn read_line(session: &mut Session<'_>) -> Result<Option<String>, Fault> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        match session.input().read(&mut byte) {
            Ok(0) if line.is_empty() => return Ok(None),
            Ok(0) => break,
            Ok(_) if matches!(byte, [b'\n' | b'\r']) || line.len() >= 1024 => break,
            Ok(_) => line.extend(byte),
            Err(e) => return Err(Fault::Other(format!("standard input: {e}"))),
        }
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

/// `-rmdir`.
pub(crate) fn rmdir(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let parsed = Format::at_least(1, &["-ignore-fail-on-non-empty"]).parse(args)?;
    let ignore = parsed.has("-ignore-fail-on-non-empty");
    session.each(&parsed.operands, |_, item| {
        if !item.is_folder() {
            return Err(item.fault(PathIssue::NotDirectory));
        }
        if !item.fs.list(&item.path)?.is_empty() {
            return if ignore { Ok(()) } else { Err(item.fault(PathIssue::NotEmpty)) };
        }
        if item.fs.delete(&item.path, false)? { Ok(()) } else { Err(item.fault(PathIssue::Io)) }
    })
}
