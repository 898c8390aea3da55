//! Indexes of outputs in memory, as a reduce asks for one segment of each and a job of many reduces for many: without them every
//! segment costs a read of the whole index and its check.
//!
//! Nothing is known of a file for longer than it is the same file, and the least used go first, so that their memory is bounded.

use crate::names::Owner;
use mammoth_protocol::jobs::shuffle::{Index, Segment};
use mammoth_protocol::limits::TASKS_PER_KIND_MAX;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of all indexes that are kept, about.
const BYTES_MAX: usize = 32 << 20;
/// Bytes that one takes besides its segments, about.
const ENTRY_BYTES: usize = 256;

/// Which file it is, and in which state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    len: u64,
    changed: (i64, i64),
}

#[derive(Debug)]
struct Known {
    index: Arc<Index>,
    stamp: Stamp,
    /// The higher the later.
    used: u64,
}

#[derive(Debug, Default)]
struct Inner {
    known: BTreeMap<(Owner, String), Known>,
    bytes: usize,
    uses: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Indexes {
    inner: Mutex<Inner>,
    bytes_max: usize,
}

impl Default for Indexes {
    fn default() -> Self {
        Self { inner: Mutex::default(), bytes_max: BYTES_MAX }
    }
}

impl Indexes {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index of an output, which lies at `path`; `None` if there is none. Blocks.
    ///
    /// # Errors
    /// One line: it cannot be read, or is none.
    pub(crate) fn get(&self, owner: Owner, output: &str, path: &Path) -> Result<Option<Arc<Index>>, String> {
        let text = |error: io::Error| error.to_string();
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(text)?,
        };
        let metadata = file.metadata().map_err(text)?;
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        let stamp = Stamp { inode: metadata.ino(), len: metadata.len(), changed };
        let key = (owner, output.to_owned());
        if let Some(index) = self.lock().find(&key, stamp) {
            return Ok(Some(index));
        }
        let mut bytes = Vec::new();
        let most = Index::encoded_len(TASKS_PER_KIND_MAX) as u64 + 1;
        (&mut file).take(most).read_to_end(&mut bytes).map_err(text)?;
        let index = Arc::new(Index::decode(&bytes).map_err(|error| error.to_string())?);
        self.lock().keep(key, stamp, Arc::clone(&index), self.bytes_max);
        Ok(Some(index))
    }

    /// The outputs of a job or application are gone.
    pub(crate) fn forget(&self, owner: Owner) {
        let mut inner = self.lock();
        let keys: Vec<_> = inner.known.keys().filter(|(of, _)| *of == owner).cloned().collect();
        keys.iter().for_each(|key| inner.remove(key));
    }
}

impl Inner {
    fn find(&mut self, key: &(Owner, String), stamp: Stamp) -> Option<Arc<Index>> {
        self.uses += 1;
        let known = self.known.get_mut(key).filter(|known| known.stamp == stamp)?;
        known.used = self.uses;
        Some(Arc::clone(&known.index))
    }

    fn keep(&mut self, key: (Owner, String), stamp: Stamp, index: Arc<Index>, bytes_max: usize) {
        self.remove(&key);
        self.bytes += cost(&index);
        self.known.insert(key, Known { index, stamp, used: self.uses });
        while self.bytes > bytes_max {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { return };
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, key: &(Owner, String)) {
        if let Some(known) = self.known.remove(key) {
            self.bytes = self.bytes.saturating_sub(cost(&known.index));
        }
    }
}

fn cost(index: &Index) -> usize {
    ENTRY_BYTES + index.segments.len() * size_of::<Segment>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mammoth_protocol::jobs::JobId;
    use std::fs;

    const JOB: Owner = Owner::Job(JobId { cluster_ms: 5, number: 1 });
    const OTHER: Owner = Owner::Job(JobId { cluster_ms: 5, number: 2 });

    fn write(path: &Path, partitions: u64) {
        let segments = (0..partitions).map(|n| Segment { offset: n, len: 1, raw: 1, records: 1 }).collect();
        let bytes = Index { segments }.encode().unwrap();
        fs::write(path, bytes).unwrap();
    }

    #[test]
    fn an_index_is_read_once_while_its_file_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let (path, indexes) = (dir.path().join("a.index"), Indexes::default());
        assert_eq!(indexes.get(JOB, "a", &path), Ok(None));
        write(&path, 3);
        let first = indexes.get(JOB, "a", &path).unwrap().unwrap();
        let again = indexes.get(JOB, "a", &path).unwrap().unwrap();
        assert!(Arc::ptr_eq(&first, &again), "from memory");
        fs::remove_file(&path).unwrap();
        write(&path, 4);
        assert_eq!(indexes.get(JOB, "a", &path).unwrap().unwrap().segments.len(), 4);
        fs::write(&path, "rubbish").unwrap();
        assert!(indexes.get(JOB, "a", &path).is_err());
        fs::remove_file(&path).unwrap();
        assert_eq!(indexes.get(JOB, "a", &path), Ok(None));
        indexes.forget(OTHER);
        assert_eq!(indexes.lock().known.len(), 1);
        indexes.forget(JOB);
        let left = indexes.lock();
        assert_eq!((left.known.len(), left.bytes), (0, 0));
    }

    #[test]
    fn the_least_used_go_when_there_are_too_many() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.index");
        write(&path, 10);
        let room_for_two = 2 * (ENTRY_BYTES + 10 * size_of::<Segment>());
        let indexes = Indexes { bytes_max: room_for_two, ..Indexes::default() };
        for output in ["a", "b", "a", "c"] {
            indexes.get(JOB, output, &path).unwrap().unwrap();
        }
        let known: Vec<String> = indexes.lock().known.keys().map(|(_, output)| output.clone()).collect();
        assert_eq!(known, ["a", "c"]);
        assert!(indexes.lock().bytes <= room_for_two);
    }
}
