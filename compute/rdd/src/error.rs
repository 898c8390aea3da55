//! What goes wrong.

use mammoth_engine::EngineError;
use mammoth_runtime::error::RuntimeError;

/// Why an action, or the making of a context or a dataset, failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Input or output.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A result that cannot be read.
    #[error("a result cannot be read: {0}")]
    Result(postcard::Error),
    /// A record that cannot be encoded.
    #[error("a record cannot be encoded: {0}")]
    Record(postcard::Error),
}
