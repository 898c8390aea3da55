//! [`Broadcast`]: a value that travels once to each executor.

use crate::{Context, Data, Error};
use mammoth_engine::program::BlobId;
use mammoth_engine::task::{TaskContext, TaskError};
use mammoth_engine::{BlobHandle, EngineError, capture};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ops::Deref;
use std::sync::Arc;

/// A value that many tasks read. Hand it to operations as (a part of) their state; it reads as the value itself.
///
/// It stays with the executors as long as a handle to it, or an operation that was given it, is left.
#[derive(Clone, Debug)]
pub struct Broadcast<T> {
    value: Arc<T>,
    /// What keeps it alive: in the driver only.
    handle: Option<BlobHandle>,
    id: BlobId,
}

impl<T: Data> Broadcast<T> {
    pub(crate) fn new(context: &Context, value: T) -> Result<Self, Error> {
        let bytes = postcard::to_allocvec(&value)
            .map_err(|error| EngineError::Codec { what: "a broadcast value", reason: error.to_string() })?;
        let handle = context.engine().blob(bytes);
        let id = handle.id();
        Ok(Self { value: Arc::new(value), handle: Some(handle), id })
    }
}

impl<T> Deref for Broadcast<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Its name; the value stays where it is.
impl<T> Serialize for Broadcast<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(handle) = &self.handle {
            capture::note(handle);
        }
        self.id.serialize(serializer)
    }
}

/// By its name, within a task: the executor has the value, or fetches it.
impl<'de, T: Data> Deserialize<'de> for Broadcast<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let id = BlobId::deserialize(deserializer)?;
        let task = TaskContext::current().ok_or_else(|| D::Error::custom("a broadcast can be read in a task only"))?;
        let decode = |bytes: &[u8]| {
            postcard::from_bytes(bytes).map_err(|error| TaskError::fatal(format!("a broadcast value: {error}")))
        };
        let value = task.env.decoded(id, decode).map_err(D::Error::custom)?;
        Ok(Self { value, handle: None, id })
    }
}
