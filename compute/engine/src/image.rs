//! The image that this process runs: driver and executors must run the same one, as functions travel by their place in it.

use crate::error::EngineError;
pub(crate) use mammoth_runtime::upload::OWN_IMAGE;

/// SHA-256 of the own image, lower-case hex.
pub(crate) fn digest() -> Result<String, EngineError> {
    let (sha256, _len) =
        mammoth_runtime::upload::own_digest().map_err(|error| EngineError::Setting(error.to_string()))?;
    Ok(sha256)
}
