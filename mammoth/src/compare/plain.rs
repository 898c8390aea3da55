//! The third column: what one thread of plain Rust needs for the same bytes. Whoever compares engines without it compares
//! their overheads.

use super::table::Column;
use mammoth_client::DfsClient;
use mammoth_platform::{Clock, SystemClock};
use mammoth_protocol::DfsPath;
use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::io::Read;

/// Bytes of a read.
const BUFFER: usize = 1 << 20;

/// An example that exists for both engines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Example {
    /// Words and how often each occurs.
    WordCount,
    /// Matches of a pattern and how often each occurs.
    Grep {
        /// The pattern.
        pattern: String,
    },
}

/// What the plain loop found and took.
pub(super) struct Plain {
    pub(super) column: Column,
    /// Sorted.
    pub(super) lines: Vec<Vec<u8>>,
}

impl Example {
    /// The example of that name.
    ///
    /// # Errors
    /// No such example; arguments that it does not take.
    pub fn parse(name: &str, args: &[String]) -> Result<Self, String> {
        match (name, args) {
            ("wordcount", [_]) => Ok(Self::WordCount),
            ("wordcount", _) => Err("compare wordcount takes one argument: the input".to_owned()),
            ("grep", [_, pattern]) => Ok(Self::Grep { pattern: pattern.clone() }),
            ("grep", _) => Err("compare grep takes two arguments: the input and the pattern".to_owned()),
            _ => Err(format!("compare: no example `{name}`; there are wordcount and grep")),
        }
    }

    /// The job's name and its arguments.
    pub(super) fn job_args(&self, input: &str, output: &str) -> Vec<String> {
        let mut args: Vec<String> = match self {
            Self::WordCount => vec!["wordcount".to_owned()],
            Self::Grep { .. } => vec!["grep".to_owned()],
        };
        args.extend([input.to_owned(), output.to_owned()]);
        if let Self::Grep { pattern } = self {
            args.push(pattern.clone());
        }
        args
    }

    /// Does it in a loop.
    ///
    /// # Errors
    /// One line: no such input.
    pub(super) fn run(&self, files: &DfsClient, input: &str) -> Result<Plain, String> {
        let began = (SystemClock.monotonic_ns(), cpu_ns());
        let matcher = match self {
            Self::WordCount => None,
            Self::Grep { pattern } => Some(
                regex::bytes::Regex::new(pattern).map_err(|_| format!("grep: `{pattern}' is no regular expression"))?,
            ),
        };
        let mut counts: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        let mut read = 0;
        for path in inputs(files, input)? {
            read += each_line(files, &path, |line| match &matcher {
                None => {
                    for word in line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
                        count(&mut counts, word);
                    }
                }
                Some(matcher) => matcher.find_iter(line).for_each(|found| count(&mut counts, found.as_bytes())),
            })?;
        }
        let mut lines: Vec<Vec<u8>> = counts.iter().map(|(key, count)| self.line(key, *count)).collect();
        lines.sort_unstable();
        let wall_us = (SystemClock.monotonic_ns() - began.0) / 1000;
        let cpu_us = (cpu_ns() - began.1) / 1000;
        let column = Column {
            name: "plain loop".to_owned(),
            wall_us,
            cpu_us,
            dfs_read: read,
            phases: [("compute".to_owned(), wall_us)].into(),
            task_us: wall_us,
            ..Column::default()
        };
        Ok(Plain { column, lines })
    }

    fn line(&self, key: &[u8], count: u64) -> Vec<u8> {
        let number = count.to_string();
        match self {
            Self::WordCount => [key, b"\t", number.as_bytes()].concat(),
            Self::Grep { .. } => [number.as_bytes(), b"\t", key].concat(),
        }
    }
}

fn count(counts: &mut BTreeMap<Vec<u8>, u64>, key: &[u8]) {
    match counts.get_mut(key) {
        Some(count) => *count += 1,
        None => {
            counts.insert(key.to_vec(), 1);
        }
    }
}

fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// The files of an input: itself, or those of a folder that are not hidden.
fn inputs(files: &DfsClient, input: &str) -> Result<Vec<DfsPath>, String> {
    let path = DfsPath::parse(input).map_err(|e| e.to_string())?;
    let status = files.file_info(&path).map_err(|e| e.to_string())?;
    let status = status.ok_or_else(|| format!("Input path does not exist: {path}"))?;
    if status.is_file() {
        return Ok(vec![path]);
    }
    let entries = files.list_all(&path).map_err(|e| e.to_string())?;
    let wanted = entries.into_iter().filter(|entry| entry.is_file() && !entry.name().starts_with(['_', '.']));
    Ok(wanted.map(|entry| entry.path).collect())
}

/// Gives every line of a file, without its end, to `take`; answers the file's length.
fn each_line(files: &DfsClient, path: &DfsPath, mut take: impl FnMut(&[u8])) -> Result<u64, String> {
    let mut reader = files.open(path).map_err(|e| e.to_string())?;
    let mut buffer = vec![0; BUFFER];
    let (mut filled, mut total) = (0, 0);
    loop {
        if filled == buffer.len() {
            buffer.resize(2 * buffer.len(), 0);
        }
        let n = reader.read(&mut buffer[filled..]).map_err(|e| format!("{path}: {e}"))?;
        total += n as u64;
        let end = filled + n;
        let whole = if n == 0 { end } else { buffer[..end].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1) };
        for line in buffer[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            take(line);
        }
        buffer.copy_within(whole..end, 0);
        filled = end - whole;
        if n == 0 {
            return Ok(total);
        }
    }
}
