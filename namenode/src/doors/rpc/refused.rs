//! Methods of ClientProtocol that exist but are not offered: a clear word is kinder than "no such method", which clients take
//! for an old server.

use mammoth_protocol::{ErrorCode, FsError};

/// What each group of methods is about.
const ABSENT: [(&str, &[&str]); 11] = [
    ("quotas", &["setQuota"]),
    ("access control lists", &["setAcl", "modifyAclEntries", "removeAclEntries", "removeDefaultAcl", "removeAcl"]),
    ("extended attributes", &["setXAttr", "removeXAttr"]),
    (
        "snapshots",
        &[
            "createSnapshot",
            "renameSnapshot",
            "deleteSnapshot",
            "allowSnapshot",
            "disallowSnapshot",
            "getSnapshotListing",
            "getSnapshotDiffReport",
            "getSnapshotDiffReportListing",
        ],
    ),
    ("moves between storage types", &["satisfyStoragePolicy"]),
    (
        "erasure coding",
        &[
            "setErasureCodingPolicy",
            "unsetErasureCodingPolicy",
            "addErasureCodingPolicies",
            "removeErasureCodingPolicy",
            "enableErasureCodingPolicy",
            "disableErasureCodingPolicy",
            "getErasureCodingCodecs",
            "getECTopologyResultForPolicies",
        ],
    ),
    ("symbolic links", &["createSymlink", "getLinkTarget"]),
    ("delegation tokens", &["getDelegationToken", "renewDelegationToken", "cancelDelegationToken"]),
    (
        "encryption zones",
        &["createEncryptionZone", "listEncryptionZones", "reencryptEncryptionZone", "listReencryptionStatus"],
    ),
    (
        "centralised caching",
        &[
            "addCacheDirective",
            "modifyCacheDirective",
            "removeCacheDirective",
            "listCacheDirectives",
            "addCachePool",
            "modifyCachePool",
            "removeCachePool",
            "listCachePools",
        ],
    ),
    (
        "this administration call",
        &[
            "rollEdits",
            "restoreFailedStorage",
            "getDatanodeStorageReport",
            "getEditsFromTxid",
            "getCurrentEditLogTxid",
            "getBatchedListing",
            "getEnclosingRoot",
        ],
    ),
];

/// The refusal of a known method that is not offered; `None` for an unknown one.
#[must_use]
pub(super) fn refusal(method: &str) -> Option<FsError> {
    let (what, _) = ABSENT.iter().find(|(_, methods)| methods.contains(&method))?;
    Some(FsError::new(ErrorCode::Unsupported, format!("{method}: Mammoth does not offer {what}")))
}
