//! A cluster, through the client library.

use super::{Access, Entry, FileSystem, Kind, Sink, Status, WriteOptions};
use crate::fault::{Fault, PathIssue};
use mammoth_client::{
    ClientError, ContentSummary, CreateOptions, DfsClient, FileChecksum, FileKind, FileStatus, FileWriter, FsStats,
    RenameOptions,
};
use mammoth_protocol::{DfsPath, ErrorCode};
use std::io::{self, Read, Seek, SeekFrom, Write};

/// One cluster.
pub(crate) struct RemoteFs {
    client: DfsClient,
    uri: String,
    home: String,
}

impl RemoteFs {
    /// The cluster that `client` talks to, called `uri` by its user.
    pub(crate) fn new(client: DfsClient, uri: String, user: &str) -> Self {
        Self { client, uri, home: format!("/user/{user}") }
    }
}

fn parse(path: &str) -> Result<DfsPath, Fault> {
    Ok(DfsPath::parse(path).map_err(ClientError::from)?)
}

fn status_of(file: &FileStatus) -> Status {
    Status {
        kind: match file.kind {
            FileKind::File => Kind::File,
            FileKind::Directory => Kind::Folder,
            FileKind::Symlink => Kind::Symlink,
        },
        len: file.len,
        replication: file.replication,
        block_size: file.block_size,
        permission: file.permission,
        owner: file.owner.clone(),
        group: file.group.clone(),
        modified_ms: file.modified_ms,
        accessed_ms: file.accessed_ms,
        has_acl: file.has_acl,
        is_erasure_coded: file.is_erasure_coded,
    }
}

impl FileSystem for RemoteFs {
    fn uri(&self) -> &str {
        &self.uri
    }

    fn working_folder(&self) -> &str {
        &self.home
    }

    fn status(&self, path: &str) -> Result<Option<Status>, Fault> {
        match self.client.file_info(&parse(path)?) {
            Ok(found) => Ok(found.as_ref().map(status_of)),
            // Below a file there is nothing.
            Err(error) if error.code() == ErrorCode::ParentNotDirectory => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, Fault> {
        let folder = parse(path)?;
        let mut entries = Vec::new();
        for file in self.client.list(&folder)? {
            let file = file?;
            if file.path == folder {
                // What the listing of a file holds: the file itself.
                return Err(Fault::path(path, PathIssue::NotDirectory));
            }
            entries.push(Entry { name: file.name().to_owned(), status: status_of(&file) });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn mkdirs(&self, path: &str, permission: Option<u16>) -> Result<(), Fault> {
        let path = parse(path)?;
        if !self.client.mkdirs(&path, permission, true)? {
            return Err(Fault::path(path.as_str(), PathIssue::Io).operation("mkdir"));
        }
        Ok(())
    }

    fn delete(&self, path: &str, recursive: bool) -> Result<bool, Fault> {
        Ok(self.client.delete(&parse(path)?, recursive)?)
    }

    fn rename(&self, from: &str, to: &str) -> Result<bool, Fault> {
        Ok(self.client.rename(&parse(from)?, &parse(to)?)?)
    }

    fn replace(&self, from: &str, to: &str) -> Result<(), Fault> {
        let options = RenameOptions { overwrite: true, ..RenameOptions::default() };
        Ok(self.client.rename2(&parse(from)?, &parse(to)?, options)?)
    }

    fn rename_to_trash(&self, from: &str, to: &str) -> Result<(), Fault> {
        let options = RenameOptions { to_trash: true, ..RenameOptions::default() };
        Ok(self.client.rename2(&parse(from)?, &parse(to)?, options)?)
    }

    fn trash_minutes(&self) -> Result<u64, Fault> {
        Ok(self.client.server_defaults()?.trash_interval_min)
    }

    fn open(&self, path: &str, from: u64, _verify: bool) -> Result<Box<dyn Read + Send>, Fault> {
        // The client always verifies: with several replicas there is nearly always a good one.
        let mut reader = self.client.open(&parse(path)?)?;
        if from > 0 {
            reader.seek(SeekFrom::Start(from)).map_err(|e| Fault::stream(path, e))?;
        }
        Ok(Box::new(reader))
    }

    fn create(&self, path: &str, options: WriteOptions) -> Result<Box<dyn Sink>, Fault> {
        let create = CreateOptions {
            overwrite: options.overwrite,
            replication: options.lazy.then_some(1),
            ..CreateOptions::default()
        };
        Ok(Box::new(RemoteSink(self.client.create(&parse(path)?, create)?)))
    }

    fn append(&self, path: &str) -> Result<Box<dyn Sink>, Fault> {
        Ok(Box::new(RemoteSink(self.client.append(&parse(path)?)?)))
    }

    fn truncate(&self, path: &str, len: u64) -> Result<bool, Fault> {
        Ok(self.client.truncate(&parse(path)?, len)?)
    }

    fn concat(&self, target: &str, sources: &[&str]) -> Result<(), Fault> {
        let sources: Vec<_> = sources.iter().map(|source| parse(source)).collect::<Result<_, _>>()?;
        Ok(self.client.concat(&parse(target)?, &sources)?)
    }

    fn set_permission(&self, path: &str, permission: u16) -> Result<(), Fault> {
        Ok(self.client.set_permission(&parse(path)?, permission)?)
    }

    fn set_owner(&self, path: &str, owner: Option<&str>, group: Option<&str>) -> Result<(), Fault> {
        Ok(self.client.set_owner(&parse(path)?, owner, group)?)
    }

    fn set_times(&self, path: &str, modified_ms: Option<u64>, accessed_ms: Option<u64>) -> Result<(), Fault> {
        Ok(self.client.set_times(&parse(path)?, modified_ms, accessed_ms)?)
    }

    fn set_replication(&self, path: &str, replication: u16) -> Result<bool, Fault> {
        Ok(self.client.set_replication(&parse(path)?, replication)?)
    }

    fn replica_counts(&self, path: &str) -> Result<Vec<usize>, Fault> {
        let locations = self.client.block_locations(&parse(path)?, 0, u64::MAX >> 1)?;
        Ok(locations.blocks.iter().map(|block| block.nodes.len()).collect())
    }

    fn checksum(&self, path: &str) -> Result<Option<FileChecksum>, Fault> {
        Ok(self.client.file_checksum(&parse(path)?, u64::MAX)?)
    }

    fn may(&self, path: &str, access: Access) -> Result<bool, Fault> {
        let path = parse(path)?;
        // The least question that the server answers only to those who may.
        let answer = match access {
            Access::Write => self.client.set_times(&path, None, None),
            Access::Read => match self.client.file_info(&path)? {
                Some(status) if status.is_dir() => self.client.list_page(&path, "").map(|_| ()),
                Some(_) => self.client.block_locations(&path, 0, 1).map(|_| ()),
                None => return Ok(false),
            },
        };
        match answer {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.code(), ErrorCode::AccessControl | ErrorCode::FileNotFound) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn summary(&self, path: &str) -> Result<ContentSummary, Fault> {
        Ok(self.client.content_summary(&parse(path)?)?)
    }

    fn stats(&self) -> Result<FsStats, Fault> {
        Ok(self.client.fs_stats()?)
    }
}

/// A file of the cluster being written.
struct RemoteSink(FileWriter);

impl Write for RemoteSink {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Sink for RemoteSink {
    fn finish(self: Box<Self>) -> Result<(), Fault> {
        self.0.close()?;
        Ok(())
    }
}
