//! Cutting files into splits, by Hadoop's rule: about a block each, the last one up to a tenth larger.

use super::InputFile;
use crate::error::RuntimeError;
use crate::files::{BlockHosts, FileSystem};
use mammoth_platform::{Settings, keys};
use mammoth_protocol::DfsPath;
use mammoth_protocol::jobs::spec::InputSplit;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Hosts that a split names: more would not help to place it.
const HOSTS_MAX: usize = 8;
/// Splits of one job.
const SPLITS_MAX: usize = 10_000_000;

/// One piece of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextSplit {
    /// The file.
    pub path: DfsPath,
    /// Where the piece starts, bytes.
    pub start: u64,
    /// Its length, bytes.
    pub len: u64,
    /// Host names that hold most of it, best first.
    pub hosts: Vec<String>,
}

/// A split as its task gets it.
#[derive(Serialize, Deserialize)]
struct Payload {
    path: String,
    start: u64,
    len: u64,
}

impl TextSplit {
    /// For people: `/texts/a:0+134217728`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}:{}+{}", self.path, self.start, self.len)
    }

    /// The split as a part of a job.
    ///
    /// # Errors
    /// None that could be met: memory is the only limit.
    pub fn to_input_split(&self) -> Result<InputSplit, RuntimeError> {
        let payload = Payload { path: self.path.to_string(), start: self.start, len: self.len };
        let corrupt = |error: postcard::Error| RuntimeError::Corrupt { what: self.label(), why: error.to_string() };
        let payload = postcard::to_stdvec(&payload).map_err(corrupt)?;
        Ok(InputSplit { payload, len: self.len, hosts: self.hosts.clone(), label: self.label() })
    }

    /// The split behind a payload; its hosts are left out, as only the scheduler needs them.
    ///
    /// # Errors
    /// Bytes that are no payload.
    pub fn decode(payload: &[u8]) -> Result<Self, RuntimeError> {
        let corrupt = |why: String| RuntimeError::Corrupt { what: "input split".to_owned(), why };
        let Payload { path, start, len } = postcard::from_bytes(payload).map_err(|e| corrupt(e.to_string()))?;
        let path = DfsPath::parse(&path).map_err(|e| corrupt(e.to_string()))?;
        start.checked_add(len).ok_or_else(|| corrupt("it ends beyond any file".to_owned()))?;
        Ok(Self { path, start, len, hosts: Vec::new() })
    }
}

/// Cuts files into splits, in their order.
///
/// # Errors
/// A file whose blocks cannot be asked for; settings out of range; more splits than a job may have.
pub fn split_files(
    files: &dyn FileSystem,
    inputs: &[InputFile],
    settings: &Settings,
) -> Result<Vec<TextSplit>, RuntimeError> {
    let min = settings.bytes(keys::MAPREDUCE_INPUT_SPLIT_MINSIZE)?.max(1);
    let mut max = settings.bytes(keys::MAPREDUCE_INPUT_SPLIT_MAXSIZE)?;
    if settings.is_given(keys::MAPREDUCE_JOB_MAPS.name()) {
        // A hint for the number of maps is a goal for their size, as in the older of Hadoop's two interfaces.
        let total: u64 = inputs.iter().map(|file| file.len).fold(0, u64::saturating_add);
        let maps: u64 = settings.int(keys::MAPREDUCE_JOB_MAPS)?;
        max = max.min((total / maps.max(1)).max(1));
    }
    let mut splits = Vec::new();
    for file in inputs {
        let size = split_size(min, max, file.block_size);
        let blocks = if file.len > 0 { files.blocks(&file.path, file.len)? } else { Vec::new() };
        for (start, len) in pieces(file.len, size) {
            let hosts = hosts_of(&blocks, start, len);
            splits.push(TextSplit { path: file.path.clone(), start, len, hosts });
        }
        if splits.len() > SPLITS_MAX {
            let text = format!(
                "more than {SPLITS_MAX} splits: raise {} or the block size",
                keys::MAPREDUCE_INPUT_SPLIT_MINSIZE.name()
            );
            return Err(RuntimeError::Refused(text));
        }
    }
    Ok(splits)
}

/// `max` yields to `min`, as in Hadoop.
pub(super) fn split_size(min: u64, max: u64, block_size: u64) -> u64 {
    min.max(max.min(block_size)).max(1)
}

/// Starts and lengths. The last piece may be a tenth over: a split of a few bytes would cost a whole task. An empty file is one
/// empty piece.
pub(super) fn pieces(len: u64, size: u64) -> Vec<(u64, u64)> {
    let mut pieces = Vec::new();
    let mut start = 0;
    while u128::from(len - start) * 10 > u128::from(size) * 11 {
        pieces.push((start, size));
        start += size;
    }
    if start < len || len == 0 {
        pieces.push((start, len - start));
    }
    pieces
}

/// The hosts that hold the most of a range, those of equal shares in the order of the blocks' replicas.
pub(super) fn hosts_of(blocks: &[BlockHosts], start: u64, len: u64) -> Vec<String> {
    let end = start.saturating_add(len);
    let mut shares: BTreeMap<&str, (u64, usize)> = BTreeMap::new();
    for block in blocks {
        let overlap = end.min(block.offset.saturating_add(block.len)).saturating_sub(start.max(block.offset));
        if overlap == 0 {
            continue;
        }
        for host in &block.hosts {
            let order = shares.len();
            shares.entry(host).or_insert((0, order)).0 += overlap;
        }
    }
    let mut hosts: Vec<(&str, (u64, usize))> = shares.into_iter().collect();
    hosts.sort_by_key(|(_, (bytes, order))| (std::cmp::Reverse(*bytes), *order));
    hosts.into_iter().take(HOSTS_MAX).map(|(host, _)| host.to_owned()).collect()
}
