//! Shuffle files: the output of a map task, and sorted runs that a task keeps for itself, which look the same.
//!
//! This module knows partitions and frames. What a frame holds is the business of who writes it and who reads it; pairs are
//! written as [`crate::record`] says.

mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use mammoth_protocol::jobs::shuffle::{Codec, Index, Segment};
pub use reader::{FileRange, Frame, OutputReader, SegmentReader};
pub(crate) use reader::{buffered, unpack};
pub(crate) use writer::FrameWriter;
pub use writer::{Finished, OutputWriter};

use std::path::{Path, PathBuf};

/// Where an output named `name` has its data and its index.
#[must_use]
pub fn paths(dir: &Path, name: &str) -> (PathBuf, PathBuf) {
    use mammoth_protocol::jobs::shuffle::{DATA_SUFFIX, INDEX_SUFFIX};
    (dir.join(format!("{name}{DATA_SUFFIX}")), dir.join(format!("{name}{INDEX_SUFFIX}")))
}
