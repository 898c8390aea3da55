//! Calls to a namenode's internal door, from a thread that has nothing else to do.
//!
//! Each caller drives its own connections on its own thread. Every call has a deadline, so a namenode that is stopped or far
//! away costs time but wedges nobody, and the end of the daemon interrupts it.

use mammoth_platform::Shutdown;
use mammoth_protocol::ErrorCode;
use mammoth_protocol::internal::InternalRefusal;
use mammoth_protocol::limits::INTERNAL_JSON_MAX;
use mammoth_web::doors::stopped;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Time for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Time for a whole call. A report of the largest size takes a fraction of it.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// A call without a reply.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The namenode cannot be reached, or does not answer in time or in form.
    #[error("{0}")]
    Unreachable(String),
    /// It refused.
    #[error("{}", .0.message)]
    Refused(InternalRefusal),
    /// The daemon ends.
    #[error("the datanode is shutting down")]
    Stopping,
}

impl CallError {
    /// The namenode does not know this registration.
    pub(crate) fn is_unregistered(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == ErrorCode::UnregisteredNode)
    }
}

/// Calls one namenode.
pub(crate) struct NamenodeCaller {
    runtime: tokio::runtime::Runtime,
    http: reqwest::Client,
    addr: String,
    shutdown: Shutdown,
}

impl NamenodeCaller {
    /// A caller of the namenode whose internal door is at `addr`.
    ///
    /// # Errors
    /// The system has no resources for it.
    pub(crate) fn new(addr: &str, shutdown: &Shutdown) -> Result<Self, String> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .tcp_nodelay(true)
            .pool_max_idle_per_host(1)
            // The namenode closes connections after a longer pause than this.
            .pool_idle_timeout(Duration::from_secs(15))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { runtime, http, addr: addr.to_owned(), shutdown: shutdown.clone() })
    }

    /// Where the namenode is.
    pub(crate) fn addr(&self) -> &str {
        &self.addr
    }

    /// Asks for something.
    pub(crate) fn get<T: DeserializeOwned>(&self, route: &str) -> Result<T, CallError> {
        self.call(self.http.get(self.url(route)))
    }

    /// Sends a small message.
    pub(crate) fn post<T: DeserializeOwned>(&self, route: &str, message: &impl Serialize) -> Result<T, CallError> {
        self.call(self.http.post(self.url(route)).json(message))
    }

    /// Sends a report.
    pub(crate) fn post_binary<T: DeserializeOwned>(
        &self,
        route: &str,
        message: &impl Serialize,
    ) -> Result<T, CallError> {
        let body = postcard::to_stdvec(message).map_err(|error| CallError::Unreachable(error.to_string()))?;
        let request = self.http.post(self.url(route)).header("content-type", "application/octet-stream").body(body);
        self.call(request)
    }

    fn url(&self, route: &str) -> String {
        format!("http://{}{route}", self.addr)
    }

    fn call<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, CallError> {
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = stopped(&self.shutdown) => Err(CallError::Stopping),
                reply = reply(request) => reply,
            }
        })
    }
}

async fn reply<T: DeserializeOwned>(request: reqwest::RequestBuilder) -> Result<T, CallError> {
    let lost = |error: reqwest::Error| CallError::Unreachable(crate::error::chain(&error.without_url()));
    let mut response = request.send().await.map_err(lost)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(lost)? {
        if body.len() + part.len() > INTERNAL_JSON_MAX {
            return Err(CallError::Unreachable(format!("a reply of over {INTERNAL_JSON_MAX} bytes")));
        }
        body.extend_from_slice(&part);
    }
    if status.is_success() {
        return serde_json::from_slice(&body)
            .map_err(|error| CallError::Unreachable(format!("malformed reply: {error}")));
    }
    match serde_json::from_slice::<InternalRefusal>(&body) {
        Ok(refusal) => Err(CallError::Refused(refusal)),
        Err(_) => Err(CallError::Unreachable(format!("HTTP status {status}"))),
    }
}
