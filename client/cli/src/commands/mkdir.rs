//! `mkdir`: folders.

use super::Outcome;
use crate::args::Format;
use crate::fault::PathIssue;
use crate::paths::parent_of;
use crate::session::Session;

/// `-mkdir`.
pub(crate) fn run(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let parsed = Format::at_least(1, &["p"]).parse(args)?;
    let with_parents = parsed.has("p");
    session.each_item(&parsed.operands, |_, item| {
        match &item.status {
            Some(status) if !status.is_folder() => return Err(item.fault(PathIssue::NotDirectory)),
            Some(_) if with_parents => return Ok(()),
            Some(_) => return Err(item.fault(PathIssue::Exists)),
            None => {}
        }
        if !with_parents
            && let Some(parent) = parent_of(&item.path)
            && item.fs.status(parent)?.is_none()
        {
            return Err(item.fault(PathIssue::NotFound));
        }
        item.fs.mkdirs(&item.path, None)
    })
}
