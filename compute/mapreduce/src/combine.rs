//! General combiners and partitioners.

use crate::failure::Outcome;
use crate::mapper::Data;
use crate::reducer::Values;
use crate::values;
use mammoth_runtime::error::RuntimeError;
use mammoth_runtime::key::Key;
use mammoth_runtime::merge;
use std::marker::PhantomData;

/// Makes fewer records of a key's, on the map side, whenever sorted records are written. It may be called never, once or many
/// times on what it gave before: a job must come out the same. Where a [`crate::Fold`] will do, that is faster.
pub trait Combiner: Clone + Send + 'static {
    /// What records are grouped by.
    type Key: Key;
    /// What the mapper emits.
    type Value: Data;

    /// Called with some values of a key; what it emits takes their place.
    ///
    /// # Errors
    /// Whatever shall fail the attempt.
    fn combine(
        &mut self,
        key: &Self::Key,
        values: &mut Values<'_, Self::Value>,
        out: &mut Combined<'_, Self::Value>,
    ) -> Outcome;
}

/// Takes what a combiner makes of a key's values. The key stays: another one would break the order.
pub struct Combined<'a, V> {
    out: &'a mut dyn merge::Emit,
    value: &'a mut Vec<u8>,
    failure: Option<RuntimeError>,
    of: PhantomData<fn(V)>,
}

impl<'a, V: Data> Combined<'a, V> {
    pub(crate) fn new(out: &'a mut dyn merge::Emit, value: &'a mut Vec<u8>) -> Self {
        Self { out, value, failure: None, of: PhantomData }
    }

    /// Gives a value on. Should it have nowhere to go, the attempt fails after this call of the combiner.
    pub fn emit(&mut self, value: &V) {
        let emitted = values::encode(value, self.value).and_then(|()| self.out.emit(self.value));
        if let Err(error) = emitted {
            self.failure.get_or_insert(error);
        }
    }

    pub(crate) fn check(&mut self) -> Result<(), RuntimeError> {
        self.failure.take().map_or(Ok(()), Err)
    }
}

/// Chooses the partition, and so the reduce and the output file, of a key. The usual choice is a hash.
pub trait Partitioner: Clone + Send + Sync + 'static {
    /// What records are grouped by.
    type Key: Key;

    /// A number below `partitions`; always the same one for the same key.
    fn partition(&self, key: &Self::Key, partitions: u32) -> u32;

    /// The same for an encoded key, called for every record. Worth writing where the encoding tells enough: keys need not be
    /// decoded then.
    ///
    /// # Errors
    /// Bytes that are no key.
    fn partition_encoded(&self, key: &[u8], partitions: u32) -> Outcome<u32> {
        Ok(self.partition(&Self::Key::of_bytes(key)?, partitions))
    }
}

/// A partitioner without its type.
pub(crate) trait Partition: Send + Sync {
    fn of(&self, key: &[u8], partitions: u32) -> Result<u32, RuntimeError>;
}

impl<P: Partitioner> Partition for P {
    fn of(&self, key: &[u8], partitions: u32) -> Result<u32, RuntimeError> {
        let partition = self.partition_encoded(key, partitions).map_err(|failure| failure.of("partition"))?;
        if partition < partitions {
            return Ok(partition);
        }
        Err(RuntimeError::User(format!("the partitioner chose partition {partition} of {partitions}")))
    }
}
