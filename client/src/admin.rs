//! [`DfsClient`]: attributes of files, figures of the cluster, and what operators do.

use crate::client::DfsClient;
use crate::error::ClientError;
use crate::rpc::convert;
use crate::types::{
    ContentSummary, DatanodeInfo, FsStats, LocatedBlock, OpenFile, ReportKind, SafeModeAction, ServerDefaults,
};
use mammoth_protocol::DfsPath;
use mammoth_protocol::hadoop::{extended_block, hdfs};

/// "Leave it as it is", in a time.
const KEEP: u64 = u64::MAX;

impl DfsClient {
    /// Changes the wanted number of replicas. False if the path is no file.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn set_replication(&self, path: &DfsPath, replication: u16) -> Result<bool, ClientError> {
        let request = hdfs::SetReplicationRequestProto { src: path.to_string(), replication: u32::from(replication) };
        self.call("setReplication", &request).map(|reply: hdfs::SetReplicationResponseProto| reply.result)
    }

    /// Changes the permission bits; the umask does not matter here.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn set_permission(&self, path: &DfsPath, permission: u16) -> Result<(), ClientError> {
        let permission = hdfs::FsPermissionProto { perm: u32::from(permission) };
        let request = hdfs::SetPermissionRequestProto { src: path.to_string(), permission };
        self.call("setPermission", &request).map(|_: hdfs::SetPermissionResponseProto| ())
    }

    /// Changes owner and group; `None` leaves one as it is.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn set_owner(&self, path: &DfsPath, owner: Option<&str>, group: Option<&str>) -> Result<(), ClientError> {
        let request = hdfs::SetOwnerRequestProto {
            src: path.to_string(),
            username: owner.map(str::to_owned),
            groupname: group.map(str::to_owned),
        };
        self.call("setOwner", &request).map(|_: hdfs::SetOwnerResponseProto| ())
    }

    /// Changes the times of last change and last access, milliseconds since 1970; `None` leaves one as it is.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn set_times(
        &self,
        path: &DfsPath,
        modified_ms: Option<u64>,
        accessed_ms: Option<u64>,
    ) -> Result<(), ClientError> {
        let request = hdfs::SetTimesRequestProto {
            src: path.to_string(),
            mtime: modified_ms.unwrap_or(KEEP),
            atime: accessed_ms.unwrap_or(KEEP),
        };
        self.call("setTimes", &request).map(|_: hdfs::SetTimesResponseProto| ())
    }

    /// Totals below a path.
    ///
    /// # Errors
    /// The path does not exist.
    pub fn content_summary(&self, path: &DfsPath) -> Result<ContentSummary, ClientError> {
        let request = hdfs::GetContentSummaryRequestProto { path: path.to_string() };
        let reply: hdfs::GetContentSummaryResponseProto = self.call("getContentSummary", &request)?;
        Ok(convert::content_summary(&reply.summary))
    }

    /// Totals of the file system.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn fs_stats(&self) -> Result<FsStats, ClientError> {
        let reply = self.call("getFsStats", &hdfs::GetFsStatusRequestProto {})?;
        Ok(convert::fs_stats(&reply))
    }

    /// The datanodes of one kind.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn datanode_report(&self, kind: ReportKind) -> Result<Vec<DatanodeInfo>, ClientError> {
        let request = hdfs::GetDatanodeReportRequestProto { r#type: convert::report_kind(kind) as i32 };
        let reply: hdfs::GetDatanodeReportResponseProto = self.call("getDatanodeReport", &request)?;
        let nodes = reply.di.iter().map(convert::datanode).collect::<Result<_, _>>();
        nodes.map_err(|what| self.shared.namenode.bad_answer(what))
    }

    /// Takes a file away from its writer. True if it is closed already; otherwise ask [`Self::is_file_closed`] until it is.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn recover_lease(&self, path: &DfsPath) -> Result<bool, ClientError> {
        self.shared.recover_lease(path)
    }

    /// Whether nobody writes the file.
    ///
    /// # Errors
    /// The file does not exist.
    pub fn is_file_closed(&self, path: &DfsPath) -> Result<bool, ClientError> {
        let request = hdfs::IsFileClosedRequestProto { src: path.to_string() };
        self.call("isFileClosed", &request).map(|reply: hdfs::IsFileClosedResponseProto| reply.result)
    }

    /// What the server would use where its user said nothing.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn server_defaults(&self) -> Result<ServerDefaults, ClientError> {
        let reply: hdfs::GetServerDefaultsResponseProto =
            self.call("getServerDefaults", &hdfs::GetServerDefaultsRequestProto {})?;
        convert::server_defaults(&reply.server_defaults).map_err(|what| self.shared.namenode.bad_answer(what))
    }

    /// Asks about safe mode or changes it. True if it is on afterwards.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn safe_mode(&self, action: SafeModeAction) -> Result<bool, ClientError> {
        let action = convert::safe_mode_action(action) as i32;
        let request = hdfs::SetSafeModeRequestProto { action, checked: None };
        self.call("setSafeMode", &request).map(|reply: hdfs::SetSafeModeResponseProto| reply.result)
    }

    /// Has the namenode read its lists of datanodes again.
    ///
    /// # Errors
    /// The caller may not administrate; a list that makes no sense.
    pub fn refresh_nodes(&self) -> Result<(), ClientError> {
        self.call("refreshNodes", &hdfs::RefreshNodesRequestProto {}).map(|_: hdfs::RefreshNodesResponseProto| ())
    }

    /// Has the namenode make a checkpoint, which it does in safe mode only.
    ///
    /// # Errors
    /// The caller may not administrate; no safe mode.
    pub fn save_namespace(&self) -> Result<(), ClientError> {
        self.call("saveNamespace", &hdfs::SaveNamespaceRequestProto::default())
            .map(|_: hdfs::SaveNamespaceResponseProto| ())
    }

    /// Bounds what each datanode may use for moves of the balancer, bytes a second, until the namenode or the datanode is
    /// started anew; 0 changes nothing.
    ///
    /// # Errors
    /// The caller may not administrate.
    pub fn set_balancer_bandwidth(&self, bytes_per_second: u64) -> Result<(), ClientError> {
        let Ok(bandwidth) = i64::try_from(bytes_per_second) else {
            return Err(ClientError::Invalid(format!("bandwidth {bytes_per_second}: too much")));
        };
        self.call("setBalancerBandwidth", &hdfs::SetBalancerBandwidthRequestProto { bandwidth })
            .map(|_: hdfs::SetBalancerBandwidthResponseProto| ())
    }

    /// Has the namenode write what repair and deletion have to do into a file of its log folder.
    ///
    /// # Errors
    /// The caller may not administrate; a name that is no plain one; the namenode has no log folder.
    pub fn meta_save(&self, file: &str) -> Result<(), ClientError> {
        self.call("metaSave", &hdfs::MetaSaveRequestProto { filename: file.to_owned() })
            .map(|_: hdfs::MetaSaveResponseProto| ())
    }

    /// The files at or below a path that somebody writes; with `blocking` those only whose last block is being written to a
    /// datanode that is to leave.
    ///
    /// # Errors
    /// The caller may not administrate.
    pub fn open_files(&self, below: &DfsPath, blocking: bool) -> Result<Vec<OpenFile>, ClientError> {
        let kind = if blocking {
            hdfs::OpenFilesTypeProto::BlockingDecommission
        } else {
            hdfs::OpenFilesTypeProto::AllOpenFiles
        };
        let mut files = Vec::new();
        let mut id = 0;
        loop {
            let request =
                hdfs::ListOpenFilesRequestProto { id, types: vec![kind as i32], path: Some(below.to_string()) };
            let reply: hdfs::ListOpenFilesResponseProto = self.call("listOpenFiles", &request)?;
            let last = reply.entries.last().map(|entry| entry.id);
            files.extend(reply.entries.into_iter().map(|entry| OpenFile {
                path: entry.path,
                client: entry.client_name,
                machine: entry.client_machine,
            }));
            match last.filter(|last| reply.has_more && *last > id) {
                Some(last) => id = last,
                None => return Ok(files),
            }
        }
    }

    /// Tells the namenode of corrupt replicas: those at the nodes that each block lists.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn report_bad_blocks(&self, blocks: &[LocatedBlock]) -> Result<(), ClientError> {
        self.shared.report_bad_blocks(blocks)
    }
}

