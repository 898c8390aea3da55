//! The commands, each parsing and running in one file.

pub(crate) mod admin;
pub(crate) mod append;
pub(crate) mod balancer;
pub(crate) mod cat;
pub(crate) mod checksum;
pub(crate) mod chmod;
pub(crate) mod chown;
pub(crate) mod concat;
pub(crate) mod count;
pub(crate) mod df;
pub(crate) mod du;
pub(crate) mod find;
pub(crate) mod fsck;
pub(crate) mod getmerge;
pub(crate) mod help;
pub(crate) mod ls;
pub(crate) mod mkdir;
pub(crate) mod mv;
pub(crate) mod report;
pub(crate) mod rm;
pub(crate) mod setrep;
pub(crate) mod stat;
pub(crate) mod tail;
pub(crate) mod test;
pub(crate) mod touch;
pub(crate) mod transfer;
pub(crate) mod trash;
pub(crate) mod truncate;

use crate::fault::Fault;
use crate::paths::Item;
use crate::session::Session;

/// The result of a command or of its work on one path.
type Outcome = Result<(), Fault>;

/// What a destination argument stands for: at most one match of a pattern.
fn destination(session: &mut Session<'_>, arg: Option<String>) -> Result<Item, Fault> {
    let Some(arg) = arg else { return session.lookup(".") };
    let mut items = session.expand(&arg)?;
    match (items.pop(), items.is_empty()) {
        (Some(item), true) => Ok(item),
        _ => Err(Fault::path(arg, crate::fault::PathIssue::TooManyMatches)),
    }
}

/// Bytes with a flag for readable ones.
fn size(bytes: u64, human: bool) -> String {
    if human { crate::format::human(bytes) } else { bytes.to_string() }
}
