//! What travels with an operation: its state as bytes, and the blobs that the state speaks of.

use crate::error::EngineError;
use crate::hub::BlobHandle;
use serde::Serialize;
use std::cell::RefCell;

thread_local! {
    static NOTED: RefCell<Option<Vec<BlobHandle>>> = const { RefCell::new(None) };
}

/// Called while a state is serialised, by values that stand for a blob: the operation keeps the blob alive.
pub fn note(blob: &BlobHandle) {
    NOTED.with_borrow_mut(|noted| {
        if let Some(noted) = noted {
            noted.push(blob.clone());
        }
    });
}

/// The bytes of a state and the blobs that it speaks of.
///
/// # Errors
/// A state that cannot be serialised.
pub fn capture<S: Serialize>(state: &S) -> Result<(Vec<u8>, Vec<BlobHandle>), EngineError> {
    NOTED.set(Some(Vec::new()));
    let encoded = postcard::to_allocvec(state);
    let noted = NOTED.take().unwrap_or_default();
    let encoded =
        encoded.map_err(|error| EngineError::Codec { what: "the state of an operation", reason: error.to_string() })?;
    Ok((encoded, noted))
}
