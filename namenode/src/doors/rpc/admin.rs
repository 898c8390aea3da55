//! ClientProtocol: defaults, figures, policies, safe mode, high availability.

use super::call::{Call, Serving};
use super::convert;
use mammoth_namenode_core::api::{
    AdminState, Answer, DatanodeKind, FsStats, Health, Query, Report, SafeMode, SafeModeAction,
};
use mammoth_protocol::hadoop::common::HaServiceStateProto;
use mammoth_protocol::hadoop::hdfs::{
    BlockStoragePolicyProto, ChecksumTypeProto, DatanodeReportTypeProto, FsServerDefaultsProto,
    GetDataEncryptionKeyRequestProto, GetDataEncryptionKeyResponseProto, GetDatanodeReportRequestProto,
    GetDatanodeReportResponseProto, GetErasureCodingPoliciesRequestProto, GetErasureCodingPoliciesResponseProto,
    GetErasureCodingPolicyRequestProto, GetErasureCodingPolicyResponseProto, GetFsEcBlockGroupStatsRequestProto,
    GetFsEcBlockGroupStatsResponseProto, GetFsReplicatedBlockStatsRequestProto, GetFsReplicatedBlockStatsResponseProto,
    GetFsStatsResponseProto, GetFsStatusRequestProto, GetServerDefaultsRequestProto, GetServerDefaultsResponseProto,
    GetStoragePoliciesRequestProto, GetStoragePoliciesResponseProto, GetStoragePolicyRequestProto,
    GetStoragePolicyResponseProto, HaServiceStateRequestProto, HaServiceStateResponseProto, ListOpenFilesRequestProto,
    ListOpenFilesResponseProto, MsyncRequestProto, MsyncResponseProto, OpenFilesBatchResponseProto, OpenFilesTypeProto,
    RefreshNodesRequestProto, RefreshNodesResponseProto, SafeModeActionProto, SaveNamespaceRequestProto,
    SaveNamespaceResponseProto, SetSafeModeRequestProto, SetSafeModeResponseProto, StorageTypeProto, StorageTypesProto,
};
use mammoth_protocol::limits::BYTES_PER_CHECKSUM;
use mammoth_protocol::{ErrorCode, FsError, InodeId};
use std::future::ready;

/// Entries of one page of open files (HDFS: `dfs.namenode.list.openfiles.num.responses`).
const OPEN_FILES_MAX: usize = 1000;
/// The one storage policy: all replicas on disks.
pub(super) const HOT: (u32, &str) = (7, "HOT");

/// Serves the method, if it is one of this family.
pub(super) fn serve<'a>(call: &'a Call<'_>) -> Option<Serving<'a>> {
    let served = match call.method {
        "getServerDefaults" => call.serve(|_: GetServerDefaultsRequestProto| ready(Ok(server_defaults(call)))),
        "getFsStats" => call.serve(|q| get_fs_stats(call, q)),
        "getFsReplicatedBlockStats" => call.serve(|q| get_block_stats(call, q)),
        "getFsECBlockGroupStats" => {
            let none = GetFsEcBlockGroupStatsResponseProto::default();
            call.serve(move |_: GetFsEcBlockGroupStatsRequestProto| ready(Ok(none)))
        }
        "getDatanodeReport" => call.serve(|q| get_datanode_report(call, q)),
        "listOpenFiles" => call.serve(|q| list_open_files(call, q)),
        "refreshNodes" => call.serve(|q| refresh_nodes(call, q)),
        "saveNamespace" => call.serve(|q| save_namespace(call, q)),
        "metaSave" => call.serve(|q| super::metasave::meta_save(call, q)),
        "setBalancerBandwidth" => call.serve(|q| super::balance::set_bandwidth(call, q)),
        "setSafeMode" => call.serve(|q| set_safe_mode(call, q)),
        "getStoragePolicy" => call.serve(|q| get_storage_policy(call, q)),
        "getStoragePolicies" => {
            let all = GetStoragePoliciesResponseProto { policies: vec![hot()] };
            call.serve(move |_: GetStoragePoliciesRequestProto| ready(Ok(all)))
        }
        "getDataEncryptionKey" => {
            let none = GetDataEncryptionKeyResponseProto { data_encryption_key: None };
            call.serve(move |_: GetDataEncryptionKeyRequestProto| ready(Ok(none)))
        }
        "getErasureCodingPolicies" => {
            let none = GetErasureCodingPoliciesResponseProto::default();
            call.serve(move |_: GetErasureCodingPoliciesRequestProto| ready(Ok(none)))
        }
        "getErasureCodingPolicy" => call.serve(|q| get_ec_policy(call, q)),
        "msync" => call.serve(|_: MsyncRequestProto| ready(Ok(MsyncResponseProto {}))),
        "getHAServiceState" => {
            let active = HaServiceStateResponseProto { state: HaServiceStateProto::Active as i32 };
            call.serve(move |_: HaServiceStateRequestProto| ready(Ok(active)))
        }
        _ => return None,
    };
    Some(served)
}

