//! Messages to plain values, with every check: a namenode of another make must not make us panic or lie.

use crate::types::{
    AdminState, BlockLocations, ContentSummary, DatanodeInfo, FileKind, FileStatus, FsStats, LocatedBlock, ReportKind,
    SafeModeAction, ServerDefaults,
};
use mammoth_protocol::hadoop::{block_of, hdfs};
use mammoth_protocol::limits::{BLOCKS_PER_FILE_MAX, REPLICATION_MAX};
use mammoth_protocol::{DfsPath, InodeId};

/// What is wrong with a message.
pub(crate) type Bad = String;

/// A file status; the message holds the whole path never, only a name below `parent`, or nothing for `parent` itself.
pub(crate) fn file_status(proto: &hdfs::HdfsFileStatusProto, parent: &DfsPath) -> Result<FileStatus, Bad> {
    use hdfs::hdfs_file_status_proto::{FileType, Flags};
    let name = std::str::from_utf8(&proto.path).map_err(|_| format!("a name below {parent} is not UTF-8"))?;
    let path = if name.is_empty() { parent.clone() } else { parent.join(name).map_err(|e| e.to_string())? };
    let kind = match FileType::try_from(proto.file_type) {
        Ok(FileType::IsDir) => FileKind::Directory,
        Ok(FileType::IsFile) => FileKind::File,
        Ok(FileType::IsSymlink) => FileKind::Symlink,
        Err(_) => return Err(format!("{path} has the unknown type {}", proto.file_type)),
    };
    let has = |flag: Flags| proto.flags() & flag as u32 != 0;
    Ok(FileStatus {
        kind,
        len: proto.length,
        replication: u16::try_from(proto.block_replication())
            .map_err(|_| format!("{path} has replication {}", proto.block_replication()))?,
        block_size: proto.blocksize(),
        permission: u16::try_from(proto.permission.perm & 0o1777).unwrap_or_default(),
        owner: proto.owner.clone(),
        group: proto.group.clone(),
        modified_ms: proto.modification_time,
        accessed_ms: proto.access_time,
        file_id: InodeId(proto.file_id()),
        children: u32::try_from(proto.children_num()).ok(),
        has_acl: has(Flags::HasAcl),
        is_encrypted: proto.file_encryption_info.is_some() || has(Flags::HasCrypt),
        is_erasure_coded: proto.ec_policy.is_some() || has(Flags::HasEc),
        storage_policy: u8::try_from(proto.storage_policy()).unwrap_or_default(),
        link_target: String::from_utf8_lossy(proto.symlink()).into_owned(),
        path,
    })
}

fn port(number: u32, node: &str) -> Result<u16, Bad> {
    u16::try_from(number).map_err(|_| format!("datanode {node} has port {number}"))
}

pub(crate) fn datanode(proto: &hdfs::DatanodeInfoProto) -> Result<DatanodeInfo, Bad> {
    use hdfs::datanode_info_proto::AdminState as State;
    let id = &proto.id;
    Ok(DatanodeInfo {
        uuid: id.datanode_uuid.clone(),
        ip: id.ip_addr.clone(),
        hostname: id.host_name.clone(),
        transfer_port: port(id.xfer_port, &id.ip_addr)?,
        info_port: port(id.info_port, &id.ip_addr)?,
        ipc_port: port(id.ipc_port, &id.ip_addr)?,
        rack: proto.location.clone().unwrap_or_else(|| "/default-rack".to_owned()),
        capacity: proto.capacity(),
        dfs_used: proto.dfs_used(),
        non_dfs_used: proto.non_dfs_used(),
        remaining: proto.remaining(),
        block_pool_used: proto.block_pool_used(),
        cache_capacity: proto.cache_capacity(),
        cache_used: proto.cache_used(),
        xceivers: proto.xceiver_count(),
        last_contact_ms: proto.last_update(),
        last_block_report_ms: proto.last_block_report_time(),
        num_blocks: proto.num_blocks(),
        admin_state: match proto.admin_state() {
            State::Normal => AdminState::Normal,
            State::DecommissionInprogress => AdminState::Decommissioning,
            State::Decommissioned => AdminState::Decommissioned,
            State::EnteringMaintenance => AdminState::EnteringMaintenance,
            State::InMaintenance => AdminState::InMaintenance,
        },
    })
}

/// A datanode as requests name it: its identity without its figures.
pub(crate) fn datanode_proto(node: &DatanodeInfo) -> hdfs::DatanodeInfoProto {
    let id = hdfs::DatanodeIdProto {
        ip_addr: node.ip.clone(),
        host_name: node.hostname.clone(),
        datanode_uuid: node.uuid.clone(),
        xfer_port: u32::from(node.transfer_port),
        info_port: u32::from(node.info_port),
        ipc_port: u32::from(node.ipc_port),
        info_secure_port: None,
    };
    hdfs::DatanodeInfoProto { id, location: Some(node.rack.clone()), ..hdfs::DatanodeInfoProto::default() }
}

