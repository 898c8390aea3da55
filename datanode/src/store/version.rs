//! `VERSION` files: which cluster, pool and datanode a volume belongs to. Java properties, as in HDFS.
//!
//! Every difference is refused with the file, the field, and both values.

use super::layout::PoolDirs;
use crate::error::{DatanodeError, Result};
use mammoth_platform::{IoContext, durable};
use mammoth_protocol::internal::ClusterIdentity;
use mammoth_protocol::{DatanodeId, StorageId};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Version of the layout within a volume: HDFS's number, which falls with every change.
pub(crate) const LAYOUT: i32 = -57;
/// A properties file larger than this is none of ours.
const FILE_MAX: u64 = 64 * 1024;

/// The contents of a volume's `VERSION`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VolumeVersion {
    pub(crate) storage: StorageId,
    pub(crate) cluster_id: String,
    pub(crate) datanode: DatanodeId,
}

type Properties = BTreeMap<String, String>;

fn read(path: &Path) -> Result<Option<Properties>> {
    let text = match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).io("read", path).map_err(Into::into),
        Ok(meta) if meta.len() > FILE_MAX => {
            return Err(DatanodeError::BadVolume {
                path: path.to_owned(),
                reason: "too long for a VERSION file".into(),
            });
        }
        Ok(_) => fs::read(path).io("read", path)?,
    };
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', '!']));
    let pairs = lines.filter_map(|line| line.split_once('='));
    // Java writes colons with a backslash in front.
    Ok(Some(pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().replace('\\', ""))).collect()))
}

fn write(path: &Path, pairs: &[(&str, String)]) -> Result<()> {
    let mut text = String::from("# Written by Mammoth; do not edit.\n");
    for (key, value) in pairs {
        text.push_str(key);
        text.push('=');
        text.push_str(value);
        text.push('\n');
    }
    Ok(durable::replace(path, text.as_bytes())?)
}

/// Demands that a field has a value.
fn expect(path: &Path, properties: &Properties, field: &'static str, expected: &str) -> Result<()> {
    let found = properties.get(field).map_or("missing", String::as_str);
    if found == expected { Ok(()) } else { Err(mismatch(path, field, found, expected)) }
}

fn mismatch(path: &Path, field: &'static str, found: &str, expected: &str) -> DatanodeError {
    DatanodeError::Mismatch { path: path.to_owned(), field, found: found.to_owned(), expected: expected.to_owned() }
}

fn check_layout(path: &Path, properties: &Properties) -> Result<()> {
    let found = properties.get("layoutVersion").map_or("missing", String::as_str);
    match found.parse::<i32>() {
        Ok(LAYOUT) => Ok(()),
        Ok(newer) if newer < LAYOUT => {
            Err(mismatch(path, "layoutVersion", &format!("{newer} (of a newer version)"), &LAYOUT.to_string()))
        }
        _ => Err(mismatch(path, "layoutVersion", found, &LAYOUT.to_string())),
    }
}

fn parsed<T: std::str::FromStr>(
    path: &Path,
    properties: &Properties,
    field: &'static str,
    expected: &str,
) -> Result<T> {
    let found = properties.get(field).map_or("missing", String::as_str);
    found.parse().map_err(|_| mismatch(path, field, found, expected))
}

/// Reads a volume's `VERSION`; `None` if the volume is not formatted.
pub(crate) fn read_volume(path: &Path) -> Result<Option<VolumeVersion>> {
    let Some(properties) = read(path)? else { return Ok(None) };
    expect(path, &properties, "storageType", "DATA_NODE")?;
    check_layout(path, &properties)?;
    Ok(Some(VolumeVersion {
        storage: parsed(path, &properties, "storageID", "DS-<uuid>")?,
        cluster_id: parsed(path, &properties, "clusterID", "CID-<uuid>")?,
        datanode: parsed::<mammoth_protocol::Uuid>(path, &properties, "datanodeUuid", "a UUID").map(DatanodeId)?,
    }))
}

/// Writes a volume's `VERSION`, durably.
pub(crate) fn write_volume(path: &Path, version: &VolumeVersion) -> Result<()> {
    let pairs = [
        ("storageID", version.storage.to_string()),
        ("clusterID", version.cluster_id.clone()),
        ("cTime", "0".to_owned()),
        ("datanodeUuid", version.datanode.to_string()),
        ("storageType", "DATA_NODE".to_owned()),
        ("layoutVersion", LAYOUT.to_string()),
    ];
    write(path, &pairs)
}

/// Checks a volume's `VERSION` against the cluster and datanode that it should belong to.
pub(crate) fn check_volume(path: &Path, found: &VolumeVersion, cluster_id: &str, datanode: DatanodeId) -> Result<()> {
    if found.cluster_id != cluster_id {
        return Err(mismatch(path, "clusterID", &found.cluster_id, cluster_id));
    }
    if found.datanode != datanode {
        return Err(mismatch(path, "datanodeUuid", &found.datanode.to_string(), &datanode.to_string()));
    }
    Ok(())
}

/// Writes a pool's `VERSION`, durably.
pub(crate) fn write_pool(dirs: &PoolDirs, identity: &ClusterIdentity) -> Result<()> {
    let pairs = [
        ("namespaceID", identity.namespace_id.to_string()),
        ("cTime", identity.created_ms.to_string()),
        ("blockpoolID", identity.pool_id.clone()),
        ("layoutVersion", LAYOUT.to_string()),
    ];
    write(&dirs.version(), &pairs)
}

/// Reads a pool's `VERSION`: the identity of the file system, less its cluster id.
pub(crate) fn read_pool(dirs: &PoolDirs, cluster_id: &str) -> Result<ClusterIdentity> {
    let path = dirs.version();
    let Some(properties) = read(&path)? else {
        return Err(DatanodeError::BadVolume { path, reason: "the VERSION file of the block pool is missing".into() });
    };
    check_layout(&path, &properties)?;
    Ok(ClusterIdentity {
        cluster_id: cluster_id.to_owned(),
        namespace_id: parsed(&path, &properties, "namespaceID", "a number")?,
        pool_id: parsed(&path, &properties, "blockpoolID", "BP-…")?,
        created_ms: parsed(&path, &properties, "cTime", "a number")?,
    })
}

/// Checks whether two identities are the same file system; `path` is where `found` was read.
pub(crate) fn check_identity(path: &Path, found: &ClusterIdentity, expected: &ClusterIdentity) -> Result<()> {
    if found.cluster_id != expected.cluster_id {
        return Err(mismatch(path, "clusterID", &found.cluster_id, &expected.cluster_id));
    }
    if found.namespace_id != expected.namespace_id {
        let (found, expected) = (found.namespace_id.to_string(), expected.namespace_id.to_string());
        return Err(mismatch(path, "namespaceID", &found, &expected));
    }
    if found.pool_id != expected.pool_id {
        return Err(mismatch(path, "blockpoolID", &found.pool_id, &expected.pool_id));
    }
    Ok(())
}
