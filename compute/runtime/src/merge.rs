//! Merging sorted runs, and walking over groups of equal keys.
//!
//! Everything sorted is a [`RecordStream`]: records in memory, a segment, a merge of many. Streams lend their records; nothing is
//! allocated per record. Records with equal keys come in the order of the runs.

mod combine;
mod cursor;
mod passes;
mod resident;
mod stream;
#[cfg(test)]
mod tests;

pub use combine::{Combiner, Emit, Values};
pub(crate) use combine::{Combining, pour};
pub use cursor::Cursor;
pub use passes::{MergeStats, merge_runs};
pub(crate) use passes::{OpenRuns, merge_to_file, reduce_runs};
pub(crate) use resident::unpacked_max;
pub use stream::MergeStream;

use crate::error::RuntimeError;

/// Records in the order of their keys.
pub trait RecordStream {
    /// Moves on to the next record; `false` at the end.
    ///
    /// # Errors
    /// The records cannot be read.
    fn advance(&mut self) -> Result<bool, RuntimeError>;

    /// Key of the present record; empty before the first and behind the last.
    fn key(&self) -> &[u8];

    /// Its value.
    fn value(&self) -> &[u8];
}

impl<S: RecordStream + ?Sized> RecordStream for &mut S {
    #[inline]
    fn advance(&mut self) -> Result<bool, RuntimeError> {
        (**self).advance()
    }

    #[inline]
    fn key(&self) -> &[u8] {
        (**self).key()
    }

    #[inline]
    fn value(&self) -> &[u8] {
        (**self).value()
    }
}

impl<S: RecordStream + ?Sized> RecordStream for Box<S> {
    #[inline]
    fn advance(&mut self) -> Result<bool, RuntimeError> {
        (**self).advance()
    }

    #[inline]
    fn key(&self) -> &[u8] {
        (**self).key()
    }

    #[inline]
    fn value(&self) -> &[u8] {
        (**self).value()
    }
}

/// Where the stream below stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before the first record.
    Start,
    /// On the first record of the present group, which nobody took.
    First,
    /// On a record of the present group, which somebody took.
    Within,
    /// On the first record of the next group.
    Next,
    /// Behind the last record.
    End,
}

/// The groups of equal keys of a stream.
#[derive(Debug)]
pub struct Groups<S> {
    stream: S,
    key: Vec<u8>,
    at: At,
    groups: u64,
    records: u64,
}

impl<S: RecordStream> Groups<S> {
    /// The groups of `stream`.
    #[must_use]
    pub fn new(stream: S) -> Self {
        Self { stream, key: Vec::new(), at: At::Start, groups: 0, records: 0 }
    }

    /// The next group; what nobody took of the one before is passed over.
    ///
    /// # Errors
    /// The stream's.
    pub fn next_group(&mut self) -> Result<Option<Group<'_, S>>, RuntimeError> {
        Ok(if self.advance_group()? { Some(Group { groups: self }) } else { None })
    }

    /// Moves on to the next group; `false` at the end. Its key and values are then this object's.
    ///
    /// # Errors
    /// The stream's.
    pub fn advance_group(&mut self) -> Result<bool, RuntimeError> {
        if self.at == At::Start {
            self.at = if self.stream.advance()? { At::Next } else { At::End };
        }
        while matches!(self.at, At::First | At::Within) {
            self.advance_value()?;
        }
        if self.at == At::End {
            return Ok(false);
        }
        self.key.clear();
        self.key.extend_from_slice(self.stream.key());
        self.at = At::First;
        self.groups += 1;
        Ok(true)
    }

    /// Moves on to the next value of the group; `false` at its end.
    ///
    /// # Errors
    /// The stream's.
    #[inline]
    pub fn advance_value(&mut self) -> Result<bool, RuntimeError> {
        match self.at {
            At::First => self.at = At::Within,
            At::Within => {
                if !self.stream.advance()? {
                    self.at = At::End;
                } else if self.stream.key() != self.key {
                    self.at = At::Next;
                }
            }
            At::Start | At::Next | At::End => {}
        }
        let has_value = self.at == At::Within;
        self.records += u64::from(has_value);
        Ok(has_value)
    }

    /// The group's key.
    #[inline]
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The value that [`Self::advance_value`] moved to.
    #[inline]
    #[must_use]
    pub fn value(&self) -> &[u8] {
        self.stream.value()
    }

    /// Groups so far.
    #[must_use]
    pub fn groups(&self) -> u64 {
        self.groups
    }

    /// Records so far, those that were passed over included.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }
}

/// One key and its values.
#[derive(Debug)]
pub struct Group<'a, S> {
    groups: &'a mut Groups<S>,
}

impl<S: RecordStream> Group<'_, S> {
    /// The key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.groups.key()
    }

    /// The next value.
    ///
    /// # Errors
    /// The stream's.
    #[inline]
    pub fn next_value(&mut self) -> Result<Option<&[u8]>, RuntimeError> {
        Ok(if self.groups.advance_value()? { Some(self.groups.value()) } else { None })
    }
}
