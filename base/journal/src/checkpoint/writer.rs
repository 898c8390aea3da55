//! The other half of a checkpoint: puts rows and marks into the store in the order that makes it safe.

use super::{CheckpointStore, Mark};
use crate::error::JournalError;
use mammoth_protocol::Seq;

/// One row to write; no value = to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its key.
    pub key: Vec<u8>,
    /// Its encoded value.
    pub value: Option<Vec<u8>>,
}

/// A part of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointCommand {
    /// Rows as they were when `decided` was the last decision.
    Rows {
        /// See above.
        decided: Seq,
        /// The rows, in key order.
        rows: Vec<Row>,
    },
    /// All rows touched up to `applied` have been given.
    End {
        /// See above.
        applied: Seq,
    },
}

impl CheckpointCommand {
    /// The sequence up to which the log must be synced before the command may be carried out.
    #[must_use]
    pub fn needs_synced(&self) -> Seq {
        match self {
            Self::Rows { decided, .. } => *decided,
            Self::End { applied } => *applied,
        }
    }
}

/// Carries out commands on a store.
#[derive(Debug)]
pub struct CheckpointWriter<C> {
    store: C,
    highest: Seq,
}

impl<C: CheckpointStore> CheckpointWriter<C> {
    /// A writer to `store`.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn new(store: C) -> Result<Self, JournalError> {
        let highest = store.mark(Mark::Highest)?;
        Ok(Self { store, highest })
    }

    /// Carries out one command, whose [`CheckpointCommand::needs_synced`] must be met. Answers the applied sequence once a
    /// checkpoint is durable: log records up to it may go.
    ///
    /// # Errors
    /// The store fails. Nothing may be written after that, as rows could be missing.
    pub fn carry_out(&mut self, command: CheckpointCommand) -> Result<Option<Seq>, JournalError> {
        match command {
            CheckpointCommand::Rows { decided, rows } => {
                if decided > self.highest {
                    self.highest = decided;
                    self.store.set_mark(Mark::Highest, decided)?;
                }
                for row in rows {
                    match &row.value {
                        Some(value) => self.store.put(&row.key, value)?,
                        None => self.store.delete(&row.key)?,
                    }
                }
                Ok(None)
            }
            CheckpointCommand::End { applied } => {
                self.store.sync()?;
                self.store.set_mark(Mark::Applied, applied)?;
                self.store.sync()?;
                Ok(Some(applied))
            }
        }
    }
}
