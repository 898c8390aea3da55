//! [`DfsClient`]: the namespace, and the way to open files.

use crate::config::{ClientConfig, Components};
use crate::error::ClientError;
use crate::lease::Leases;
use crate::reader::{FileReader, Hedging, ShortCircuit};
use crate::rpc::convert;
use crate::rpc::namenode::{CallOptions, Namenode};
use crate::rpc::retry::Backoff;
use crate::types::{BlockLocations, CreateOptions, FileStatus, HedgedReads, ListingPage, RenameOptions};
use crate::writer::FileWriter;
use mammoth_net::data::IdleStreams;
use mammoth_protocol::hadoop::hdfs;
use mammoth_protocol::limits::BYTES_PER_CHECKSUM;
use mammoth_protocol::{DfsPath, ErrorCode, Uuid};
use std::sync::Arc;

/// A client of one namenode. Clones share connection, identity and leases.
#[derive(Clone, Debug)]
pub struct DfsClient {
    pub(crate) shared: Arc<ClientShared>,
}

/// What all clones, readers and writers of a client share.
#[derive(Debug)]
pub(crate) struct ClientShared {
    pub(crate) config: ClientConfig,
    pub(crate) namenode: Arc<Namenode>,
    /// The holder of this client's leases.
    pub(crate) name: String,
    pub(crate) client_id: [u8; 16],
    pub(crate) leases: Arc<Leases>,
    pub(crate) short_circuit: ShortCircuit,
    pub(crate) hedging: Hedging,
    /// Connections to datanodes over which blocks were written.
    pub(crate) idle: Arc<IdleStreams>,
}

impl DfsClient {
    /// A client that connects at its first call.
    ///
    /// # Errors
    /// A configuration that makes no sense.
    pub fn connect(config: ClientConfig) -> Result<Self, ClientError> {
        Self::connect_with(config, &Components::default())
    }

    /// As [`Self::connect`], with clock and randomness of one's own.
    ///
    /// # Errors
    /// A configuration that makes no sense.
    pub fn connect_with(config: ClientConfig, components: &Components) -> Result<Self, ClientError> {
        config.check()?;
        let client_id = components.entropy.bytes16();
        let name = format!("mammoth_{}", Uuid(u128::from_be_bytes(client_id)));
        let namenode = Arc::new(Namenode::new(&config, components, client_id));
        let idle = Arc::new(IdleStreams::default());
        let leases = Leases::new(Arc::clone(&namenode), name.clone(), config.lease_renew_interval, Arc::clone(&idle));
        let short_circuit = ShortCircuit::default();
        let (leases, hedging) = (Arc::new(leases), Hedging::default());
        let shared = ClientShared { config, namenode, name, client_id, leases, short_circuit, hedging, idle };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &ClientConfig {
        &self.shared.config
    }

    /// What hedged reads of this client and its clones did so far.
    #[must_use]
    pub fn hedged_reads(&self) -> HedgedReads {
        self.shared.hedging.counts()
    }

    /// `host:port` of the namenode.
    #[must_use]
    pub fn namenode_address(&self) -> &str {
        self.shared.namenode.address()
    }

    /// The user's home folder, which need not exist.
    ///
    /// # Errors
    /// A user name that is no valid part of a path.
    pub fn home_dir(&self) -> Result<DfsPath, ClientError> {
        Ok(DfsPath::root().join("user")?.join(&self.shared.config.user)?)
    }

    /// All about a path; `None` if it does not exist.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn file_info(&self, path: &DfsPath) -> Result<Option<FileStatus>, ClientError> {
        let request = hdfs::GetFileInfoRequestProto { src: path.to_string() };
        let reply: hdfs::GetFileInfoResponseProto = self.call("getFileInfo", &request)?;
        reply.fs.map(|fs| self.status_of(&fs, path)).transpose()
    }