impl crate::client::ClientShared {
    pub(crate) fn recover_lease(&self, path: &DfsPath) -> Result<bool, ClientError> {
        let request = hdfs::RecoverLeaseRequestProto { src: path.to_string(), client_name: self.name.clone() };
        let options = crate::rpc::namenode::CallOptions::USER;
        let reply: hdfs::RecoverLeaseResponseProto = self.namenode.call("recoverLease", &request, options)?;
        Ok(reply.result)
    }

    pub(crate) fn report_bad_blocks(&self, blocks: &[LocatedBlock]) -> Result<(), ClientError> {
        let request = hdfs::ReportBadBlocksRequestProto { blocks: blocks.iter().map(bad_block).collect() };
        let options = crate::rpc::namenode::CallOptions::USER;
        let _: hdfs::ReportBadBlocksResponseProto = self.namenode.call("reportBadBlocks", &request, options)?;
        Ok(())
    }
}

fn bad_block(block: &LocatedBlock) -> hdfs::LocatedBlockProto {
    hdfs::LocatedBlockProto {
        b: extended_block(&block.pool, block.block),
        offset: block.offset,
        locs: block.nodes.iter().map(convert::datanode_proto).collect(),
        corrupt: true,
        block_token: block.token.clone(),
        storage_types: block.storage_types.iter().map(|name| convert::medium_code(name)).collect(),
        storage_ids: block.storage_ids.clone(),
        ..hdfs::LocatedBlockProto::default()
    }
}
