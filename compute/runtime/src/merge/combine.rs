//! Combiners over encoded records, and pouring a stream into frames through one.

use super::{Groups, RecordStream};
use crate::error::RuntimeError;
use crate::run::{FrameTarget, Packer};

/// The values of one key.
pub trait Values {
    /// The next one; it may stay untaken.
    ///
    /// # Errors
    /// They cannot be read.
    fn next(&mut self) -> Result<Option<&[u8]>, RuntimeError>;
}

/// Takes what a combiner makes.
pub trait Emit {
    /// Takes a value for the key at hand.
    ///
    /// # Errors
    /// It cannot be written.
    fn emit(&mut self, value: &[u8]) -> Result<(), RuntimeError>;
}

/// Makes few values of many, for one key at a time. It is run any number of times, also over what it made itself.
pub trait Combiner: Send {
    /// Combines the values of `key`.
    ///
    /// # Errors
    /// Values that make no sense; what reading and emitting say.
    fn combine(&mut self, key: &[u8], values: &mut dyn Values, out: &mut dyn Emit) -> Result<(), RuntimeError>;
}

/// A combiner and what it did.
pub(crate) struct Combining {
    pub(crate) combiner: Box<dyn Combiner>,
    pub(crate) records_in: u64,
    pub(crate) records_out: u64,
}

impl Combining {
    pub(crate) fn new(combiner: Box<dyn Combiner>) -> Self {
        Self { combiner, records_in: 0, records_out: 0 }
    }
}

struct GroupValues<'a, S> {
    groups: &'a mut Groups<S>,
}

impl<S: RecordStream> Values for GroupValues<'_, S> {
    fn next(&mut self) -> Result<Option<&[u8]>, RuntimeError> {
        Ok(if self.groups.advance_value()? { Some(self.groups.value()) } else { None })
    }
}

struct Packed<'a, T> {
    packer: &'a mut Packer,
    target: &'a mut T,
    partition: u32,
    key: &'a [u8],
    count: u64,
}

impl<T: FrameTarget> Emit for Packed<'_, T> {
    fn emit(&mut self, value: &[u8]) -> Result<(), RuntimeError> {
        self.count += 1;
        self.packer.add(self.target, self.partition, self.key, value)
    }
}

/// Writes all records of a stream to one partition, through the combiner if there is one.
pub(crate) fn pour<T: FrameTarget>(
    mut stream: impl RecordStream,
    partition: u32,
    combining: Option<&mut Combining>,
    packer: &mut Packer,
    target: &mut T,
) -> Result<(), RuntimeError> {
    let Some(combining) = combining else {
        while stream.advance()? {
            packer.add(target, partition, stream.key(), stream.value())?;
        }
        return Ok(());
    };
    let mut groups = Groups::new(stream);
    let mut key = Vec::new();
    while groups.advance_group()? {
        key.clear();
        key.extend_from_slice(groups.key());
        let mut out = Packed { packer, target, partition, key: &key, count: 0 };
        combining.combiner.combine(&key, &mut GroupValues { groups: &mut groups }, &mut out)?;
        combining.records_out += out.count;
    }
    combining.records_in += groups.records();
    Ok(())
}
