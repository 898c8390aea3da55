//! Reading a job's input: which files ([`paths`]), in which pieces ([`split`]), as which records ([`lines`]).
//!
//! The rules are those of Hadoop's `TextInputFormat`; another [`InputFormat`] may cut and read as it likes. Splits are made by
//! the driver, where the user's code runs; tasks get them as bytes that only the format understands.

mod glob;
mod lines;
mod paths;
mod split;
#[cfg(test)]
mod tests;

pub use lines::{LineReader, ReadStats};
pub use paths::{InputFile, input_files, split_paths};
pub use split::{TextSplit, split_files};

use crate::error::RuntimeError;
use crate::files::{DfsFiles, FileSystem, Source};
use mammoth_client::DfsClient;
use mammoth_platform::Settings;
use mammoth_protocol::jobs::spec::InputSplit;
use std::io::SeekFrom;

/// The records of one split, one after the other.
pub trait RecordReader: Send {
    /// The next record: where it starts in its file, and its bytes, which are valid until the next call.
    ///
    /// # Errors
    /// The split cannot be read.
    fn next(&mut self) -> Result<Option<(u64, &[u8])>, RuntimeError>;

    /// Share of the split that was read, 0 to 1.
    fn progress(&self) -> f32;

    /// What reading took so far.
    fn stats(&self) -> ReadStats;
}

/// A way to cut input into splits and splits into records.
pub trait InputFormat: Send + Sync {
    /// Cuts the input. Called by the driver alone.
    ///
    /// # Errors
    /// Input that is not there or cannot be read.
    fn splits(
        &self,
        files: &dyn FileSystem,
        inputs: &[String],
        settings: &Settings,
    ) -> Result<Vec<InputSplit>, RuntimeError>;

    /// Opens a split by the payload that [`Self::splits`] gave it. Called by tasks.
    ///
    /// # Errors
    /// A payload that is not one; input that cannot be opened.
    fn open(&self, files: &dyn FileSystem, payload: &[u8]) -> Result<Box<dyn RecordReader>, RuntimeError>;
}

/// Lines of text files, by their offset.
#[derive(Clone, Copy, Debug, Default)]
pub struct TextInput;

impl InputFormat for TextInput {
    fn splits(
        &self,
        files: &dyn FileSystem,
        inputs: &[String],
        settings: &Settings,
    ) -> Result<Vec<InputSplit>, RuntimeError> {
        let found = input_files(files, inputs)?;
        let splits = split_files(files, &found, settings)?;
        splits.iter().map(TextSplit::to_input_split).collect()
    }

    fn open(&self, files: &dyn FileSystem, payload: &[u8]) -> Result<Box<dyn RecordReader>, RuntimeError> {
        let split = TextSplit::decode(payload)?;
        Ok(Box::new(split.open(files)?))
    }
}

impl TextSplit {
    /// Opens the split for reading.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(&self, files: &dyn FileSystem) -> Result<LineReader<Box<dyn Source>>, RuntimeError> {
        let mut source = files.open(&self.path)?;
        source.seek(SeekFrom::Start(self.start)).map_err(|source| RuntimeError::Io { what: self.label(), source })?;
        LineReader::new(source, self.label(), self.start, self.len)
    }
}

/// The splits of text files: paths may be files, folders or patterns.
///
/// # Errors
/// Input that is not there or cannot be read.
pub fn text_splits(client: &DfsClient, paths: &[String], settings: &Settings) -> Result<Vec<TextSplit>, RuntimeError> {
    let files = DfsFiles::new(client.clone());
    let found = input_files(&files, paths)?;
    split_files(&files, &found, settings)
}

/// For [`crate::fuzzing`].
pub(crate) fn fuzz_glob(pattern: &str, name: &str) {
    let unquoted = glob::unquote(pattern);
    let plain = !glob::has_wildcard(pattern);
    let Ok(alternatives) = glob::alternatives(pattern) else { return };
    assert!(!plain || alternatives == [pattern]);
    for alternative in alternatives.iter().take(100) {
        if let Ok(compiled) = glob::NamePattern::compile(alternative) {
            let matches = compiled.matches(name);
            assert!(!plain || matches == (unquoted == name));
        }
    }
}