    /// One page of a folder, after the name `start_after` (empty: from the start); of a file, the file itself. `None` if
    /// the path does not exist.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn list_page(&self, path: &DfsPath, start_after: &str) -> Result<Option<ListingPage>, ClientError> {
        let request = hdfs::GetListingRequestProto {
            src: path.to_string(),
            start_after: start_after.as_bytes().to_vec(),
            need_location: false,
        };
        let reply: hdfs::GetListingResponseProto = self.call("getListing", &request)?;
        let Some(listing) = reply.dir_list else { return Ok(None) };
        let entries = listing.partial_listing.iter().map(|fs| self.status_of(fs, path)).collect::<Result<_, _>>()?;
        Ok(Some(ListingPage { entries, remaining: listing.remaining_entries }))
    }

    /// The entries of a folder in byte order of their names, fetched page by page; of a file, the file itself.
    ///
    /// # Errors
    /// The path does not exist or the first page cannot be had.
    pub fn list(&self, path: &DfsPath) -> Result<Listing, ClientError> {
        let page = self.list_page(path, "")?.ok_or_else(|| ClientError::file_not_found(path))?;
        Ok(Listing::new(self.clone(), path.clone(), page))
    }

    /// As [`Self::list`], all entries at once.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub fn list_all(&self, path: &DfsPath) -> Result<Vec<FileStatus>, ClientError> {
        self.list(path)?.collect()
    }

    /// Makes a folder, with `permission` less the umask (777 octal by default). True if it exists afterwards as a folder.
    ///
    /// # Errors
    /// A file is in the way; the parent is missing and `create_parents` is not set.
    pub fn mkdirs(&self, path: &DfsPath, permission: Option<u16>, create_parents: bool) -> Result<bool, ClientError> {
        let (masked, unmasked) = self.permissions(permission.unwrap_or(0o777));
        let request = hdfs::MkdirsRequestProto {
            src: path.to_string(),
            masked,
            create_parent: create_parents,
            unmasked: Some(unmasked),
        };
        self.call("mkdirs", &request).map(|reply: hdfs::MkdirsResponseProto| reply.result)
    }

    /// Creates a file and takes its lease.
    ///
    /// # Errors
    /// The file exists and is not to be replaced, or is being written; a parent is missing or a file.
    pub fn create(&self, path: &DfsPath, options: CreateOptions) -> Result<FileWriter, ClientError> {
        let block_size = options.block_size.unwrap_or(self.shared.config.block_size);
        if block_size == 0 || !block_size.is_multiple_of(BYTES_PER_CHECKSUM as u64) {
            return Err(ClientError::Invalid(format!("block size {block_size}: must be a multiple of 512")));
        }
        let (masked, unmasked) = self.permissions(options.permission.unwrap_or(0o666));
        let overwrite = if options.overwrite { hdfs::CreateFlagProto::Overwrite as u32 } else { 0 };
        let request = hdfs::CreateRequestProto {
            src: path.to_string(),
            masked,
            client_name: self.shared.name.clone(),
            create_flag: hdfs::CreateFlagProto::Create as u32 | overwrite,
            create_parent: options.create_parent,
            replication: u32::from(options.replication.unwrap_or(self.shared.config.replication)),
            block_size,
            crypto_protocol_version: Vec::new(),
            unmasked: Some(unmasked),
            ec_policy_name: None,
            storage_policy: None,
        };
        // The lease is renewed from before the call on: the answer may take as long as the lease lives.
        let lease = self.shared.leases.hold()?;
        let reply: hdfs::CreateResponseProto = self.call_after_recovery("create", &request)?;
        let status = reply.fs.ok_or_else(|| self.shared.namenode.bad_answer("create without a file status"))?;
        let status = self.status_of(&status, path)?;
        FileWriter::start(Arc::clone(&self.shared), lease, &status, None)
    }

    /// Reopens a closed file at its end and takes its lease.
    ///
    /// # Errors
    /// The file does not exist or is being written.
    pub fn append(&self, path: &DfsPath) -> Result<FileWriter, ClientError> {
        let request =
            hdfs::AppendRequestProto { src: path.to_string(), client_name: self.shared.name.clone(), flag: None };
        let lease = self.shared.leases.hold()?;
        let reply: hdfs::AppendResponseProto = self.call_after_recovery("append", &request)?;
        let status = match reply.stat {
            Some(status) => self.status_of(&status, path)?,
            None => self.file_info(path)?.ok_or_else(|| ClientError::file_not_found(path))?,
        };
        FileWriter::start(Arc::clone(&self.shared), lease, &status, reply.block)
    }

    /// Opens a file for reading. A file that is being written shows what its writer flushed before this call.
    ///
    /// # Errors
    /// The file does not exist, or is a folder.
    pub fn open(&self, path: &DfsPath) -> Result<FileReader, ClientError> {
        FileReader::open(Arc::clone(&self.shared), path)
    }

    /// Renames, into `to` if that is an existing folder. False, without a reason, if the source is missing or the target
    /// exists; see [`Self::rename2`].
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn rename(&self, from: &DfsPath, to: &DfsPath) -> Result<bool, ClientError> {
        let request = hdfs::RenameRequestProto { src: from.to_string(), dst: to.to_string() };
        self.call("rename", &request).map(|reply: hdfs::RenameResponseProto| reply.result)
    }

    /// Renames to exactly `to`.
    ///
    /// # Errors
    /// The source is missing; the target exists and may not be replaced, or is a folder with entries.
    pub fn rename2(&self, from: &DfsPath, to: &DfsPath, options: RenameOptions) -> Result<(), ClientError> {
        let request = hdfs::Rename2RequestProto {
            src: from.to_string(),
            dst: to.to_string(),
            overwrite_dest: options.overwrite,
            move_to_trash: options.to_trash.then_some(true),
        };
        self.call("rename2", &request).map(|_: hdfs::Rename2ResponseProto| ())
    }

    /// Shortens a file to `len` bytes. False: its last block is still being cut, and the file can be written again once
    /// [`Self::is_file_closed`] says so.
    ///
    /// # Errors
    /// The file does not exist, is shorter, or is being written.
    pub fn truncate(&self, path: &DfsPath, len: u64) -> Result<bool, ClientError> {
        let client_name = self.shared.name.clone();
        let request = hdfs::TruncateRequestProto { src: path.to_string(), new_length: len, client_name };
        self.call("truncate", &request).map(|reply: hdfs::TruncateResponseProto| reply.result)
    }

    /// Moves the blocks of `sources`, in this order, to the end of `target`; the sources are gone afterwards.
    ///
    /// # Errors
    /// A file that does not exist, is empty, open, twice among them, of larger blocks than the target, or in another folder.
    pub fn concat(&self, target: &DfsPath, sources: &[DfsPath]) -> Result<(), ClientError> {
        let srcs = sources.iter().map(ToString::to_string).collect();
        let request = hdfs::ConcatRequestProto { trg: target.to_string(), srcs };
        self.call("concat", &request).map(|_: hdfs::ConcatResponseProto| ())
    }

    /// Deletes a path. False if it did not exist.
    ///
    /// # Errors
    /// A folder with entries while `recursive` is not set.
    pub fn delete(&self, path: &DfsPath, recursive: bool) -> Result<bool, ClientError> {
        let request = hdfs::DeleteRequestProto { src: path.to_string(), recursive };
        self.call("delete", &request).map(|reply: hdfs::DeleteResponseProto| reply.result)
    }

    /// Where the blocks of a range are, the nearest replicas first.
    ///
    /// # Errors
    /// The file does not exist, or is a folder.
    pub fn block_locations(&self, path: &DfsPath, offset: u64, len: u64) -> Result<BlockLocations, ClientError> {
        self.shared.block_locations(path, offset, len, CallOptions::USER)
    }

    /// Permission bits after and before the umask.
    fn permissions(&self, bits: u16) -> (hdfs::FsPermissionProto, hdfs::FsPermissionProto) {
        let bits = u32::from(bits) & 0o1777;
        let masked = bits & !u32::from(self.shared.config.umask);
        (hdfs::FsPermissionProto { perm: masked }, hdfs::FsPermissionProto { perm: bits })
    }

    fn status_of(&self, fs: &hdfs::HdfsFileStatusProto, path: &DfsPath) -> Result<FileStatus, ClientError> {
        convert::file_status(fs, path).map_err(|what| self.shared.namenode.bad_answer(what))
    }

    pub(crate) fn call<Req, Resp>(&self, method: &'static str, request: &Req) -> Result<Resp, ClientError>
    where
        Req: prost::Message,
        Resp: prost::Message + Default,
    {
        self.shared.namenode.call(method, request, CallOptions::USER)
    }

    /// A call that waits while the last block of the file is being recovered from its last writer.
    fn call_after_recovery<Req, Resp>(&self, method: &'static str, request: &Req) -> Result<Resp, ClientError>
    where
        Req: prost::Message,
        Resp: prost::Message + Default,
    {
        let mut backoff = Backoff::default();
        loop {
            let error = match self.call(method, request) {
                Err(error) if error.code() == ErrorCode::RecoveryInProgress && error.code().is_retryable() => error,
                done => return done,
            };
            let budget = self.shared.config.recovery_budget;
            match backoff.next(&**self.shared.namenode.clock(), budget) {
                Some(pause) => std::thread::sleep(pause),
                None => return Err(error),
            }
        }
    }
}

impl ClientShared {
    pub(crate) fn block_locations(
        &self,
        path: &DfsPath,
        offset: u64,
        len: u64,
        options: CallOptions<'_>,
    ) -> Result<BlockLocations, ClientError> {
        let request = hdfs::GetBlockLocationsRequestProto { src: path.to_string(), offset, length: len };
        let reply: hdfs::GetBlockLocationsResponseProto = self.namenode.call("getBlockLocations", &request, options)?;
        let locations = reply.locations.ok_or_else(|| ClientError::file_not_found(path))?;
        convert::block_locations(&locations).map_err(|what| self.namenode.bad_answer(format!("{path}: {what}")))
    }
}

/// Walks through a folder; see [`DfsClient::list`].
#[derive(Debug)]
pub struct Listing {
    client: DfsClient,
    path: DfsPath,
    page: std::vec::IntoIter<FileStatus>,
    /// Where the next page starts; `None` after the last.
    next: Option<String>,
}

impl Listing {
    fn new(client: DfsClient, path: DfsPath, page: ListingPage) -> Self {
        let mut listing = Self { client, path, page: Vec::new().into_iter(), next: None };
        listing.turn_to(page);
        listing
    }

    fn turn_to(&mut self, page: ListingPage) {
        let last = page.entries.last().map(|entry| entry.name().to_owned());
        self.next = last.filter(|_| page.remaining > 0);
        self.page = page.entries.into_iter();
    }
}

impl Iterator for Listing {
    type Item = Result<FileStatus, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.page.next() {
                return Some(Ok(entry));
            }
            let start_after = self.next.take()?;
            match self.client.list_page(&self.path, &start_after) {
                Ok(Some(page)) => self.turn_to(page),
                // The folder went away meanwhile: what was seen of it is all there is.
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
