//! Why a namenode does not start, or stopped.

use mammoth_platform::PlatformError;
use std::net::SocketAddr;

/// Why a namenode does not start. One line each, naming the address, folder or setting.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting that cannot be accepted, or a data folder that is in use or cannot be read.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// A host of a setting that has no address.
    #[error("{key}: cannot find an address of host {host}: {source}")]
    Host {
        /// The setting.
        key: &'static str,
        /// The host.
        host: String,
        /// Why.
        source: std::io::Error,
    },
    /// An address that others could reach.
    #[error(
        "{key}: {addr} can be reached from other machines; without a cluster secret a daemon listens on 127.0.0.1 or [::1] only"
    )]
    NotLoopback {
        /// The setting.
        key: &'static str,
        /// The address.
        addr: SocketAddr,
    },
    /// A setting that makes no sense here.
    #[error("{key}: {reason}")]
    Setting {
        /// The setting.
        key: &'static str,
        /// Why.
        reason: String,
    },
    /// A port that somebody else has.
    #[error("cannot listen on {addr} for {door} ({key}): {source}")]
    Bind {
        /// What the port is for.
        door: &'static str,
        /// The setting.
        key: &'static str,
        /// The address.
        addr: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The edit log or the checkpoint.
    #[error(transparent)]
    Journal(#[from] mammoth_journal::JournalError),
    /// No thread or runtime could be made.
    #[error("cannot start the namenode's threads: {0}")]
    Threads(std::io::Error),
}
