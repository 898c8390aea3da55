//! How the doors reach the driver.

use super::effect::{Ask, Reported};
use mammoth_namenode_core::api::{Answer, Command, Query, Reply, Report};
use mammoth_protocol::internal::RegisterRequest;
use mammoth_protocol::{Caller, Epoch, FsError, Seq};
use mammoth_web::inbox::Lane;
use mammoth_web::mailbox::Mailbox;
use std::sync::Arc;

/// Asks the driver; clones ask the same one. A call is in the queue as soon as it is made, if there is a place. What it gives
/// waits for one otherwise, then for the answer, which leaves only when all that it depends on is durable.
#[derive(Clone)]
pub struct DriverHandle {
    pub(crate) mailbox: Mailbox<Ask>,
}

impl Default for DriverHandle {
    fn default() -> Self {
        Self { mailbox: Mailbox::new("namenode") }
    }
}

impl DriverHandle {
    /// The same for threads that announce what they asked before they sleep; see [`Mailbox::announced`].
    #[must_use]
    pub fn announced(&self) -> Self {
        Self { mailbox: self.mailbox.announced() }
    }

    /// Wants a change.
    ///
    /// # Errors
    /// The core's refusal; [`mammoth_protocol::ErrorCode::Retriable`] while the namenode ends.
    pub fn command(
        &self,
        caller: impl Into<Arc<Caller>>,
        command: Command,
    ) -> impl Future<Output = Result<Reply, FsError>> {
        let caller = caller.into();
        self.mailbox.ask(Lane::Client, |answer| Ask::Command { caller, command, answer })
    }

    /// Asks.
    ///
    /// # Errors
    /// As [`Self::command`].
    pub fn query(&self, caller: impl Into<Arc<Caller>>, query: Query) -> impl Future<Output = Result<Answer, FsError>> {
        let caller = caller.into();
        self.mailbox.ask(Lane::Client, |answer| Ask::Query { caller, query, answer })
    }

    /// Tells.
    ///
    /// # Errors
    /// As [`Self::command`].
    pub fn report(&self, report: Report) -> impl Future<Output = Result<Reported, FsError>> {
        let lane = match report {
            Report::Register { .. } | Report::Heartbeat(_) | Report::Incremental(_) | Report::Full(_) => Lane::Daemon,
            Report::Bad { .. }
            | Report::RenewLease { .. }
            | Report::SafeMode(_)
            | Report::Hosts(_)
            | Report::BalanceRate(_) => Lane::Client,
        };
        self.mailbox.ask(lane, |answer| Ask::Report { report, answer })
    }

    /// Has a checkpoint made of all that is decided now; answers when it is complete.
    ///
    /// # Errors
    /// As [`Self::command`]; too many wait already.
    pub fn save(&self) -> impl Future<Output = Result<Seq, FsError>> {
        self.mailbox.ask(Lane::Client, |answer| Ask::Save { answer })
    }

    /// Takes a datanode in and gives it an epoch. The cluster id was compared by the door.
    ///
    /// # Errors
    /// As [`Self::command`].
    pub fn register(&self, request: RegisterRequest) -> impl Future<Output = Result<Epoch, FsError>> {
        self.mailbox.ask(Lane::Daemon, |answer| Ask::Register { request, answer })
    }
}
