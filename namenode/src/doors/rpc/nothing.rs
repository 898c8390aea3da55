//! ClientProtocol: questions about what no file or cluster here has, for which "none" is the true answer, and requests for the
//! state that everything is in. Clients ask them on the way to something else, a copy that keeps attributes for instance.

use super::admin::{HOT, require_existing};
use super::call::{Call, Serving};
use super::convert;
use mammoth_namenode_core::api::{Answer, Query};
use mammoth_protocol::hadoop::hdfs::{
    AclStatusProto, FinalizeUpgradeRequestProto, FinalizeUpgradeResponseProto, FsPermissionProto,
    GetAclStatusRequestProto, GetAclStatusResponseProto, GetEzForPathRequestProto, GetEzForPathResponseProto,
    GetSlowDatanodeReportRequestProto, GetSlowDatanodeReportResponseProto, GetSnapshottableDirListingRequestProto,
    GetSnapshottableDirListingResponseProto, GetXAttrsRequestProto, GetXAttrsResponseProto, ListXAttrsRequestProto,
    ListXAttrsResponseProto, RollingUpgradeActionProto, RollingUpgradeRequestProto, RollingUpgradeResponseProto,
    SetStoragePolicyRequestProto, SetStoragePolicyResponseProto, UnsetStoragePolicyRequestProto,
    UnsetStoragePolicyResponseProto, UpgradeStatusRequestProto, UpgradeStatusResponseProto,
};
use mammoth_protocol::{ErrorCode, FsError};
use std::future::ready;

/// The sticky bit of a mode.
const STICKY: u16 = 0o1000;

/// Serves the method, if it is one of this family.
pub(super) fn serve<'a>(call: &'a Call<'_>) -> Option<Serving<'a>> {
    let served = match call.method {
        "getAclStatus" => call.serve(|q| get_acl_status(call, q)),
        "getXAttrs" => call.serve(|q| get_xattrs(call, q)),
        "listXAttrs" => call.serve(|q| list_xattrs(call, q)),
        "getEZForPath" => call.serve(|q| ready(get_zone(&q))),
        "setStoragePolicy" => call.serve(|q| set_storage_policy(call, q)),
        "unsetStoragePolicy" => call.serve(|q| unset_storage_policy(call, q)),
        "getSnapshottableDirListing" => {
            let none = GetSnapshottableDirListingResponseProto::default();
            call.serve(move |_: GetSnapshottableDirListingRequestProto| ready(Ok(none)))
        }
        "getSlowDatanodeReport" => {
            let none = GetSlowDatanodeReportResponseProto::default();
            call.serve(move |_: GetSlowDatanodeReportRequestProto| ready(Ok(none)))
        }
        "upgradeStatus" => {
            let done = UpgradeStatusResponseProto { upgrade_finalized: true };
            call.serve(move |_: UpgradeStatusRequestProto| ready(Ok(done)))
        }
        "finalizeUpgrade" => {
            let allowed = call.require_superuser().map(|()| FinalizeUpgradeResponseProto {});
            call.serve(move |_: FinalizeUpgradeRequestProto| ready(allowed))
        }
        "rollingUpgrade" => call.serve(|q| ready(rolling_upgrade(call, q))),
        _ => return None,
    };
    Some(served)
}

async fn get_acl_status(call: &Call<'_>, q: GetAclStatusRequestProto) -> Result<GetAclStatusResponseProto, FsError> {
    let path = convert::path(&q.src)?;
    let status = match call.ask(Query::FileInfo { path: path.clone() }).await? {
        Answer::FileInfo(Some(status)) => status,
        Answer::FileInfo(None) => {
            return Err(FsError::new(ErrorCode::FileNotFound, format!("File does not exist: {path}")));
        }
        other => return Err(call.odd(&other)),
    };
    let mode = status.mode;
    let result = AclStatusProto {
        owner: status.owner,
        group: status.group,
        sticky: mode & STICKY != 0,
        entries: Vec::new(),
        permission: Some(FsPermissionProto { perm: u32::from(mode) }),
    };
    Ok(GetAclStatusResponseProto { result })
}

async fn get_xattrs(call: &Call<'_>, q: GetXAttrsRequestProto) -> Result<GetXAttrsResponseProto, FsError> {
    require_existing(call, &q.src).await?;
    if q.x_attrs.is_empty() {
        return Ok(GetXAttrsResponseProto::default());
    }
    // As HDFS answers when an attribute is asked for by name.
    Err(FsError::new(ErrorCode::Io, "At least one of the attributes provided was not found."))
}

async fn list_xattrs(call: &Call<'_>, q: ListXAttrsRequestProto) -> Result<ListXAttrsResponseProto, FsError> {
    require_existing(call, &q.src).await?;
    Ok(ListXAttrsResponseProto::default())
}

fn get_zone(q: &GetEzForPathRequestProto) -> Result<GetEzForPathResponseProto, FsError> {
    // HDFS asks for no existing path either: a zone is looked up for what is about to be created, too.
    convert::path(&q.src)?;
    Ok(GetEzForPathResponseProto {})
}

async fn set_storage_policy(
    call: &Call<'_>,
    q: SetStoragePolicyRequestProto,
) -> Result<SetStoragePolicyResponseProto, FsError> {
    require_existing(call, &q.src).await?;
    if q.policy_name.eq_ignore_ascii_case(HOT.1) {
        return Ok(SetStoragePolicyResponseProto {});
    }
    let message = format!("setStoragePolicy: {}: Mammoth offers the storage policy HOT only", q.policy_name);
    Err(FsError::new(ErrorCode::Unsupported, message))
}

async fn unset_storage_policy(
    call: &Call<'_>,
    q: UnsetStoragePolicyRequestProto,
) -> Result<UnsetStoragePolicyResponseProto, FsError> {
    require_existing(call, &q.src).await?;
    Ok(UnsetStoragePolicyResponseProto {})
}

fn rolling_upgrade(call: &Call<'_>, q: RollingUpgradeRequestProto) -> Result<RollingUpgradeResponseProto, FsError> {
    call.require_superuser()?;
    if q.action() == RollingUpgradeActionProto::Query {
        return Ok(RollingUpgradeResponseProto::default());
    }
    Err(FsError::new(ErrorCode::Unsupported, "rollingUpgrade: Mammoth does not offer rolling upgrades"))
}
