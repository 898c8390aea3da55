//! `df`: size and use of file systems.

use super::{Outcome, size};
use crate::args::Format;
use crate::columns::Columns;
use crate::format::percent;
use crate::json;
use crate::session::Session;

/// `-df`.
pub(crate) fn run(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let mut parsed = Format::at_least(0, &["h", "-json"]).parse(args)?;
    if parsed.operands.is_empty() {
        parsed.operands.push("/".to_owned());
    }
    let (human, json) = (parsed.has("h"), parsed.has("-json"));
    let header = ["Filesystem", "Size", "Used", "Available", "Use%"];
    let mut table = Columns::new(Some(header), [false, true, true, true, true]);
    session.each(&parsed.operands, |session, item| {
        let stats = item.fs.stats()?;
        if json {
            return session.json(&json::FileSystem::new(item.fs.uri(), &stats));
        }
        let sizes = [stats.capacity, stats.used, stats.remaining].map(|bytes| size(bytes, human));
        let [capacity, used, remaining] = sizes;
        table.add([item.fs.uri().to_owned(), capacity, used, remaining, percent(stats.used, stats.capacity, 0)]);
        Ok(())
    })?;
    table.print(session)
}
