//! `du`: bytes of files and folders.

use super::{Outcome, size};
use crate::args::Format;
use crate::columns::Columns;
use crate::json;
use crate::paths::Item;
use crate::session::Session;

/// `-dus`.
pub(crate) fn dus(session: &mut Session<'_>, mut args: Vec<String>) -> Outcome {
    args.insert(0, "-s".to_owned());
    du(session, args)
}

/// `-du`.
pub(crate) fn du(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    // There are no snapshots yet, so leaving them out with -x changes nothing.
    let mut parsed = Format::at_least(0, &["h", "s", "v", "x", "-json"]).parse(args)?;
    if parsed.operands.is_empty() {
        parsed.operands.push(".".to_owned());
    }
    let header = ["SIZE", "DISK_SPACE_CONSUMED_WITH_ALL_REPLICAS", "FULL_PATH_NAME"];
    let mut table = Columns::new(parsed.has("v").then_some(header), [false; 3]);
    let (human, as_json) = (parsed.has("h"), parsed.has("-json"));
    let mut add = |session: &mut Session<'_>, item: &Item| {
        let summary = item.fs.summary(&item.path)?;
        if as_json {
            return session.json(&json::Usage::new(&item.shown, &summary));
        }
        table.add([size(summary.length, human), size(summary.space_consumed, human), item.shown.clone()]);
        Ok(())
    };
    session.each(&parsed.operands, |session, item| {
        if parsed.has("s") || !item.is_folder() {
            return add(session, &item);
        }
        for child in item.children()? {
            let result = add(session, &child);
            session.absorb(result)?;
        }
        Ok(())
    })?;
    table.print(session)
}
