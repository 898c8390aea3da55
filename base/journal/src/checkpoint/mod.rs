//! The checkpoint: the state's rows in a key-value store, so that a start replays the log's tail only.
//!
//! It is fuzzy: rows are taken in slices while decisions go on, so they are of different age, each whole and carrying the
//! sequence of its last edit. The order that makes it safe: a row goes in only after the log is synced up to that moment
//! (else it could hold an edit that a crash undoes); rows are synced before the applied sequence, and that before any
//! segment goes.

mod digest;
mod memory_store;
mod sled_store;
mod slicer;
#[cfg(test)]
mod tests;
mod writer;

pub use memory_store::{MemoryStore, StoreTear};
pub use sled_store::SledStore;
pub use slicer::{CheckpointPolicy, ROWS_PER_SLICE, Slicer};
pub use writer::{CheckpointCommand, CheckpointWriter, Row};

use crate::error::JournalError;
use mammoth_protocol::Seq;

/// A sequence that the store remembers beside the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Every edit up to it is in the rows; replay starts behind it.
    Applied,
    /// No row holds an edit behind it; a log that ends before it has lost records.
    Highest,
}

/// Receives a row: its key and value.
pub type RowVisitor<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), JournalError> + 'a;

/// A key-value store for rows. What was written since the last [`CheckpointStore::sync`] may be lost in a crash, in any
/// part; what was synced is not.
pub trait CheckpointStore {
    /// Writes a row.
    ///
    /// # Errors
    /// The store fails. Nothing may be written after that.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), JournalError>;

    /// Deletes a row; a missing one is fine.
    ///
    /// # Errors
    /// As [`Self::put`].
    fn delete(&mut self, key: &[u8]) -> Result<(), JournalError>;

    /// Sets a mark.
    ///
    /// # Errors
    /// As [`Self::put`].
    fn set_mark(&mut self, mark: Mark, seq: Seq) -> Result<(), JournalError>;

    /// Makes everything written durable.
    ///
    /// # Errors
    /// As [`Self::put`].
    fn sync(&mut self) -> Result<(), JournalError>;

    /// A mark, 0 if it was never set.
    ///
    /// # Errors
    /// The store fails.
    fn mark(&self, mark: Mark) -> Result<Seq, JournalError>;

    /// Gives every row to `visit`, in key order.
    ///
    /// # Errors
    /// The store fails, or what `visit` says.
    fn for_each(&self, visit: &mut RowVisitor<'_>) -> Result<(), JournalError>;
}