/// The number of a medium in messages.
pub(crate) fn medium_code(name: &str) -> i32 {
    use hdfs::StorageTypeProto as Type;
    let medium = match name {
        "SSD" => Type::Ssd,
        "ARCHIVE" => Type::Archive,
        "RAM_DISK" => Type::RamDisk,
        "PROVIDED" => Type::Provided,
        "NVDIMM" => Type::Nvdimm,
        _ => Type::Disk,
    };
    medium as i32
}

fn medium(code: i32) -> &'static str {
    use hdfs::StorageTypeProto as Type;
    match Type::try_from(code) {
        Ok(Type::Ssd) => "SSD",
        Ok(Type::Archive) => "ARCHIVE",
        Ok(Type::RamDisk) => "RAM_DISK",
        Ok(Type::Provided) => "PROVIDED",
        Ok(Type::Nvdimm) => "NVDIMM",
        Ok(Type::Disk) | Err(_) => "DISK",
    }
}

pub(crate) fn located_block(proto: &hdfs::LocatedBlockProto) -> Result<LocatedBlock, Bad> {
    if proto.locs.len() > usize::from(REPLICATION_MAX) {
        return Err(format!("block {} has {} locations", proto.b.block_id, proto.locs.len()));
    }
    Ok(LocatedBlock {
        pool: proto.b.pool_id.clone(),
        block: block_of(&proto.b),
        offset: proto.offset,
        corrupt: proto.corrupt,
        nodes: proto.locs.iter().map(datanode).collect::<Result<_, _>>()?,
        storage_ids: proto.storage_ids.clone(),
        storage_types: proto.storage_types.iter().map(|code| medium(*code)).collect(),
        token: proto.block_token.clone(),
    })
}

/// Locations of a range. The blocks must follow each other without gap.
pub(crate) fn block_locations(proto: &hdfs::LocatedBlocksProto) -> Result<BlockLocations, Bad> {
    if proto.blocks.len() > BLOCKS_PER_FILE_MAX {
        return Err(format!("{} blocks in one answer", proto.blocks.len()));
    }
    let blocks = proto.blocks.iter().map(located_block).collect::<Result<Vec<_>, _>>()?;
    for pair in blocks.windows(2) {
        if let [first, second] = pair
            && first.offset.checked_add(first.block.len) != Some(second.offset)
        {
            return Err(format!("blocks at offsets {} and {} do not follow each other", first.offset, second.offset));
        }
    }
    Ok(BlockLocations {
        file_len: proto.file_length,
        under_construction: proto.under_construction,
        is_last_block_complete: proto.is_last_block_complete,
        blocks,
        last_block: proto.last_block.as_ref().map(located_block).transpose()?,
    })
}

/// Quotas are unsigned in the messages, with -1 for none.
fn quota(value: u64) -> Option<u64> {
    i64::try_from(value).is_ok().then_some(value)
}

pub(crate) fn content_summary(proto: &hdfs::ContentSummaryProto) -> ContentSummary {
    ContentSummary {
        length: proto.length,
        file_count: proto.file_count,
        directory_count: proto.directory_count,
        space_consumed: proto.space_consumed,
        quota: quota(proto.quota),
        space_quota: quota(proto.space_quota),
    }
}

pub(crate) fn fs_stats(proto: &hdfs::GetFsStatsResponseProto) -> FsStats {
    FsStats {
        capacity: proto.capacity,
        used: proto.used,
        remaining: proto.remaining,
        under_replicated: proto.under_replicated,
        corrupt_blocks: proto.corrupt_blocks,
        missing_blocks: proto.missing_blocks,
        missing_replication_one: proto.missing_repl_one_blocks(),
        pending_deletion: proto.pending_deletion_blocks(),
    }
}

pub(crate) fn server_defaults(proto: &hdfs::FsServerDefaultsProto) -> Result<ServerDefaults, Bad> {
    Ok(ServerDefaults {
        block_size: proto.block_size,
        bytes_per_checksum: proto.bytes_per_checksum,
        write_packet_size: proto.write_packet_size,
        replication: u16::try_from(proto.replication).map_err(|_| format!("replication {}", proto.replication))?,
        file_buffer_size: proto.file_buffer_size,
        encrypt_data_transfer: proto.encrypt_data_transfer(),
        trash_interval_min: proto.trash_interval(),
    })
}

pub(crate) fn report_kind(kind: ReportKind) -> hdfs::DatanodeReportTypeProto {
    use hdfs::DatanodeReportTypeProto as Type;
    match kind {
        ReportKind::All => Type::All,
        ReportKind::Live => Type::Live,
        ReportKind::Dead => Type::Dead,
        ReportKind::Decommissioning => Type::Decommissioning,
        ReportKind::EnteringMaintenance => Type::EnteringMaintenance,
        ReportKind::InMaintenance => Type::InMaintenance,
    }
}

pub(crate) fn safe_mode_action(action: SafeModeAction) -> hdfs::SafeModeActionProto {
    use hdfs::SafeModeActionProto as Action;
    match action {
        SafeModeAction::Get => Action::SafemodeGet,
        SafeModeAction::Enter => Action::SafemodeEnter,
        SafeModeAction::Leave => Action::SafemodeLeave,
        SafeModeAction::ForceExit => Action::SafemodeForceExit,
    }
}
