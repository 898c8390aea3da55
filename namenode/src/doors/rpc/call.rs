//! One call on its way: what every method needs to read its request, ask the driver, and write its answer.

use super::ClientDoor;
use crate::config::ServerDefaults;
use mammoth_namenode_core::api::{Answer, Command, Query, Reply, Report};
use mammoth_protocol::rpc::RpcFailure;
use mammoth_protocol::{Caller, ErrorCode, FsError};
use prost::Message;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;

/// The encoded answer of a method, or the failure that the client sees.
pub(super) type Served = Result<Vec<u8>, RpcFailure>;

/// A method at work. Each in a box of its own size: one future for all methods would have that of the largest, every time.
pub(super) type Serving<'a> = Pin<Box<dyn Future<Output = Served> + Send + 'a>>;

/// A call.
pub(super) struct Call<'a> {
    /// Name of the method.
    pub(super) method: &'a str,
    /// The encoded request.
    pub(super) payload: &'a [u8],
    /// Who calls.
    pub(super) caller: Arc<Caller>,
    /// The door it came in by.
    pub(super) door: &'a ClientDoor,
}

impl Call<'_> {
    /// Decodes the request, lets `method` answer it, encodes the answer.
    pub(super) fn serve<'s, Q, R, F>(&'s self, method: impl FnOnce(Q) -> F + Send + 's) -> Serving<'s>
    where
        Q: Message + Default,
        R: Message,
        F: Future<Output = Result<R, FsError>> + Send + 's,
    {
        Box::pin(async move {
            let request =
                Q::decode(self.payload).map_err(|error| RpcFailure::malformed_request(self.method, &error))?;
            Ok(method(request).await?.encode_to_vec())
        })
    }

    /// Wants a change.
    pub(super) fn order(&self, command: Command) -> impl Future<Output = Result<Reply, FsError>> {
        self.door.driver.command(Arc::clone(&self.caller), command)
    }

    /// Wants a change that is answered by yes or no; one without an answer says yes.
    pub(super) fn done(&self, command: Command) -> impl Future<Output = Result<bool, FsError>> {
        let ordered = self.order(command);
        async { Ok(!matches!(ordered.await?, Reply::Done(false))) }
    }

    /// Asks.
    pub(super) fn ask(&self, query: Query) -> impl Future<Output = Result<Answer, FsError>> {
        self.door.driver.query(Arc::clone(&self.caller), query)
    }

    /// Tells.
    pub(super) async fn tell(&self, report: Report) -> Result<(), FsError> {
        self.door.driver.report(report).await.map(drop)
    }

    /// The block pool, which names our blocks in messages.
    pub(super) fn pool(&self) -> &str {
        &self.door.pool
    }

    /// What clients are told to use.
    pub(super) fn defaults(&self) -> &ServerDefaults {
        &self.door.defaults
    }

    /// The monotonic clock, for ages in answers.
    pub(super) fn now_monotonic_ms(&self) -> u64 {
        self.door.clock.now().monotonic_ms
    }

    /// Refuses callers that may not administrate.
    pub(super) fn require_superuser(&self) -> Result<(), FsError> {
        let rules = &self.door.rules;
        let is_super = self.caller.user == rules.superuser || self.caller.groups.contains(&rules.supergroup);
        if is_super || !rules.permissions {
            return Ok(());
        }
        let message = format!("Access denied for user {}. Superuser privilege is required", self.caller.user);
        Err(FsError::new(ErrorCode::AccessControl, message))
    }

    /// The core answered with something that the method cannot use: a bug, told apart from the client's mistakes.
    pub(super) fn odd(&self, answer: &impl Debug) -> FsError {
        tracing::error!(method = self.method, ?answer, "answer of the wrong kind");
        FsError::new(ErrorCode::Io, format!("{}: the namenode gave itself an answer of the wrong kind", self.method))
    }
}
