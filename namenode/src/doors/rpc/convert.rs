//! Core types as Hadoop's messages, and back. Both directions only translate; what a value means is the core's business.

use mammoth_namenode_core::api::{AdminState, DatanodeStatus, FileBlocks, FileStatus, LocatedBlock, Place};
use mammoth_protocol::hadoop::hdfs::datanode_info_proto::AdminState as Proto;
use mammoth_protocol::hadoop::hdfs::hdfs_file_status_proto::FileType;
use mammoth_protocol::hadoop::hdfs::{
    DatanodeInfoProto, ExtendedBlockProto, FsPermissionProto, HdfsFileStatusProto, LocatedBlockProto,
    LocatedBlocksProto, StorageTypeProto,
};
use mammoth_protocol::hadoop::{block_of, datanode_id, empty_token, extended_block};
use mammoth_protocol::{Block, DatanodeId, DfsPath, ErrorCode, FsError, InodeId, StorageId};

/// Permission bits that a client may set: nine and the sticky bit.
const MODE_BITS: u32 = 0o1777;

/// A path of a request.
///
/// # Errors
/// A text that is no path.
pub(super) fn path(text: &str) -> Result<DfsPath, FsError> {
    Ok(DfsPath::parse(text)?)
}

/// Permission bits; higher ones, which only mean something between Hadoop's own parts, are dropped.
#[must_use]
pub(super) fn mode(permission: FsPermissionProto) -> u16 {
    u16::try_from(permission.perm & MODE_BITS).unwrap_or_default()
}

/// A number of replicas.
///
/// # Errors
/// One that nobody can mean.
pub(super) fn replication(number: u32) -> Result<u16, FsError> {
    u16::try_from(number)
        .map_err(|_| FsError::new(ErrorCode::IllegalArgument, format!("replication {number} is out of range")))
}

/// A file id; clients that do not know it send 0.
#[must_use]
pub(super) fn file_id(id: Option<u64>) -> Option<InodeId> {
    id.filter(|id| *id != 0).map(InodeId)
}

/// A block of ours.
///
/// # Errors
/// A block of another pool.
pub(super) fn block(pool: &str, proto: &ExtendedBlockProto) -> Result<Block, FsError> {
    if proto.pool_id == pool {
        Ok(block_of(proto))
    } else {
        let message = format!("Unexpected block pool {}: this namenode serves {pool}", proto.pool_id);
        Err(FsError::new(ErrorCode::Io, message))
    }
}

/// Datanodes that a client names; identities that are none of ours are passed over, as nothing can stand for them.
#[must_use]
pub(super) fn datanodes(protos: &[DatanodeInfoProto]) -> Vec<DatanodeId> {
    protos.iter().filter_map(|proto| proto.id.datanode_uuid.parse().ok().map(DatanodeId)).collect()
}

/// Volumes that a client names, likewise.
#[must_use]
pub(super) fn storages(ids: &[String]) -> Vec<StorageId> {
    ids.iter().filter_map(|id| id.parse().ok()).collect()
}

/// A file or folder.
#[must_use]
pub(super) fn file_status(pool: &str, status: FileStatus) -> HdfsFileStatusProto {
    let file_type = if status.is_dir { FileType::IsDir } else { FileType::IsFile };
    HdfsFileStatusProto {
        file_type: file_type as i32,
        path: status.name.into_bytes(),
        length: status.len,
        permission: FsPermissionProto { perm: u32::from(status.mode) },
        owner: status.owner,
        group: status.group,
        modification_time: status.mtime_ms,
        access_time: status.atime_ms,
        block_replication: Some(u32::from(status.replication)),
        blocksize: Some(status.block_size),
        locations: status.blocks.map(|blocks| file_blocks(pool, blocks)),
        file_id: Some(status.id.0),
        children_num: Some(i32::try_from(status.children).unwrap_or(i32::MAX)),
        storage_policy: Some(0),
        flags: Some(0),
        ..HdfsFileStatusProto::default()
    }
}

/// The blocks of a file.
#[must_use]
pub(super) fn file_blocks(pool: &str, blocks: FileBlocks) -> LocatedBlocksProto {
    LocatedBlocksProto {
        file_length: blocks.len,
        under_construction: blocks.open,
        last_block: blocks.last.map(|block| located_block(pool, &block)),
        is_last_block_complete: blocks.last_complete,
        blocks: blocks.blocks.iter().map(|block| located_block(pool, block)).collect(),
        file_encryption_info: None,
        ec_policy: None,
    }
}

/// A block and where it is. Storage ids and types are as many as places: clients index them without looking.
#[must_use]
pub(super) fn located_block(pool: &str, located: &LocatedBlock) -> LocatedBlockProto {
    let places = &located.places;
    LocatedBlockProto {
        b: extended_block(pool, located.block),
        offset: located.offset,
        locs: places.iter().map(place).collect(),
        corrupt: located.corrupt,
        block_token: empty_token(),
        storage_types: vec![StorageTypeProto::Disk as i32; places.len()],
        storage_ids: places.iter().map(|place| place.storage.to_string()).collect(),
        ..LocatedBlockProto::default()
    }
}

fn place(place: &Place) -> DatanodeInfoProto {
    DatanodeInfoProto {
        id: datanode_id(place.datanode, &place.addr),
        location: Some(place.rack.clone()),
        admin_state: Some(admin_state(place.admin) as i32),
        ..DatanodeInfoProto::default()
    }
}

fn admin_state(state: AdminState) -> Proto {
    match state {
        AdminState::InService => Proto::Normal,
        AdminState::Decommissioning => Proto::DecommissionInprogress,
        AdminState::Decommissioned => Proto::Decommissioned,
        AdminState::EnteringMaintenance => Proto::EnteringMaintenance,
        AdminState::InMaintenance => Proto::InMaintenance,
    }
}

/// A datanode with its figures.
#[must_use]
pub(super) fn datanode_info(node: &DatanodeStatus, now_monotonic_ms: u64) -> DatanodeInfoProto {
    let other = node.capacity.saturating_sub(node.used).saturating_sub(node.remaining);
    DatanodeInfoProto {
        id: datanode_id(node.id, &node.addr),
        capacity: Some(node.capacity),
        dfs_used: Some(node.used),
        remaining: Some(node.remaining),
        block_pool_used: Some(node.used),
        last_update: Some(node.last_contact_wall_ms),
        xceiver_count: Some(node.xceivers),
        location: Some(node.rack.clone()),
        non_dfs_used: Some(other),
        last_update_monotonic: Some(now_monotonic_ms.saturating_sub(node.last_contact_ms)),
        last_block_report_time: Some(node.last_report_wall_ms),
        admin_state: Some(admin_state(node.admin) as i32),
        num_blocks: Some(u32::try_from(node.blocks).unwrap_or(u32::MAX)),
        ..DatanodeInfoProto::default()
    }
}
