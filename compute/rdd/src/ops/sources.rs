//! Sources: where records come from.

use super::sinks::NoFunction;
use super::{Encoded, decode_error};
use crate::{Data, Text};
use mammoth_engine::batch::{BATCH_RECORDS, Batch};
use mammoth_engine::ops::{Source, SourceArgs, SourceOp};
use mammoth_engine::task::{Counts, TaskContext, TaskError};
use mammoth_runtime::files::FileSystem;
use mammoth_runtime::input::{LineReader, TextSplit};
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

/// Records that the driver had.
struct Given<T> {
    encoded: Encoded,
    at: usize,
    left: u64,
    task: Arc<TaskContext>,
    types: PhantomData<fn() -> T>,
}

pub(crate) struct GivenOp<T>(PhantomData<fn() -> T>);

impl<T: Data> SourceOp for GivenOp<T> {
    const NAME: &'static str = "parallelize";
    type State = ();
    type Function = NoFunction;

    fn make(_state: (), _: NoFunction, args: SourceArgs<'_>) -> Result<Box<dyn Source>, TaskError> {
        let encoded = Encoded::from_bytes(&args.payload).map_err(decode_error)?;
        let left = encoded.records;
        Ok(Box::new(Given::<T> { encoded, at: 0, left, task: args.task, types: PhantomData }))
    }
}

impl<T: Data> Source for Given<T> {
    fn next(&mut self) -> Result<Option<Batch>, TaskError> {
        if self.left == 0 {
            return Ok(None);
        }
        let count = self.left.min(BATCH_RECORDS as u64);
        let mut items: Vec<T> = Vec::with_capacity(BATCH_RECORDS);
        for _ in 0..count {
            let rest = self.encoded.bytes.get(self.at..).unwrap_or_default();
            let (record, after) = postcard::take_from_bytes(rest).map_err(decode_error)?;
            self.at += rest.len() - after.len();
            items.push(record);
        }
        self.left -= count;
        Counts::add(&self.task.counts.records_in, count);
        Ok(Some(Batch::owned(items)))
    }
}

/// Numbers.
struct Numbers {
    left: Range<u64>,
    task: Arc<TaskContext>,
}

pub(crate) struct NumbersOp;

impl SourceOp for NumbersOp {
    const NAME: &'static str = "range";
    type State = ();
    type Function = NoFunction;

    fn make(_state: (), _: NoFunction, args: SourceArgs<'_>) -> Result<Box<dyn Source>, TaskError> {
        let left = postcard::from_bytes(&args.payload).map_err(decode_error)?;
        Ok(Box::new(Numbers { left, task: args.task }))
    }
}

impl Source for Numbers {
    fn next(&mut self) -> Result<Option<Batch>, TaskError> {
        if self.left.is_empty() {
            return Ok(None);
        }
        let end = self.left.end.min(self.left.start.saturating_add(BATCH_RECORDS as u64));
        let items: Vec<u64> = (self.left.start..end).collect();
        self.left.start = end;
        Counts::add(&self.task.counts.records_in, items.len() as u64);
        Ok(Some(Batch::owned(items)))
    }
}

/// One piece of text files, as a task gets it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TextPiece {
    /// URI of the file system.
    pub(crate) fs: String,
    /// The split, as the runtime encodes it.
    pub(crate) split: Vec<u8>,
}

/// Bytes of lines that a batch gathers before it is given on.
const TEXT_BATCH_BYTES: usize = 128 * 1024;

/// Lines of text. The lines of a batch share one buffer.
struct Lines {
    reader: LineReader<Box<dyn mammoth_runtime::files::Source>>,
    /// Keeps the connection to the file system while its file is read.
    _files: Arc<dyn FileSystem>,
    is_local: bool,
    gathered: Vec<u8>,
    ends: Vec<usize>,
    task: Arc<TaskContext>,
    told_bytes: u64,
    told_ns: u64,
}

pub(crate) struct LinesOp;

impl SourceOp for LinesOp {
    const NAME: &'static str = "text_file";
    type State = ();
    type Function = NoFunction;

