//! One balancer at a time: as in HDFS, whoever holds the lease on a file of the file system may balance. One that was killed
//! holds it until the namenode lets others take it over (the soft limit, a minute).

use crate::client::DfsClient;
use crate::error::ClientError;
use crate::types::CreateOptions;
use crate::writer::FileWriter;
use mammoth_platform::process;
use mammoth_protocol::{DfsPath, ErrorCode};
use std::io::Write as _;

/// The file, HDFS's.
const PATH: &str = "/system/balancer.id";

/// The right to balance, as long as it lives.
pub(super) struct Lock {
    client: DfsClient,
    path: DfsPath,
    writer: FileWriter,
}

impl Lock {
    /// Takes it; `None` if another balancer has it.
    pub(super) fn take(client: &DfsClient) -> Result<Option<Self>, ClientError> {
        match Self::try_take(client) {
            Err(error) if is_taken(&error) => Ok(None),
            other => other.map(Some),
        }
    }

    fn try_take(client: &DfsClient) -> Result<Self, ClientError> {
        let path = DfsPath::parse(PATH).map_err(|bad| ClientError::Invalid(bad.to_string()))?;
        if client.file_info(&path)?.is_some() {
            // Left behind by one that ended without tidying up, unless its writer lives.
            let held = client.append(&path)?;
            // While the lease is held nobody else who finds the file may delete it, and then ours in its place.
            client.delete(&path, false)?;
            drop(held);
        }
        let writer = client.create(&path, CreateOptions::default())?;
        let mut lock = Self { client: client.clone(), path, writer };
        let failed = |error: std::io::Error| ClientError::Local { what: "balancer.id", cause: error.to_string() };
        lock.writer.write_all(process::host_name().as_bytes()).map_err(failed)?;
        lock.writer.hflush()?;
        Ok(lock)
    }
}

/// Somebody else writes the file, or was quicker to create it.
fn is_taken(error: &ClientError) -> bool {
    matches!(
        error.code(),
        ErrorCode::AlreadyBeingCreated | ErrorCode::RecoveryInProgress | ErrorCode::FileAlreadyExists
    )
}

impl Drop for Lock {
    /// Deletes the file while the lease is still held: afterwards it might be another's.
    fn drop(&mut self) {
        if let Err(error) = self.client.delete(&self.path, false) {
            tracing::warn!(path = PATH, %error, "the balancer's lock is left behind");
        }
    }
}
