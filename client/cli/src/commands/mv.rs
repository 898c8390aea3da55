//! `mv`: renames within one file system.

use super::{Outcome, destination};
use crate::args::Format;
use crate::copy::{Depth, check_source, check_target, place_for};
use crate::fault::PathIssue;
use crate::paths::Item;
use crate::session::Session;

/// `-mv`.
pub(crate) fn run(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let mut parsed = Format::at_least(2, &[]).parse(args)?;
    let target = parsed.operands.pop();
    let target = destination(session, target)?;
    let sources = session.expand_all(&parsed.operands)?;
    if sources.is_empty() {
        return Ok(());
    }
    check_target(&sources, &target, false)?;
    for source in sources {
        let result = rename(&source, &target);
        session.absorb(result)?;
    }
    Ok(())
}

fn rename(source: &Item, target: &Item) -> Outcome {
    source.found()?;
    check_source(source, target)?;
    let place = place_for(source, target, Depth::Top, true)?;
    if source.fs.uri() != place.fs.uri() {
        return Err(source.fault(PathIssue::OtherFileSystem));
    }
    if place.exists() {
        return Err(place.fault(PathIssue::Exists));
    }
    // The server does not say why it would not.
    if source.fs.rename(&source.path, &place.path)? { Ok(()) } else { Err(source.fault(PathIssue::Io)) }
}
