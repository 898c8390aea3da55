//! Calls to the jobtracker's internal door. Each has a deadline, so a jobtracker that is stopped or far away wedges nobody.

use crate::error::chain;
use axum::http::StatusCode;
use mammoth_protocol::internal::InternalRefusal;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Time for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Time for a whole call, beyond what it may wait for.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest reply: orders with all the outputs that one answer may tell of.
const REPLY_MAX: usize = 16 << 20;

/// A call without a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CallError {
    /// The jobtracker does not know this registration.
    Stale,
    /// It cannot be reached, refuses, or does not answer in time or in form.
    Unreachable(String),
}

pub(super) struct Caller {
    http: reqwest::Client,
    addr: String,
}

impl Caller {
    pub(super) fn new(addr: &str) -> Result<Self, String> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .pool_max_idle_per_host(2)
            // Doors close connections after a longer pause than this.
            .pool_idle_timeout(Duration::from_secs(15))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| chain(&error))?;
        Ok(Self { http, addr: addr.to_owned() })
    }

    /// Sends a message that may wait for its answer.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        route: &str,
        message: &impl Serialize,
        wait_ms: u64,
    ) -> Result<T, CallError> {
        let lost = |error: reqwest::Error| CallError::Unreachable(chain(&error.without_url()));
        let timeout = CALL_TIMEOUT.saturating_add(Duration::from_millis(wait_ms));
        let request = self.http.post(format!("http://{}{route}", self.addr)).timeout(timeout).json(message);
        let mut response = request.send().await.map_err(lost)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(lost)? {
            if body.len() + part.len() > REPLY_MAX {
                return Err(CallError::Unreachable(format!("a reply of over {REPLY_MAX} bytes")));
            }
            body.extend_from_slice(&part);
        }
        if status.is_success() {
            return serde_json::from_slice(&body)
                .map_err(|error| CallError::Unreachable(format!("malformed reply: {error}")));
        }
        if status == StatusCode::CONFLICT {
            return Err(CallError::Stale);
        }
        let refusal = serde_json::from_slice::<InternalRefusal>(&body);
        Err(CallError::Unreachable(refusal.map_or_else(|_| format!("HTTP status {status}"), |refusal| refusal.message)))
    }
}
