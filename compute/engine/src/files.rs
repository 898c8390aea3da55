//! File systems by their URI: clusters, and the disks of this machine as `file://` for local work and tests.

use crate::error::EngineError;
use mammoth_client::{ClientConfig, ClientError, DfsClient};
use mammoth_platform::durable::rename_unsynced;
use mammoth_platform::{Settings, keys};
use mammoth_protocol::{DfsPath, ErrorCode};
use mammoth_runtime::files::{BlockHosts, DfsFiles, FileInfo, FileSystem, Sink, Source};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// What this machine's files are called.
pub const LOCAL_URI: &str = "file://";
/// Splits of local files are about so long, bytes.
const LOCAL_BLOCK: u64 = 32 << 20;

/// File systems that were opened, by URI.
pub struct FileSystems {
    settings: Settings,
    known: Mutex<BTreeMap<String, Arc<dyn FileSystem>>>,
}

impl FileSystems {
    /// None yet; clients get these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, known: Mutex::default() }
    }

    /// The file system of a URI: `file://`, or `hdfs://host:port`, with or without a path behind it.
    ///
    /// # Errors
    /// A URI of neither.
    pub fn get(&self, uri: &str) -> Result<Arc<dyn FileSystem>, EngineError> {
        let base = base_of(uri);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(files) = known.get(&base) {
            return Ok(Arc::clone(files));
        }
        let files: Arc<dyn FileSystem> = if base == LOCAL_URI {
            Arc::new(LocalFiles)
        } else {
            let mut settings = self.settings.clone();
            settings.set(keys::FS_DEFAULT_FS.name(), &base);
            Arc::new(DfsFiles::new(DfsClient::connect(ClientConfig::from_settings(&settings)?)?))
        };
        known.insert(base, Arc::clone(&files));
        Ok(files)
    }
}

/// Scheme and authority of a URI.
fn base_of(uri: &str) -> String {
    match uri.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", rest.split('/').next().unwrap_or_default()),
        None => uri.to_owned(),
    }
}

/// The disks of this machine.
#[derive(Clone, Copy, Debug)]
pub struct LocalFiles;

fn refused(code: ErrorCode, message: String) -> ClientError {
    ClientError::Remote { code, class: code.java_class().to_owned(), message }
}

fn failed(path: &DfsPath) -> impl FnOnce(io::Error) -> ClientError + '_ {
    move |error| match error.kind() {
        io::ErrorKind::NotFound => refused(ErrorCode::FileNotFound, format!("File {LOCAL_URI}{path} does not exist")),
        io::ErrorKind::AlreadyExists => {
            refused(ErrorCode::FileAlreadyExists, format!("{LOCAL_URI}{path} already exists"))
        }
        io::ErrorKind::PermissionDenied => refused(ErrorCode::AccessControl, format!("{LOCAL_URI}{path}: {error}")),
        io::ErrorKind::DirectoryNotEmpty => {
            refused(ErrorCode::PathIsNotEmptyDirectory, format!("{LOCAL_URI}{path} is not empty"))
        }
        _ => refused(ErrorCode::Io, format!("{LOCAL_URI}{path}: {error}")),
    }
}

fn info(path: DfsPath, metadata: &fs::Metadata) -> FileInfo {
    let is_dir = metadata.is_dir();
    let (len, block_size) = if is_dir { (0, 0) } else { (metadata.len(), LOCAL_BLOCK) };
    FileInfo { path, is_dir, len, block_size }
}

struct LocalSink {
    file: File,
    path: DfsPath,
    len: u64,
}

impl Write for LocalSink {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = self.file.write(data)?;
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Sink for LocalSink {
    fn close(mut self: Box<Self>) -> Result<u64, ClientError> {
        self.file.flush().map_err(failed(&self.path))?;
        Ok(self.len)
    }
}

fn create(path: &DfsPath, overwrite: bool) -> Result<Box<dyn Sink>, ClientError> {
    let mut options = File::options();
    options.write(true);
    let options = if overwrite { options.create(true).truncate(true) } else { options.create_new(true) };
    let file = options.open(path.as_str()).map_err(failed(path))?;
    Ok(Box::new(LocalSink { file, path: path.clone(), len: 0 }))
}

/// A name as text. Records of a file that was left out for its name would be missed by nobody, until it matters.
fn text_of<'a>(name: &'a OsStr, within: &str) -> Result<&'a str, ClientError> {
    name.to_str().ok_or_else(|| {
        let text =
            format!("{LOCAL_URI}{within}: the name {name:?} is no UTF-8; rename it, or take it out of the input");
        refused(ErrorCode::InvalidPath, text)
    })
}

impl FileSystem for LocalFiles {
    fn uri(&self) -> String {
        LOCAL_URI.to_owned()
    }

    fn home(&self) -> Result<DfsPath, ClientError> {
        let here = std::env::current_dir().map_err(failed(&DfsPath::root()))?;
        Ok(DfsPath::parse(text_of(here.as_os_str(), "")?)?)
    }

