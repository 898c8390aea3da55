//! `head` and `tail`: the ends of a file.

use super::Outcome;
use super::transfer::print_all;
use crate::args::Format;
use crate::paths::Item;
use crate::session::Session;
use std::io::Read;
use std::time::Duration;

/// Bytes of either end.
const END_BYTES: u64 = 1024;
/// Pause between two looks at a growing file, milliseconds.
const FOLLOW_MS: u64 = 5000;

/// `-head`.
pub(crate) fn head(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let parsed = Format::new(1, 1, &[]).parse(args)?;
    one(session, &parsed.operands, |session, item| {
        item.file()?;
        let input = item.fs.open(&item.path, 0, true)?;
        print_all(session, &item, &mut input.take(END_BYTES))
    })
}

/// `-tail`.
pub(crate) fn tail(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let parsed = Format::new(1, 1, &["f"]).values(&["s"]).parse(args)?;
    let follow = parsed.has("f");
    let pause = if follow { parsed.number("s")? } else { None };
    let pause = pause.and_then(|ms| u64::try_from(ms).ok()).filter(|ms| *ms > 0).unwrap_or(FOLLOW_MS);
    one(session, &parsed.operands, |session, mut item| {
        let len = item.file()?.len;
        let mut position = print_from(session, &item, len.saturating_sub(END_BYTES))?;
        if !follow {
            return Ok(());
        }
        loop {
            session.flush()?;
            std::thread::sleep(Duration::from_millis(pause));
            item.refresh()?;
            position = print_from(session, &item, position)?;
        }
    })
}

/// Works on the one path, which is taken as it is.
fn one(session: &mut Session<'_>, operands: &[String], work: impl Fn(&mut Session<'_>, Item) -> Outcome) -> Outcome {
    let Some(arg) = operands.first() else { return Ok(()) };
    let item = session.lookup(arg)?;
    item.found()?;
    work(session, item)
}

/// Writes what there is from `position` on, and gives the position after it. A file that is being written may be longer than
/// its status says, as that counts finished blocks only.
fn print_from(session: &mut Session<'_>, item: &Item, position: u64) -> Result<u64, crate::fault::Fault> {
    let mut input = Counting { inner: item.fs.open(&item.path, position, true)?, count: 0 };
    print_all(session, item, &mut input)?;
    Ok(position + input.count)
}

/// A reader that counts its bytes.
struct Counting {
    inner: Box<dyn Read + Send>,
    count: u64,
}

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}
