//! The client library: files of a Mammoth or HDFS cluster over Hadoop RPC and the data-transfer protocol, and jobs by a
//! Mammoth jobtracker over HTTP ([`JobClient`]).
//!
//! [`DfsClient`] is one identity towards one namenode: cheap to clone, safe to share between threads. Every call blocks; the
//! few threads that are needed (a sender and a receiver for each open [`FileWriter`], one that renews leases) are the
//! library's own, so it works inside and outside any async runtime. It parses no arguments and draws no progress bars.
//!
//! ```no_run
//! use mammoth_client::{ClientConfig, CreateOptions, DfsClient};
//! use mammoth_protocol::DfsPath;
//! use std::io::{Read, Write};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = DfsClient::connect(ClientConfig::for_uri("hdfs://localhost:8020")?)?;
//! let path = DfsPath::parse("/greeting")?;
//! let mut writer = client.create(&path, CreateOptions::default())?;
//! writer.write_all(b"hello")?;
//! writer.close()?;
//! let mut text = String::new();
//! client.open(&path)?.read_to_string(&mut text)?;
//! # Ok(())
//! # }
//! ```

mod admin;
mod balancer;
mod checksum;
mod client;
mod config;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod jobs;
mod lease;
mod reader;
mod rpc;
#[cfg(test)]
mod testing;
mod text;
mod text_stream;
mod types;
mod writer;

pub use balancer::{Balancer, BalancerConfig, BalancerEnd, BalancerIteration};
pub use checksum::{ChecksumCombine, FileChecksum};
pub use client::{DfsClient, Listing};
pub use config::{ClientConfig, Components, ReplaceDatanode, ReplacePolicy};
pub use error::ClientError;
pub use jobs::JobClient;
pub use reader::FileReader;
pub use text_stream::TextStream;
pub use types::{
    AdminState, BlockLocations, ContentSummary, CreateOptions, DatanodeInfo, FileKind, FileStatus, FsStats,
    HedgedReads, ListingPage, LocatedBlock, OpenFile, RenameOptions, ReportKind, SafeModeAction, ServerDefaults,
};
pub use writer::FileWriter;
