//! General combiners and partitioners.

use crate::failure::Outcome;
use crate::mapper::{Data, Emit};
use crate::reducer::Values;
use mammoth_runtime::error::RuntimeError;
use mammoth_runtime::key::Key;

/// Makes fewer records of a key's, on the map side, whenever sorted records are written. It may be called never, once or many
/// times on what it gave before: a job must come out the same. Where a [`crate::Fold`] will do, that is faster.
pub trait Combiner: Clone + Send + 'static {
    /// What records are grouped by.
    type Key: Key;
    /// What the mapper emits.
    type Value: Data;

    /// Called with some values of a key; what it emits takes their place. It must keep to the key: records of another one would
    /// break the order.
    ///
    /// # Errors
    /// Whatever shall fail the attempt.
    fn combine(
        &mut self,
        key: &Self::Key,
        values: &mut Values<'_, Self::Value>,
        out: &mut Emit<'_, Self::Key, Self::Value>,
    ) -> Outcome;
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