    fn stat(&self, path: &DfsPath) -> Result<Option<FileInfo>, ClientError> {
        match fs::metadata(path.as_str()) {
            Ok(metadata) => Ok(Some(info(path.clone(), &metadata))),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(failed(path)(error)),
        }
    }

    fn list(&self, path: &DfsPath) -> Result<Vec<FileInfo>, ClientError> {
        let mut found = Vec::new();
        let metadata = fs::metadata(path.as_str()).map_err(failed(path))?;
        if !metadata.is_dir() {
            return Ok(vec![info(path.clone(), &metadata)]);
        }
        for entry in fs::read_dir(path.as_str()).map_err(failed(path))? {
            let entry = entry.map_err(failed(path))?;
            let inner = path.join(text_of(&entry.file_name(), path.as_str())?)?;
            // A file that went in the meantime, or a link to nowhere.
            if let Some(known) = self.stat(&inner)? {
                found.push(known);
            }
        }
        found.sort_by(|a, b| a.path.as_str().cmp(b.path.as_str()));
        Ok(found)
    }

    fn blocks(&self, _path: &DfsPath, len: u64) -> Result<Vec<BlockHosts>, ClientError> {
        Ok(vec![BlockHosts { offset: 0, len, hosts: Vec::new() }])
    }

    fn mkdirs(&self, path: &DfsPath) -> Result<(), ClientError> {
        fs::create_dir_all(path.as_str()).map_err(failed(path))
    }

    fn mkdir(&self, path: &DfsPath) -> Result<(), ClientError> {
        match fs::create_dir(path.as_str()) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !Path::new(path.as_str()).is_dir() => {
                Err(failed(path)(error))
            }
            _ => Ok(()),
        }
    }

    fn create_in(&self, path: &DfsPath) -> Result<Box<dyn Sink>, ClientError> {
        create(path, true)
    }

    fn create(&self, path: &DfsPath, overwrite: bool) -> Result<Box<dyn Sink>, ClientError> {
        if let Some(parent) = path.parent() {
            self.mkdirs(&parent)?;
        }
        create(path, overwrite)
    }

    fn open(&self, path: &DfsPath) -> Result<Box<dyn Source>, ClientError> {
        Ok(Box::new(File::open(path.as_str()).map_err(failed(path))?))
    }

    fn rename(&self, from: &DfsPath, to: &DfsPath) -> Result<(), ClientError> {
        if self.stat(to)?.is_some() {
            return Err(refused(
                ErrorCode::FileAlreadyExists,
                format!("rename destination {LOCAL_URI}{to} already exists"),
            ));
        }
        rename_unsynced(Path::new(from.as_str()), Path::new(to.as_str()))
            .map_err(|error| refused(ErrorCode::Io, error.to_string()))
    }

    fn replace(&self, from: &DfsPath, to: &DfsPath) -> Result<(), ClientError> {
        rename_unsynced(Path::new(from.as_str()), Path::new(to.as_str()))
            .map_err(|error| refused(ErrorCode::Io, error.to_string()))
    }

    fn delete(&self, path: &DfsPath, recursive: bool) -> Result<bool, ClientError> {
        let Some(found) = self.stat(path)? else { return Ok(false) };
        let gone = match (found.is_dir, recursive) {
            (false, _) => fs::remove_file(path.as_str()),
            (true, true) => fs::remove_dir_all(path.as_str()),
            (true, false) => fs::remove_dir(path.as_str()),
        };
        gone.map_err(failed(path))?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mammoth_runtime::output::Committer;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn what_was_aborted_is_not_brought_back_by_an_attempt_that_comes_late() {
        let dir = tempfile::tempdir().unwrap();
        let out = DfsPath::parse(&format!("{}/out", dir.path().display())).unwrap();
        let committer = Committer::new(&LocalFiles, out.clone());
        committer.setup_job("owner").unwrap();
        let early = committer.setup_task("early").unwrap();
        assert_eq!(committer.setup_task("early").unwrap(), early, "a second process of the same attempt");
        let mut sink = LocalFiles.create_in(&early.join("part").unwrap()).unwrap();
        committer.abort_job(&[]).unwrap();
        sink.write_all(b"late").unwrap();
        sink.close().unwrap();
        assert!(LocalFiles.create_in(&early.join("part").unwrap()).is_err());
        assert!(committer.setup_task("late").is_err());
        assert_eq!(LocalFiles.stat(&out).unwrap(), None);
        let file = out.parent().unwrap().join("file").unwrap();
        LocalFiles.create(&file, false).unwrap().close().unwrap();
        assert!(LocalFiles.mkdir(&file).is_err(), "a file is in the way");
    }

    #[test]
    fn a_name_that_is_no_text_is_refused_and_not_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        File::create(dir.path().join(OsStr::from_bytes(b"part-\xff"))).unwrap();
        let error = LocalFiles.list(&DfsPath::parse(&dir.path().to_string_lossy()).unwrap()).unwrap_err().to_string();
        assert!(error.contains(r"part-\xFF") && error.contains("no UTF-8"), "{error}");
    }
}
