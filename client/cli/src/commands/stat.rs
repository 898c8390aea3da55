//! `stat`: facts about a path in a format of one's own.

use super::Outcome;
use crate::args::Format;
use crate::fault::Fault;
use crate::format::{Dates, permission};
use crate::fs::Kind;
use crate::json;
use crate::paths::Item;
use crate::session::Session;

const DEFAULT_FORMAT: &str = "%y";

/// `-stat`.
pub(crate) fn run(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let format = Format::at_least(1, &["R", "-json"]);
    let mut parsed = format.parse(args)?;
    let text = match parsed.operands.first() {
        Some(first) if first.contains('%') => parsed.operands.remove(0),
        _ => DEFAULT_FORMAT.to_owned(),
    };
    format.check_count(parsed.operands.len())?;
    let (recursive, as_json) = (parsed.has("R"), parsed.has("-json"));
    let dates = Dates::utc();
    let mut work = |session: &mut Session<'_>, item: &Item| {
        if as_json {
            return session.json(&json::Path::new(item, item.found()?));
        }
        session.line(fill(&text, item, &dates)?)
    };
    session.each(
        &parsed.operands,
        |session, item| {
            if recursive { session.descend(&item, &mut work) } else { work(session, &item) }
        },
    )
}

fn fill(format: &str, item: &Item, dates: &Dates) -> Result<String, Fault> {
    let status = item.found()?;
    let mut text = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        // A percent sign at the very end is dropped.
        let Some(field) = chars.next() else { break };
        match field {
            'a' => text += &format!("{:o}", status.permission),
            'A' => text += &permission(status.permission),
            'b' => text += &status.len.to_string(),
            'F' => {
                text += match status.kind {
                    Kind::Folder => "directory",
                    Kind::File => "regular file",
                    Kind::Symlink => "symlink",
                }
            }
            'g' => text += &status.group,
            'n' => text += item.name(),
            'o' => text += &status.block_size.to_string(),
            'r' => text += &status.replication.to_string(),
            'u' => text += &status.owner,
            'x' => text += &dates.second(status.accessed_ms),
            'X' => text += &status.accessed_ms.to_string(),
            'y' => text += &dates.second(status.modified_ms),
            'Y' => text += &status.modified_ms.to_string(),
            other => text.push(other),
        }
    }
    Ok(text)
}
