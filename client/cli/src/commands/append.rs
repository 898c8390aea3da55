//! `appendToFile`: local files or standard input at the end of a file.

use super::{Outcome, destination};
use crate::args::Format;
use crate::copy::pump;
use crate::fault::{Fault, PathIssue};
use crate::fs::WriteOptions;
use crate::session::Session;

/// `-appendToFile`.
pub(crate) fn run(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    if args.len() < 2 {
        return Err(Fault::Other("missing destination argument".to_owned()));
    }
    let mut parsed = Format::at_least(2, &["n"]).parse(args)?;
    if parsed.has("n") {
        return Err(Fault::Other("-n (append to a new block) is not implemented yet".to_owned()));
    }
    let target = parsed.operands.pop();
    let target = destination(session, target)?;
    let from_input = parsed.operands.iter().any(|arg| arg == "-");
    if from_input && parsed.operands.len() > 1 {
        return Err(Fault::Other("stdin (-) must be the sole input argument when present".to_owned()));
    }
    if target.is_folder() {
        return Err(target.fault(PathIssue::IsDirectory));
    }
    // All sources are opened before the first byte is appended, so that a missing one changes nothing.
    let mut inputs = Vec::new();
    for arg in parsed.operands.iter().filter(|arg| *arg != "-") {
        let source = session.local(arg)?;
        source.file()?;
        inputs.push((source.shown.clone(), source.fs.open(&source.path, 0, true)?));
    }
    if !target.exists() {
        target.fs.create(&target.path, WriteOptions::default())?.finish()?;
    }
    session.watch_signals()?;
    let stop = session.stop().clone();
    let check = |_| if stop.is_triggered() { Err(Fault::Interrupted) } else { Ok(()) };
    let mut sink = target.fs.append(&target.path)?;
    let result = if from_input {
        pump("-", &mut *session.copy_input()?, &target.shown, &mut *sink, check)
    } else {
        inputs.iter_mut().try_for_each(|(name, input)| pump(name, &mut **input, &target.shown, &mut *sink, check))
    };
    // Closed even after a failure: what was appended stays, and nobody has to wait for the lease.
    let closed = sink.finish();
    result.and(closed)
}
