//! Files in the memory of this process, with the answers of a cluster: for local runs of jobs and for tests.

use super::{BlockHosts, FileInfo, FileSystem, Sink, Source};
use mammoth_client::ClientError;
use mammoth_protocol::{DfsPath, ErrorCode};
use std::collections::BTreeMap;
use std::io::{self, Cursor, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a path holds.
#[derive(Clone, Debug)]
enum Entry {
    Dir,
    File(Arc<[u8]>),
}

/// A file system; clones are the same one. Paths are in byte order, parents always present.
#[derive(Clone, Debug)]
pub struct MemoryFiles {
    entries: Arc<Mutex<BTreeMap<String, Entry>>>,
    block_size: u64,
}

impl Default for MemoryFiles {
    fn default() -> Self {
        Self::with_block_size(128 << 20)
    }
}

impl MemoryFiles {
    /// An empty one whose files claim blocks of that size, so that small inputs can have several splits.
    #[must_use]
    pub fn with_block_size(block_size: u64) -> Self {
        let entries = BTreeMap::from([("/".to_owned(), Entry::Dir)]);
        Self { entries: Arc::new(Mutex::new(entries)), block_size }
    }

    /// Stores a file and the folders above it, whatever was there.
    pub fn put(&self, path: &DfsPath, bytes: impl Into<Arc<[u8]>>) {
        let mut entries = self.lock();
        add_parents(&mut entries, path);
        entries.insert(path.to_string(), Entry::File(bytes.into()));
    }

    /// A file's bytes.
    #[must_use]
    pub fn get(&self, path: &DfsPath) -> Option<Arc<[u8]>> {
        match self.lock().get(path.as_str()) {
            Some(Entry::File(bytes)) => Some(Arc::clone(bytes)),
            _ => None,
        }
    }

    /// Refuses a path whose folder is not there.
    fn in_folder(&self, path: &DfsPath) -> Result<(), ClientError> {
        match path.parent() {
            Some(parent) if !self.lock().contains_key(parent.as_str()) => Err(missing(&parent)),
            _ => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn info(&self, path: &str, entry: &Entry) -> Result<FileInfo, ClientError> {
        let path = DfsPath::parse(path)?;
        Ok(match entry {
            Entry::Dir => FileInfo { path, is_dir: true, len: 0, block_size: 0 },
            Entry::File(bytes) => {
                FileInfo { path, is_dir: false, len: bytes.len() as u64, block_size: self.block_size }
            }
        })
    }
}

fn add_parents(entries: &mut BTreeMap<String, Entry>, path: &DfsPath) {
    let mut above = path.parent();
    while let Some(dir) = above {
        entries.entry(dir.to_string()).or_insert(Entry::Dir);
        above = dir.parent();
    }
}

/// What every path below a folder starts with.
fn below(path: &str) -> String {
    if path == "/" { path.to_owned() } else { format!("{path}/") }
}

fn refused(code: ErrorCode, message: String) -> ClientError {
    ClientError::Remote { code, class: code.java_class().to_owned(), message }
}

fn missing(path: &DfsPath) -> ClientError {
    refused(ErrorCode::FileNotFound, format!("File does not exist: {path}"))
}

/// A file that is there, whole, once it is closed.
struct MemorySink {
    files: MemoryFiles,
    path: DfsPath,
    bytes: Vec<u8>,
}

impl Write for MemorySink {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for MemorySink {
    fn close(self: Box<Self>) -> Result<u64, ClientError> {
        let len = self.bytes.len() as u64;
        self.files.put(&self.path, self.bytes);
        Ok(len)
    }
}

impl FileSystem for MemoryFiles {
    fn uri(&self) -> String {
        "memory://local".to_owned()
    }

    fn home(&self) -> Result<DfsPath, ClientError> {
        Ok(DfsPath::parse("/user/local")?)
    }

    fn stat(&self, path: &DfsPath) -> Result<Option<FileInfo>, ClientError> {
        self.lock().get(path.as_str()).map(|entry| self.info(path.as_str(), entry)).transpose()
    }

    fn list(&self, path: &DfsPath) -> Result<Vec<FileInfo>, ClientError> {
        let entries = self.lock();
        match entries.get(path.as_str()) {
            None => return Err(missing(path)),
            Some(file @ Entry::File(_)) => return Ok(vec![self.info(path.as_str(), file)?]),
            Some(Entry::Dir) => {}
        }
        let prefix = below(path.as_str());
        let inside = entries.range(prefix.clone()..).take_while(|(name, _)| name.starts_with(&prefix));
        let direct = inside
            .filter(|(name, _)| name.strip_prefix(&prefix).is_some_and(|rest| !rest.is_empty() && !rest.contains('/')));
        direct.map(|(name, entry)| self.info(name, entry)).collect()
    }

    fn blocks(&self, path: &DfsPath, len: u64) -> Result<Vec<BlockHosts>, ClientError> {
        let info = self.stat(path)?.filter(|info| !info.is_dir).ok_or_else(|| missing(path))?;
        let size = self.block_size.max(1);
        let starts = (0..info.len.min(len).div_ceil(size)).map(|index| index * size);
        let block = |offset| BlockHosts { offset, len: size.min(info.len - offset), hosts: vec!["local".to_owned()] };
        Ok(starts.map(block).collect())
    }

    fn mkdirs(&self, path: &DfsPath) -> Result<(), ClientError> {
        let mut entries = self.lock();
        add_parents(&mut entries, path);
        match entries.entry(path.to_string()).or_insert(Entry::Dir) {
            Entry::Dir => Ok(()),
            Entry::File(_) => Err(refused(ErrorCode::ParentNotDirectory, format!("Path is not a directory: {path}"))),
        }
    }

    fn mkdir(&self, path: &DfsPath) -> Result<(), ClientError> {
        self.in_folder(path)?;
        self.mkdirs(path)
    }

    fn create_in(&self, path: &DfsPath) -> Result<Box<dyn Sink>, ClientError> {
        self.in_folder(path)?;
        self.create(path, true)
    }

    fn create(&self, path: &DfsPath, overwrite: bool) -> Result<Box<dyn Sink>, ClientError> {
        if !overwrite && self.stat(path)?.is_some() {
            return Err(refused(ErrorCode::FileAlreadyExists, format!("{path} already exists")));
        }
        self.put(path, Vec::new());
        Ok(Box::new(MemorySink { files: self.clone(), path: path.clone(), bytes: Vec::new() }))
    }

    fn open(&self, path: &DfsPath) -> Result<Box<dyn Source>, ClientError> {
        let bytes = self.get(path).ok_or_else(|| missing(path))?;
        Ok(Box::new(Cursor::new(bytes)))
    }

    fn rename(&self, from: &DfsPath, to: &DfsPath) -> Result<(), ClientError> {
        let mut entries = self.lock();
        let Some(entry) = entries.get(from.as_str()).cloned() else { return Err(missing(from)) };
        if entries.contains_key(to.as_str()) {
            return Err(refused(ErrorCode::FileAlreadyExists, format!("rename destination {to} already exists")));
        }
        if to.parent().is_some_and(|parent| !entries.contains_key(parent.as_str())) {
            return Err(refused(ErrorCode::FileNotFound, format!("rename destination parent of {to} not found")));
        }
        entries.remove(from.as_str());
        entries.insert(to.to_string(), entry);
        let prefix = below(from.as_str());
        let inside: Vec<String> = entries
            .range(prefix.clone()..)
            .map(|(name, _)| name.clone())
            .take_while(|n| n.starts_with(&prefix))
            .collect();
        for name in inside {
            if let (Some(entry), Some(rest)) = (entries.remove(&name), name.strip_prefix(&prefix)) {
                entries.insert(format!("{to}/{rest}"), entry);
            }
        }
        Ok(())
    }

    fn replace(&self, from: &DfsPath, to: &DfsPath) -> Result<(), ClientError> {
        let mut entries = self.lock();
        let file = match entries.get(from.as_str()) {
            Some(file @ Entry::File(_)) => file.clone(),
            Some(Entry::Dir) | None => return Err(missing(from)),
        };
        if matches!(entries.get(to.as_str()), Some(Entry::Dir)) {
            return Err(refused(ErrorCode::Io, format!("Source {from} and destination {to} must both be directories")));
        }
        if to.parent().is_some_and(|parent| !entries.contains_key(parent.as_str())) {
            return Err(refused(ErrorCode::FileNotFound, format!("rename destination parent of {to} not found")));
        }
        entries.remove(from.as_str());
        entries.insert(to.to_string(), file);
        Ok(())
    }

    fn delete(&self, path: &DfsPath, recursive: bool) -> Result<bool, ClientError> {
        let mut entries = self.lock();
        if !entries.contains_key(path.as_str()) {
            return Ok(false);
        }
        let prefix = below(path.as_str());
        let inside = entries.range(prefix.clone()..).any(|(name, _)| name.starts_with(&prefix) && *name != prefix);
        if inside && !recursive {
            return Err(refused(ErrorCode::PathIsNotEmptyDirectory, format!("{path} is non empty")));
        }
        entries.retain(|name, _| name != path.as_str() && !name.starts_with(&prefix));
        Ok(true)
    }
}
