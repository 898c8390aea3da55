//! How the doors reach the driver.

use super::effect::{Ask, Reported, Way, ending};
use mammoth_namenode_core::api::{Answer, Command, Query, Reply, Report};
use mammoth_protocol::internal::RegisterRequest;
use mammoth_protocol::{Caller, Epoch, FsError};
use mammoth_web::inbox::{Inbox, Lane};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Asks the driver; clones ask the same one. Every call waits for a place in the queue, then for its answer, which leaves only
/// when all that it depends on is durable.
#[derive(Clone)]
pub struct DriverHandle {
    pub(super) inbox: Arc<Inbox<Ask>>,
}

impl DriverHandle {
    /// Wants a change.
    ///
    /// # Errors
    /// The core's refusal; [`mammoth_protocol::ErrorCode::Retriable`] while the namenode ends.
    pub async fn command(&self, caller: Caller, command: Command) -> Result<Reply, FsError> {
        self.ask(Lane::Client, |answer| Ask::Command { caller, command, answer }).await
    }

    /// Asks.
    ///
    /// # Errors
    /// As [`Self::command`].
    pub async fn query(&self, caller: Caller, query: Query) -> Result<Answer, FsError> {
        self.ask(Lane::Client, |answer| Ask::Query { caller, query, answer }).await
    }

    /// Tells.
    ///
    /// # Errors
    /// As [`Self::command`].
    pub async fn report(&self, report: Report) -> Result<Reported, FsError> {
        let lane = match report {
            Report::Register { .. } | Report::Heartbeat(_) | Report::Incremental(_) | Report::Full(_) => Lane::Daemon,
            Report::Bad { .. } | Report::RenewLease { .. } | Report::SafeMode(_) => Lane::Client,
        };
        self.ask(lane, |answer| Ask::Report { report, answer }).await
    }

    /// Takes a datanode in and gives it an epoch. The cluster id was compared by the door.
    ///
    /// # Errors
    /// As [`Self::command`].
    pub async fn register(&self, request: RegisterRequest) -> Result<Epoch, FsError> {
        self.ask(Lane::Daemon, |answer| Ask::Register { request, answer }).await
    }

    async fn ask<T>(&self, lane: Lane, ask: impl FnOnce(Way<T>) -> Ask) -> Result<T, FsError> {
        let (answer, waiting) = oneshot::channel();
        self.inbox.put(lane, ask(answer)).await.map_err(|_| ending())?;
        // The driver is gone, and with it the way back.
        waiting.await.unwrap_or_else(|_| Err(ending()))
    }
}
