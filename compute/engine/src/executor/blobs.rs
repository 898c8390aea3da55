//! Blobs on an executor: fetched once, checked against their name, kept with what was made of them until the driver says that
//! nothing needs them any more.

use super::link::Link;
use super::lock;
use crate::program::{BlobId, Program};
use crate::task::TaskError;
use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

type Made = Arc<dyn Any + Send + Sync>;

/// One blob; its lock is held while it is fetched, so that tasks that want the same one wait for it.
#[derive(Default)]
struct Entry {
    bytes: Option<Arc<Vec<u8>>>,
    made: BTreeMap<TypeId, Made>,
}

/// See the module.
#[derive(Default)]
pub(super) struct BlobCache {
    entries: Mutex<BTreeMap<BlobId, Arc<Mutex<Entry>>>>,
}

/// The bytes of a blob, which are what its name says.
pub(super) fn fetch(id: BlobId, link: &dyn Link) -> Result<Vec<u8>, TaskError> {
    let bytes = checked(id, link)?;
    Ok(Arc::try_unwrap(bytes).unwrap_or_else(|bytes| bytes.to_vec()))
}

fn checked(id: BlobId, link: &dyn Link) -> Result<Arc<Vec<u8>>, TaskError> {
    let bytes = link.blob(id).map_err(TaskError::failed)?;
    if BlobId::of(&bytes) != id {
        return Err(TaskError::failed(format!("the bytes of blob {id} are not what its name says")));
    }
    Ok(bytes)
}

impl BlobCache {
    fn entry(&self, id: BlobId) -> Arc<Mutex<Entry>> {
        Arc::clone(lock(&self.entries).entry(id).or_default())
    }

    pub(super) fn bytes(&self, id: BlobId, link: &dyn Link) -> Result<Arc<Vec<u8>>, TaskError> {
        let entry = self.entry(id);
        let mut entry = lock(&entry);
        if let Some(bytes) = &entry.bytes {
            return Ok(Arc::clone(bytes));
        }
        let bytes = checked(id, link)?;
        entry.bytes = Some(Arc::clone(&bytes));
        Ok(bytes)
    }

    pub(super) fn decoded<T: Any + Send + Sync>(
        &self,
        id: BlobId,
        link: &dyn Link,
        decode: impl FnOnce(&[u8]) -> Result<T, TaskError>,
    ) -> Result<Arc<T>, TaskError> {
        let entry = self.entry(id);
        let mut entry = lock(&entry);
        if let Some(made) = entry.made.get(&TypeId::of::<T>()) {
            return Arc::clone(made).downcast().map_err(|_| TaskError::fatal("a blob was kept under another type"));
        }
        let bytes = match &entry.bytes {
            Some(bytes) => Arc::clone(bytes),
            None => checked(id, link)?,
        };
        let made = Arc::new(decode(&bytes)?);
        entry.made.insert(TypeId::of::<T>(), Arc::clone(&made) as Made);
        Ok(made)
    }

    pub(super) fn program(&self, id: BlobId, link: &dyn Link) -> Result<Arc<Program>, TaskError> {
        self.decoded(id, link, |bytes| Program::decode(bytes).map_err(TaskError::fatal))
    }

    pub(super) fn drop_blobs(&self, ids: &[BlobId]) {
        let mut entries = lock(&self.entries);
        for id in ids {
            entries.remove(id);
        }
    }
}
