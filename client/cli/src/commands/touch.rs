//! `touchz` and `touch`: empty files and times.

use super::Outcome;
use crate::args::Format;
use crate::fault::{Fault, PathIssue};
use crate::format::Dates;
use crate::fs::WriteOptions;
use crate::paths::Item;
use crate::session::Session;
use mammoth_platform::{Clock, SystemClock};

/// `-touchz`.
pub(crate) fn touchz(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let parsed = Format::at_least(1, &[]).parse(args)?;
    session.each_item(&parsed.operands, |_, item| {
        if item.exists() {
            if item.file()?.len != 0 {
                return Err(item.fault(PathIssue::NotZeroLength));
            }
        } else {
            check_parent(&item)?;
        }
        create(&item)
    })
}

/// `-touch`.
pub(crate) fn touch(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let parsed = Format::at_least(1, &["a", "m", "c"]).values(&["t"]).parse(args)?;
    let stamp = parsed.value("t").map(parse_stamp).transpose()?;
    let only_one = parsed.has("a") != parsed.has("m");
    session.each_item(&parsed.operands, |_, item| {
        if !item.exists() {
            check_parent(&item)?;
            if parsed.has("c") {
                return Ok(());
            }
            create(&item)?;
            if stamp.is_none() {
                return Ok(());
            }
        }
        let time = Some(stamp.unwrap_or_else(|| SystemClock.now().wall_ms));
        let modified = time.filter(|_| !(only_one && parsed.has("a")));
        let accessed = time.filter(|_| !(only_one && parsed.has("m")));
        item.fs.set_times(&item.path, modified, accessed)
    })
}

fn parse_stamp(text: &str) -> Result<u64, Fault> {
    Dates::local().parse_stamp(text).ok_or_else(|| {
        let expected = "The expected format is yyyyMMdd:HHmmss";
        Fault::Usage(format!("Unable to parse the specified timestamp {text}. {expected}"))
    })
}

fn check_parent(item: &Item) -> Outcome {
    if item.parent_exists()? {
        return Ok(());
    }
    Err(item.fault(PathIssue::NotFound).qualified(item.qualified()))
}

fn create(item: &Item) -> Outcome {
    item.fs.create(&item.path, WriteOptions { overwrite: true, ..WriteOptions::default() })?.finish()
}
