//! Settings of a jobtracker as plain values, read once from Hadoop's keys.

use crate::error::StartError;
use mammoth_client::ClientConfig;
use mammoth_platform::{Settings, keys, process};
use mammoth_web::bind;
use std::net::SocketAddr;
use std::path::PathBuf;

/// All that a jobtracker needs to know before it starts.
#[derive(Clone, Debug)]
pub struct JobtrackerConfig {
    /// Folder of the edit log, the checkpoint and the histories.
    pub dir: PathBuf,
    /// Pages and JSON for clients and drivers; port 0 takes any.
    pub http: SocketAddr,
    /// Where tasktrackers call.
    pub internal: SocketAddr,
    /// Names under which the HTTP doors may be called, besides loopback ones.
    pub host_names: Vec<String>,
    /// The file system that jobs are staged in.
    pub files: ClientConfig,
    /// Silence after which a tasktracker is given up, milliseconds.
    pub expiry_ms: u64,
    /// Silence after which a driver is gone, milliseconds.
    pub app_lease_ms: u64,
    /// Growth of the edit log that starts a checkpoint, bytes.
    pub checkpoint_bytes: u64,
    /// Time after which a checkpoint starts if anything is new, milliseconds.
    pub checkpoint_interval_ms: u64,
}

impl JobtrackerConfig {
    /// Reads the settings.
    ///
    /// # Errors
    /// A value that cannot be accepted; a host without address; an address that other machines can reach; a default file
    /// system that is not HDFS.
    pub fn from_settings(settings: &Settings) -> Result<Self, StartError> {
        let http = bind::door_address(settings, keys::MAPREDUCE_JOBTRACKER_HTTP_ADDRESS)?;
        let internal = settings.addr(keys::MAMMOTH_JOBTRACKER_INTERNAL_ADDRESS)?;
        let host_names = bind::host_names(settings, &[&process::host_name(), &http.host])?;
        let fs = |error: mammoth_client::ClientError| StartError::Setting {
            key: keys::FS_DEFAULT_FS.name(),
            reason: error.to_string(),
        };
        Ok(Self {
            dir: dir(settings)?,
            http: bind::resolve(keys::MAPREDUCE_JOBTRACKER_HTTP_ADDRESS.name(), &http)?,
            internal: bind::resolve(keys::MAMMOTH_JOBTRACKER_INTERNAL_ADDRESS.name(), &internal)?,
            host_names,
            files: ClientConfig::from_settings(settings).map_err(fs)?,
            expiry_ms: settings.millis(keys::MAPREDUCE_JOBTRACKER_EXPIRE_TRACKERS_INTERVAL)?,
            app_lease_ms: settings.millis(keys::MAMMOTH_APP_LEASE)?,
            checkpoint_bytes: settings.bytes(keys::MAMMOTH_JOURNAL_CHECKPOINT_BYTES)?,
            checkpoint_interval_ms: settings.millis(keys::MAMMOTH_JOURNAL_CHECKPOINT_INTERVAL)?,
        })
    }
}

/// The one folder of the jobtracker.
fn dir(settings: &Settings) -> Result<PathBuf, StartError> {
    let key = keys::MAMMOTH_JOBTRACKER_DIR;
    let mut dirs = settings.dirs(key)?;
    match (dirs.pop(), dirs.is_empty()) {
        (Some(dir), true) => Ok(dir.path),
        _ => Err(StartError::Setting { key: key.name(), reason: "name exactly one folder".to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[&str]) -> Result<JobtrackerConfig, StartError> {
        let pairs: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
        JobtrackerConfig::from_settings(&Settings::load(None, &pairs).expect("no files"))
    }

    #[test]
    fn defaults_listen_on_loopback_only() {
        let config = config(&["fs.defaultFS=hdfs://127.0.0.1"]).expect("the defaults are good");
        assert_eq!(config.http.to_string(), "127.0.0.1:50030");
        assert_eq!(config.internal.to_string(), "127.0.0.1:8021");
        assert_eq!((config.expiry_ms, config.app_lease_ms), (30_000, 5_000));
    }

    #[test]
    fn what_cannot_be_served_is_refused_by_name() {
        for (pair, part) in [
            ("mapreduce.jobtracker.http.address=0.0.0.0:1", "mapreduce.jobtracker.http.address"),
            ("mammoth.jobtracker.dir=/a,/b", "mammoth.jobtracker.dir"),
            ("fs.defaultFS=file:///", "fs.defaultFS"),
        ] {
            let error = config(&["fs.defaultFS=hdfs://127.0.0.1", pair]).expect_err(pair).to_string();
            assert!(error.contains(part) && !error.contains('\n'), "{pair}: {error}");
        }
    }
}
