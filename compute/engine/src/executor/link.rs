//! An executor's way to its driver.

use crate::program::BlobId;
use crate::wire::{Order, Report};
use std::sync::Arc;

/// The driver is gone, or wants nothing more: the executor ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Gone(pub(crate) String);

/// Why a blob could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BlobError {
    /// The driver does not have it (any more).
    #[error("the driver has no blob {0}")]
    Unknown(BlobId),
    /// See [`Gone`].
    #[error(transparent)]
    Gone(#[from] Gone),
}

/// An executor's way to its driver. Every call repeats until it is done or the driver counts as gone.
pub(crate) trait Link: Send + Sync {
    /// Orders after number `after`, each with its number; none after at most `wait_ms`.
    ///
    /// # Errors
    /// See [`Gone`].
    fn orders(&self, after: u64, wait_ms: u64) -> Result<Vec<(u64, Order)>, Gone>;

    /// Reports; numbers are from 1, in steps of 1.
    ///
    /// # Errors
    /// See [`Gone`].
    fn report(&self, number: u64, report: Report) -> Result<(), Gone>;

    /// Gives a sign of life.
    ///
    /// # Errors
    /// See [`Gone`].
    fn heard(&self) -> Result<(), Gone>;

    /// The bytes of a blob.
    ///
    /// # Errors
    /// See [`BlobError`].
    fn blob(&self, id: BlobId) -> Result<Arc<Vec<u8>>, BlobError>;
}
