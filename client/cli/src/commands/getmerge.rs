//! `getmerge`: the files of a folder, one after the other, in one local file.

use super::Outcome;
use super::transfer::no_folder;
use crate::args::Format;
use crate::copy::pump;
use crate::fault::Fault;
use crate::fs::WriteOptions;
use crate::paths::Item;
use crate::session::Session;
use std::io::Write;

/// `-getmerge`.
pub(crate) fn run(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let mut parsed = Format::at_least(2, &["nl", "skip-empty-file"]).parse(args)?;
    let target = parsed.operands.pop().unwrap_or_default();
    let target = session.local(&target)?;
    no_folder(&target)?;
    // The sources are found before the target is touched.
    let mut sources = Vec::new();
    session.each(&parsed.operands, |_, item| {
        if item.is_folder() {
            sources.extend(item.children()?.into_iter().filter(Item::is_file));
        } else {
            sources.push(item);
        }
        Ok(())
    })?;
    if session.exit_status() != 0 {
        return Ok(());
    }
    let mut sink = target.fs.create(&target.path, WriteOptions { overwrite: true, ..WriteOptions::default() })?;
    for source in sources {
        let is_empty = source.found()?.len == 0;
        if !is_empty {
            let mut input = source.fs.open(&source.path, 0, true)?;
            pump(&source.shown, &mut *input, &target.shown, &mut *sink, |_| Ok(()))?;
        }
        if parsed.has("nl") && !(is_empty && parsed.has("skip-empty-file")) {
            sink.write_all(b"\n").map_err(|e| Fault::stream(&target.shown, e))?;
        }
    }
    sink.finish()
}