fn server_defaults(call: &Call<'_>) -> GetServerDefaultsResponseProto {
    let defaults = call.defaults();
    GetServerDefaultsResponseProto {
        server_defaults: FsServerDefaultsProto {
            block_size: defaults.block_size,
            bytes_per_checksum: u32::try_from(BYTES_PER_CHECKSUM).unwrap_or(512),
            write_packet_size: defaults.write_packet_size,
            replication: u32::from(defaults.replication),
            file_buffer_size: defaults.file_buffer_size,
            encrypt_data_transfer: Some(false),
            trash_interval: Some(defaults.trash_interval_min),
            checksum_type: Some(ChecksumTypeProto::ChecksumCrc32c as i32),
            // An empty text says "no key server"; an absent field sends clients looking for one.
            key_provider_uri: Some(String::new()),
            policy_id: Some(HOT.0),
            snapshot_trash_root_enabled: Some(false),
        },
    }
}

async fn stats(call: &Call<'_>) -> Result<FsStats, FsError> {
    match call.ask(Query::FsStats).await? {
        Answer::Stats(stats) => Ok(stats),
        other => Err(call.odd(&other)),
    }
}

async fn get_fs_stats(call: &Call<'_>, _: GetFsStatusRequestProto) -> Result<GetFsStatsResponseProto, FsError> {
    let stats = stats(call).await?;
    Ok(GetFsStatsResponseProto {
        capacity: stats.capacity,
        used: stats.used,
        remaining: stats.remaining,
        under_replicated: stats.under_replicated,
        corrupt_blocks: stats.corrupt_blocks,
        missing_blocks: stats.missing_blocks,
        missing_repl_one_blocks: Some(stats.missing_repl_one),
        blocks_in_future: Some(0),
        pending_deletion_blocks: Some(stats.pending_deletion),
    })
}

async fn get_block_stats(
    call: &Call<'_>,
    _: GetFsReplicatedBlockStatsRequestProto,
) -> Result<GetFsReplicatedBlockStatsResponseProto, FsError> {
    let stats = stats(call).await?;
    Ok(GetFsReplicatedBlockStatsResponseProto {
        low_redundancy: stats.under_replicated,
        corrupt_blocks: stats.corrupt_blocks,
        missing_blocks: stats.missing_blocks,
        missing_repl_one_blocks: stats.missing_repl_one,
        blocks_in_future: 0,
        pending_deletion_blocks: stats.pending_deletion,
        highest_prio_low_redundancy_blocks: None,
    })
}

async fn get_datanode_report(
    call: &Call<'_>,
    q: GetDatanodeReportRequestProto,
) -> Result<GetDatanodeReportResponseProto, FsError> {
    let kind = match q.r#type() {
        DatanodeReportTypeProto::All => DatanodeKind::All,
        DatanodeReportTypeProto::Live => DatanodeKind::Live,
        DatanodeReportTypeProto::Dead => DatanodeKind::Dead,
        DatanodeReportTypeProto::Decommissioning => DatanodeKind::Admin(AdminState::Decommissioning),
        DatanodeReportTypeProto::EnteringMaintenance => DatanodeKind::Admin(AdminState::EnteringMaintenance),
        DatanodeReportTypeProto::InMaintenance => DatanodeKind::Admin(AdminState::InMaintenance),
    };
    match call.ask(Query::Datanodes { kind }).await? {
        Answer::Datanodes(nodes) => {
            let now = call.now_monotonic_ms();
            Ok(GetDatanodeReportResponseProto {
                di: nodes.iter().map(|node| convert::datanode_info(node, now)).collect(),
            })
        }
        other => Err(call.odd(&other)),
    }
}

async fn health(call: &Call<'_>) -> Result<Health, FsError> {
    match call.ask(Query::Health).await? {
        Answer::Health(health) => Ok(*health),
        other => Err(call.odd(&other)),
    }
}

