//! `concat`: files become the end of another.

use super::Outcome;
use crate::args::Format;
use crate::fault::{Fault, PathIssue};
use crate::paths::Item;
use crate::session::Session;

/// `-concat`.
pub(crate) fn run(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let mut parsed = Format::at_least(2, &[]).parse(args)?;
    let target = session.lookup(&parsed.operands.remove(0))?;
    let missing = |what: String| Fault::Other(format!("{what} does not exist or is not file."));
    if !target.is_file() {
        return Err(missing(format!("Target path {}", target.path)));
    }
    let mut sources = Vec::new();
    for arg in &parsed.operands {
        sources.extend(session.expand(arg)?);
    }
    if let Some(strange) = sources.iter().find(|source| !source.is_file()) {
        return Err(missing(strange.path.clone()));
    }
    if let Some(foreign) = sources.iter().find(|source| source.fs.uri() != target.fs.uri()) {
        return Err(foreign.fault(PathIssue::OtherFileSystem));
    }
    let paths: Vec<&str> = sources.iter().map(|source: &Item| source.path.as_str()).collect();
    target.fs.concat(&target.path, &paths)
}
