//! One namenode over Hadoop RPC: every call with an identity of its own that survives its retries.
//!
//! A call whose answer was lost is repeated under the same call id with a higher retry count, so that the namenode can tell
//! it from a second call. What is repeated, and for how long, is decided by the kind of error alone.

use super::retry::{Backoff, Cancel, Patience};
use crate::config::{ClientConfig, Components};
use crate::error::ClientError;
use mammoth_net::rpc::client::{Attempt, RpcClient, RpcClientConfig, RpcClientError};
use mammoth_platform::Clock;
use mammoth_protocol::hadoop::CLIENT_PROTOCOL;
use mammoth_protocol::rpc::RpcFailure;
use prost::Message;
use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often a call is repeated at an address that took connections but never answered.
const UNANSWERED_MAX: i32 = 3;

/// How long a call may be repeated after a broken connection.
#[derive(Clone, Copy, Debug)]
struct Budgets {
    first_connect: Duration,
    reconnect: Duration,
}

/// The namenode, as one client sees it.
pub(crate) struct Namenode {
    rpc: RpcClient,
    clock: Arc<dyn Clock>,
    address: String,
    budgets: Budgets,
    /// Some call got an answer: the address is right, whatever happens later is an outage.
    reached: AtomicBool,
}

/// What a call needs beside its message.
#[derive(Clone, Copy)]
pub(crate) struct CallOptions<'a> {
    pub(crate) patience: Patience,
    pub(crate) cancel: Option<&'a Cancel>,
}

impl CallOptions<'static> {
    /// A call that a user waits for.
    pub(crate) const USER: Self = Self { patience: Patience::User, cancel: None };
    /// A call for an open file, which nothing interrupts.
    pub(crate) const OPEN_FILE: Self = Self { patience: Patience::OpenFile, cancel: None };
}

impl<'a> CallOptions<'a> {
    /// A call for an open file that may be given up meanwhile.
    pub(crate) fn open_file(cancel: &'a Cancel) -> Self {
        Self { patience: Patience::OpenFile, cancel: Some(cancel) }
    }
}

impl Namenode {
    pub(crate) fn new(config: &ClientConfig, components: &Components, client_id: [u8; 16]) -> Self {
        Self::speaking(CLIENT_PROTOCOL, config, components, client_id)
    }

    /// The same under another protocol.
    pub(crate) fn speaking(
        protocol: &str,
        config: &ClientConfig,
        components: &Components,
        client_id: [u8; 16],
    ) -> Self {
        let address = config.namenode_address();
        let rpc = RpcClientConfig {
            connect_timeout: config.rpc_connect_timeout,
            call_timeout: config.rpc_timeout,
            ..RpcClientConfig::new(&address, protocol, &config.user, client_id)
        };
        let budgets = Budgets { first_connect: config.first_connect_budget, reconnect: config.reconnect_budget };
        Self {
            rpc: RpcClient::new(rpc, Arc::clone(&components.clock)),
            clock: Arc::clone(&components.clock),
            address,
            budgets,
            reached: AtomicBool::new(false),
        }
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What a message of the namenode that makes no sense becomes.
    pub(crate) fn bad_answer(&self, what: impl Into<String>) -> ClientError {
        ClientError::Protocol { address: self.address.clone(), what: what.into() }
    }

    /// Makes a call until it is answered, refused for good, or its budget is used up.
    pub(crate) fn call<Req: Message, Resp: Message + Default>(
        &self,
        method: &'static str,
        request: &Req,
        options: CallOptions<'_>,
    ) -> Result<Resp, ClientError> {
        let call_id = self.rpc.new_call_id();
        let mut backoff = Backoff::default();
        for retry_count in 0.. {
            let error = match self.rpc.call_with_id(Attempt { call_id, retry_count }, method, request) {
                Ok(reply) => {
                    self.reached.store(true, Ordering::Relaxed);
                    return Ok(reply);
                }
                Err(error) => error,
            };
            let budget = self.budget_for(&error, options.patience, retry_count);
            let Some(pause) = backoff.next(&*self.clock, budget) else {
                return Err(self.failed(error, method));
            };
            tracing::debug!(method, retry_count, %error, "namenode call failed, trying again");
            if options.cancel.is_some_and(|cancel| cancel.pause(pause)) {
                return Err(self.failed(error, method));
            }
            if options.cancel.is_none() {
                std::thread::sleep(pause);
            }
        }
        unreachable!("the budget ends")
    }

    fn budget_for(&self, error: &RpcClientError, patience: Patience, retry_count: i32) -> Duration {
        if let Some(code) = error.code() {
            self.reached.store(true, Ordering::Relaxed);
            return patience.budget_for(code, self.budgets.reconnect);
        }
        let reached = self.reached.load(Ordering::Relaxed);
        match error {
            RpcClientError::Garbled { .. } | RpcClientError::Remote { .. } => Duration::ZERO,
            // Something listens there and never answers: it is no namenode.
            RpcClientError::Lost { .. } if !reached && retry_count >= UNANSWERED_MAX => Duration::ZERO,
            RpcClientError::Lost { .. } | RpcClientError::Timeout { .. } => self.budgets.reconnect,
            _ if reached => self.budgets.reconnect,
            _ => self.budgets.first_connect,
        }
    }

    fn failed(&self, error: RpcClientError, method: &'static str) -> ClientError {
        let address = self.address.clone();
        match error {
            RpcClientError::Remote { failure, .. } => refusal(failure),
            RpcClientError::Resolve { source, .. } => {
                let cause = format!("unknown host ({})", system_text(&source));
                ClientError::Unreachable { address, method, kind: source.kind(), cause }
            }
            RpcClientError::Refused { source, .. } => {
                let cause = "Connection refused".to_owned();
                ClientError::Unreachable { address, method, kind: source.kind(), cause }
            }
            RpcClientError::Connect { source, .. } | RpcClientError::NotSent { source, .. } => {
                ClientError::Unreachable { address, method, kind: source.kind(), cause: system_text(&source) }
            }
            RpcClientError::Lost { reason, .. } => ClientError::Lost { address, method, cause: reason },
            RpcClientError::Timeout { after, .. } => {
                ClientError::Lost { address, method, cause: format!("no answer within {} ms", after.as_millis()) }
            }
            RpcClientError::Garbled { source, .. } => {
                let detail = source.source().map(|inner| format!(": {inner}")).unwrap_or_default();
                ClientError::Protocol { address, what: format!("{source}{detail} (method {method})") }
            }
        }
    }
}

fn refusal(failure: RpcFailure) -> ClientError {
    ClientError::Remote { code: failure.code(), class: failure.java_class, message: failure.message }
}

/// What the system says, without Rust's `(os error n)`.
fn system_text(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

impl std::fmt::Debug for Namenode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Namenode").field("address", &self.address).finish_non_exhaustive()
    }
}
