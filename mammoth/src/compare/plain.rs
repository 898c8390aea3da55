//! The third column: what one thread of plain Rust needs for the same bytes. Whoever compares engines without it compares
//! their overheads.

use super::table::Column;
use mammoth_client::DfsClient;
use mammoth_platform::{Clock, SystemClock};
use mammoth_protocol::DfsPath;
use rustix::time::{ClockId, clock_gettime};
use std::collections::HashMap;
use std::io::Read;

/// Bytes of a read.
const BUFFER: usize = 1 << 20;
/// UTF-8's byte order mark.
const MARK: &[u8] = b"\xef\xbb\xbf";

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
            Self::Grep { pattern } => {
                Some(regex::Regex::new(pattern).map_err(|_| format!("grep: `{pattern}' is no regular expression"))?)
            }
        };
        let mut counts: HashMap<String, u64> = HashMap::new();
        let mut read = 0;
        for path in inputs(files, input)? {
            read += each_line(files, &path, |line| match &matcher {
                None => line.split_whitespace().for_each(|word| count(&mut counts, word)),
                Some(matcher) => matcher.find_iter(line).for_each(|found| count(&mut counts, found.as_str())),
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

    fn line(&self, key: &str, count: u64) -> Vec<u8> {
        match self {
            Self::WordCount => format!("{key}\t{count}"),
            Self::Grep { .. } => format!("{count}\t{key}"),
        }
        .into_bytes()
    }
}

fn count(counts: &mut HashMap<String, u64>, key: &str) {
    match counts.get_mut(key) {
        Some(count) => *count += 1,
        None => {
            counts.insert(key.to_owned(), 1);
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

/// Gives every line of a file, without its end, to `take`; answers the file's length. Lines end as the engines' do, with
/// `\n`, `\r\n` or `\r`, a byte order mark does not count, and what is not UTF-8 is replaced as there.
fn each_line(files: &DfsClient, path: &DfsPath, mut take: impl FnMut(&str)) -> Result<u64, String> {
    let mut reader = files.open(path).map_err(|e| e.to_string())?;
    let mut buffer = vec![0; BUFFER];
    let (mut filled, mut total, mut is_start) = (0, 0, true);
    loop {
        if filled == buffer.len() {
            buffer.resize(2 * buffer.len(), 0);
        }
        let n = reader.read(&mut buffer[filled..]).map_err(|e| format!("{path}: {e}"))?;
        total += n as u64;
        let end = filled + n;
        let whole = if n == 0 { end } else { buffer[..end].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1) };
        let skipped = if is_start && buffer[..whole].starts_with(MARK) { MARK.len() } else { 0 };
        is_start &= whole == 0;
        lines_of(&buffer[skipped..whole], &mut take);
        buffer.copy_within(whole..end, 0);
        filled = end - whole;
        if n == 0 {
            return Ok(total);
        }
    }
}

/// The lines of bytes that do not end within a line, but for the last of a file.
fn lines_of(bytes: &[u8], take: &mut impl FnMut(&str)) {
    if bytes.is_empty() {
        return;
    }
    for line in bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        line.split(|byte| *byte == b'\r').for_each(|line| take(&String::from_utf8_lossy(line)));
    }
}

#[cfg(test)]
mod tests {
    use super::lines_of;

    #[test]
    fn lines_end_as_hadoops_do() {
        let lines = |bytes: &[u8]| {
            let mut lines = Vec::new();
            lines_of(bytes, &mut |line| lines.push(line.to_owned()));
            lines
        };
        assert_eq!(lines(b""), Vec::<String>::new());
        assert_eq!(lines(b"a\nb\r\n\nc\rd\n"), ["a", "b", "", "c", "d"]);
        assert_eq!(lines(b"a\r\r\nb"), ["a", "", "b"]);
        assert_eq!(lines(b"\n"), [""]);
        assert_eq!(lines(b"x\xffy\n"), ["x\u{fffd}y"]);
    }
}