    fn make(_state: (), _: NoFunction, args: SourceArgs<'_>) -> Result<Box<dyn Source>, TaskError> {
        let piece: TextPiece = postcard::from_bytes(&args.payload).map_err(decode_error)?;
        let files = args.task.env.files.get(&piece.fs).map_err(TaskError::failed)?;
        let split = TextSplit::decode(&piece.split).map_err(TaskError::fatal)?;
        let reader = split.open(&*files).map_err(TaskError::failed)?;
        let is_local = piece.fs == mammoth_engine::files::LOCAL_URI;
        Ok(Box::new(Lines {
            reader,
            _files: files,
            is_local,
            gathered: Vec::new(),
            ends: Vec::new(),
            task: args.task,
            told_bytes: 0,
            told_ns: 0,
        }))
    }
}

impl Lines {
    fn tell(&mut self, lines: usize) {
        let (stats, counts) = (self.reader.stats(), &self.task.counts);
        if !self.is_local {
            Counts::add(&counts.dfs_read, stats.bytes - self.told_bytes);
        }
        counts.phase("read", (stats.ns - self.told_ns) / 1000);
        self.told_bytes = stats.bytes;
        self.told_ns = stats.ns - (stats.ns - self.told_ns) % 1000;
        Counts::add(&counts.records_in, lines as u64);
    }
}

impl Source for Lines {
    fn next(&mut self) -> Result<Option<Batch>, TaskError> {
        self.gathered.clear();
        self.ends.clear();
        while self.ends.len() < BATCH_RECORDS && self.gathered.len() < TEXT_BATCH_BYTES {
            let Some((_, line)) = self.reader.next_line().map_err(TaskError::failed)? else { break };
            self.gathered.extend_from_slice(line);
            self.ends.push(self.gathered.len());
        }
        self.tell(self.ends.len());
        if self.ends.is_empty() {
            return Ok(None);
        }
        Ok(Some(Batch::owned(texts(&self.gathered, &self.ends))))
    }
}

/// The lines that end at `ends`, as slices of one buffer; bytes that are no UTF-8 are replaced, as Hadoop does.
fn texts(gathered: &[u8], ends: &[usize]) -> Vec<Text> {
    let mut start = 0;
    let ranges = ends.iter().map(|end| std::mem::replace(&mut start, *end)..*end);
    match std::str::from_utf8(gathered) {
        Ok(whole) => {
            let buffer: Arc<str> = Arc::from(whole);
            // Bytes of several lines may only together be UTF-8: a line that cuts a character is looked at alone.
            let cut =
                |range: &Range<usize>| !buffer.is_char_boundary(range.start) || !buffer.is_char_boundary(range.end);
            ranges
                .map(|range| match cut(&range) {
                    false => Text::of_buffer(&buffer, range),
                    true => lossy(gathered, range),
                })
                .collect()
        }
        Err(_) => ranges.map(|range| lossy(gathered, range)).collect(),
    }
}

fn lossy(gathered: &[u8], range: Range<usize>) -> Text {
    Text::from(&*String::from_utf8_lossy(gathered.get(range).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(parts: &[&[u8]]) -> Vec<String> {
        let mut ends = Vec::new();
        let mut all = Vec::new();
        for part in parts {
            all.extend_from_slice(part);
            ends.push(all.len());
        }
        texts(&all, &ends).iter().map(|text| text.to_string()).collect()
    }

    #[test]
    fn lines_are_cut_where_they_end() {
        assert_eq!(lines(&[b"a long line of text", b"", b"\xc3\xa9t\xc3\xa9"]), ["a long line of text", "", "été"]);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced_line_by_line() {
        assert_eq!(lines(&[b"good", b"b\xffd"]), ["good", "b\u{fffd}d"]);
        assert_eq!(
            lines(&[b"half \xc3", b"\xa9 other"]),
            ["half \u{fffd}", "\u{fffd} other"],
            "together they are valid"
        );
    }
}
