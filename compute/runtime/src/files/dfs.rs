//! Files of a cluster.

use super::{BlockHosts, FileInfo, FileSystem, Sink, Source};
use mammoth_client::{ClientError, CreateOptions, DfsClient, FileStatus, FileWriter, RenameOptions};
use mammoth_protocol::{DfsPath, ErrorCode};

/// A cluster's files by the client library.
#[derive(Clone, Debug)]
pub struct DfsFiles {
    client: DfsClient,
}

impl DfsFiles {
    /// The files of the client's cluster.
    #[must_use]
    pub fn new(client: DfsClient) -> Self {
        Self { client }
    }

    /// The client.
    #[must_use]
    pub fn client(&self) -> &DfsClient {
        &self.client
    }
}

impl Sink for FileWriter {
    fn close(self: Box<Self>) -> Result<u64, ClientError> {
        FileWriter::close(*self)
    }
}

fn info(status: FileStatus) -> FileInfo {
    let is_dir = status.is_dir();
    FileInfo { path: status.path, is_dir, len: status.len, block_size: status.block_size }
}

impl DfsFiles {
    fn make_folder(&self, path: &DfsPath, with_parents: bool) -> Result<(), ClientError> {
        if self.client.mkdirs(path, None, with_parents)? {
            return Ok(());
        }
        let code = ErrorCode::ParentNotDirectory;
        Err(ClientError::Remote {
            code,
            class: code.java_class().to_owned(),
            message: format!("{path}: cannot be made"),
        })
    }
}

impl FileSystem for DfsFiles {
    fn uri(&self) -> String {
        format!("hdfs://{}", self.client.namenode_address())
    }

    fn home(&self) -> Result<DfsPath, ClientError> {
        self.client.home_dir()
    }

    fn stat(&self, path: &DfsPath) -> Result<Option<FileInfo>, ClientError> {
        Ok(self.client.file_info(path)?.map(info))
    }

    fn list(&self, path: &DfsPath) -> Result<Vec<FileInfo>, ClientError> {
        self.client.list(path)?.map(|entry| entry.map(info)).collect()
    }

    fn blocks(&self, path: &DfsPath, len: u64) -> Result<Vec<BlockHosts>, ClientError> {
        let located = self.client.block_locations(path, 0, len)?;
        let hosts = |nodes: &[mammoth_client::DatanodeInfo]| nodes.iter().map(|node| node.hostname.clone()).collect();
        let of = |block: &mammoth_client::LocatedBlock| BlockHosts {
            offset: block.offset,
            len: block.block.len,
            hosts: hosts(&block.nodes),
        };
        Ok(located.blocks.iter().map(of).collect())
    }

    fn mkdirs(&self, path: &DfsPath) -> Result<(), ClientError> {
        self.make_folder(path, true)
    }

    fn mkdir(&self, path: &DfsPath) -> Result<(), ClientError> {
        self.make_folder(path, false)
    }

    fn create_in(&self, path: &DfsPath) -> Result<Box<dyn Sink>, ClientError> {
        let options = CreateOptions { create_parent: false, ..CreateOptions::overwriting() };
        Ok(Box::new(self.client.create(path, options)?))
    }

    fn create(&self, path: &DfsPath, overwrite: bool) -> Result<Box<dyn Sink>, ClientError> {
        let options = CreateOptions { overwrite, ..CreateOptions::default() };
        Ok(Box::new(self.client.create(path, options)?))
    }

    fn open(&self, path: &DfsPath) -> Result<Box<dyn Source>, ClientError> {
        Ok(Box::new(self.client.open(path)?))
    }

    fn rename(&self, from: &DfsPath, to: &DfsPath) -> Result<(), ClientError> {
        self.client.rename2(from, to, RenameOptions::default())
    }

    fn replace(&self, from: &DfsPath, to: &DfsPath) -> Result<(), ClientError> {
        self.client.rename2(from, to, RenameOptions { overwrite: true, ..RenameOptions::default() })
    }

    fn delete(&self, path: &DfsPath, recursive: bool) -> Result<bool, ClientError> {
        self.client.delete(path, recursive)
    }
}