async fn set_safe_mode(call: &Call<'_>, q: SetSafeModeRequestProto) -> Result<SetSafeModeResponseProto, FsError> {
    let action = match q.action() {
        SafeModeActionProto::SafemodeGet => None,
        SafeModeActionProto::SafemodeEnter => Some(SafeModeAction::Enter),
        SafeModeActionProto::SafemodeLeave => Some(SafeModeAction::Leave),
        SafeModeActionProto::SafemodeForceExit => Some(SafeModeAction::ForceExit),
    };
    if let Some(action) = action {
        call.require_superuser()?;
        call.tell(Report::SafeMode(action)).await?;
    }
    Ok(SetSafeModeResponseProto { result: health(call).await?.safe_mode != SafeMode::Off })
}

async fn list_open_files(call: &Call<'_>, q: ListOpenFilesRequestProto) -> Result<ListOpenFilesResponseProto, FsError> {
    let below = convert::path(q.path.as_deref().filter(|path| !path.is_empty()).unwrap_or("/"))?;
    let blocking = q.types().any(|kind| kind == OpenFilesTypeProto::BlockingDecommission)
        && !q.types().any(|kind| kind == OpenFilesTypeProto::AllOpenFiles);
    let after = InodeId(u64::try_from(q.id).unwrap_or_default());
    match call.ask(Query::OpenFiles { after, below, blocking, max: OPEN_FILES_MAX }).await? {
        Answer::OpenFiles { files, more } => {
            let entries = files.into_iter().map(|file| OpenFilesBatchResponseProto {
                id: i64::try_from(file.id.0).unwrap_or(i64::MAX),
                path: file.path,
                client_name: file.client,
                client_machine: file.addr.map(|addr| addr.to_string()).unwrap_or_default(),
            });
            Ok(ListOpenFilesResponseProto { entries: entries.collect(), has_more: more, types: q.types.clone() })
        }
        other => Err(call.odd(&other)),
    }
}

/// Reads the operator's files again. Racks are found out anew when datanodes register.
async fn refresh_nodes(call: &Call<'_>, _: RefreshNodesRequestProto) -> Result<RefreshNodesResponseProto, FsError> {
    call.require_superuser()?;
    let files = call.door.hosts.clone();
    let read = tokio::task::spawn_blocking(move || files.read()).await;
    let rules = read.unwrap_or_else(|_| Err("the files were not read".to_owned()));
    let rules = rules.map_err(|reason| FsError::new(ErrorCode::Io, reason))?;
    call.door.topology.forget();
    call.tell(Report::Hosts(rules)).await?;
    Ok(RefreshNodesResponseProto {})
}

/// Makes a checkpoint, however recent the last one is.
async fn save_namespace(call: &Call<'_>, _: SaveNamespaceRequestProto) -> Result<SaveNamespaceResponseProto, FsError> {
    call.require_superuser()?;
    if health(call).await?.safe_mode == SafeMode::Off {
        let message = "Safe mode should be turned ON in order to create namespace image.";
        return Err(FsError::new(ErrorCode::Io, message));
    }
    call.door.driver.save().await?;
    Ok(SaveNamespaceResponseProto { saved: Some(true) })
}

/// Refuses a path that does not exist.
pub(super) async fn require_existing(call: &Call<'_>, text: &str) -> Result<(), FsError> {
    let path = convert::path(text)?;
    match call.ask(Query::FileInfo { path: path.clone() }).await? {
        Answer::FileInfo(Some(_)) => Ok(()),
        Answer::FileInfo(None) => Err(FsError::new(ErrorCode::FileNotFound, format!("File does not exist: {path}"))),
        other => Err(call.odd(&other)),
    }
}

fn hot() -> BlockStoragePolicyProto {
    let types = |list: &[StorageTypeProto]| StorageTypesProto {
        storage_types: list.iter().map(|storage_type| *storage_type as i32).collect(),
    };
    BlockStoragePolicyProto {
        policy_id: HOT.0,
        name: HOT.1.to_owned(),
        creation_policy: types(&[StorageTypeProto::Disk]),
        creation_fallback_policy: Some(types(&[])),
        replication_fallback_policy: Some(types(&[StorageTypeProto::Archive])),
    }
}

async fn get_storage_policy(
    call: &Call<'_>,
    q: GetStoragePolicyRequestProto,
) -> Result<GetStoragePolicyResponseProto, FsError> {
    require_existing(call, &q.path).await?;
    Ok(GetStoragePolicyResponseProto { storage_policy: hot() })
}

async fn get_ec_policy(
    call: &Call<'_>,
    q: GetErasureCodingPolicyRequestProto,
) -> Result<GetErasureCodingPolicyResponseProto, FsError> {
    require_existing(call, &q.src).await?;
    Ok(GetErasureCodingPolicyResponseProto { ec_policy: None })
}
