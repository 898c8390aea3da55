//! The driver's HTTP door for executors in other processes. Every request shows the application's secret.
//!
//! Large reports take room before they are read, and keep it until the driver's thread has taken them: only then it can say that
//! the results of an action are too much.

use crate::error::EngineError;
use crate::hub::{Fault, Hub, Input};
use crate::program::BlobId;
use crate::wire::{
    EXECUTOR_HEADER, Hello, NumberedReport, Orders, OrdersWanted, REPORT_MAX, SECRET_HEADER, Welcome, proof, routes,
};
use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use mammoth_protocol::jobs::ExecutorId;
use mammoth_web::body::read_limited;
use mammoth_web::{ServeLimits, serve};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Longest message that is no report.
const MESSAGE_MAX: usize = 64 * 1024;
/// Longest farewell.
const REASON_MAX: usize = 1024;
/// Reports up to this length take no room.
const REPORT_SMALL: usize = 64 * 1024;
/// Bytes of one unit of room.
const ROOM_UNIT: usize = 1024;
/// How long a report may take to arrive.
const REPORT_TIME: Duration = Duration::from_secs(280);
/// Longest wait for orders.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// An open door. It closes when this goes.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    pub(crate) shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    runtime: Option<tokio::runtime::Runtime>,
}

/// What all requests need.
pub(crate) struct Shared {
    hub: Arc<Hub>,
    pub(crate) secret: String,
    /// Room for large reports, in units; the longest one fits.
    room: Arc<Semaphore>,
    /// SHA-256 of the driver's image.
    pub(crate) image: String,
}

impl Door {
    /// Opens a door at a port of the system's choice.
    pub(crate) fn open(hub: Arc<Hub>, address: IpAddr, secret: String, image: String) -> Result<Self, EngineError> {
        let io = EngineError::io;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("rdd-door")
            .enable_all()
            .build()
            .map_err(io("start the threads of the driver's door"))?;
        let listener = std::net::TcpListener::bind((address, 0)).map_err(io("open the driver's door"))?;
        listener.set_nonblocking(true).map_err(io("open the driver's door"))?;
        let address = listener.local_addr().map_err(io("open the driver's door"))?;
        let entered = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener).map_err(io("open the driver's door"))?;
        drop(entered);
        let room = Arc::new(Semaphore::new(REPORT_MAX.div_ceil(ROOM_UNIT)));
        let shared = Arc::new(Shared { hub, secret, room, image });
        let (stop, stopped) = oneshot::channel();
        let limits = ServeLimits { connections: 8192, head: Duration::from_secs(60), ..ServeLimits::default() };
        let router = router(Arc::clone(&shared));
        runtime.spawn(async move {
            let stopped = async {
                let _dropped = stopped.await;
            };
            serve(listener, router, limits, stopped).await;
        });
        Ok(Self { address, shared, stop: Some(stop), runtime: Some(runtime) })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route(routes::HELLO, post(hello))
        .route(routes::ORDERS, post(orders))
        .route(routes::REPORT, post(report))
        .route(routes::HEARD, post(heard))
        .route(routes::BYE, post(bye))
        .route(routes::BLOB, get(blob))
        .with_state(shared)
}

/// A refusal: status and one line.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

impl From<crate::executor::link::Gone> for Refusal {
    fn from(gone: crate::executor::link::Gone) -> Self {
        Self(StatusCode::GONE, gone.0)
    }
}

fn bad(error: impl std::fmt::Display) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, error.to_string())
}

fn broken(error: impl std::fmt::Display) -> Refusal {
    Refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

/// Compares without telling by its time how much was right.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

impl Shared {
    /// Which executor it is, if it shows the secret.
    fn caller(&self, headers: &HeaderMap) -> Result<ExecutorId, Refusal> {
        let secret = headers.get(SECRET_HEADER).map(|value| value.as_bytes()).unwrap_or_default();
        if !same(secret, self.secret.as_bytes()) {
            return Err(Refusal(StatusCode::FORBIDDEN, "the secret is not the application's".to_owned()));
        }
        let number = headers.get(EXECUTOR_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
        number.map(ExecutorId).ok_or_else(|| bad("no executor is named"))
    }
}

impl Shared {
    /// Waits until there is room for a report of so many bytes.
    async fn room_for(&self, length: usize) -> Result<Option<OwnedSemaphorePermit>, Refusal> {
        if length <= REPORT_SMALL {
            return Ok(None);
        }
        let units = u32::try_from(length.div_ceil(ROOM_UNIT)).unwrap_or(u32::MAX);
        Arc::clone(&self.room).acquire_many_owned(units).await.map(Some).map_err(broken)
    }
}

async fn message<T: DeserializeOwned>(body: Body) -> Result<T, Refusal> {
    let bytes =
        read_limited(body, MESSAGE_MAX).await.map_err(|refusal| Refusal(refusal.status(), refusal.to_string()))?;
    postcard::from_bytes(&bytes).map_err(bad)
}

fn answer<T: Serialize>(message: &T) -> Result<Vec<u8>, Refusal> {
    postcard::to_allocvec(message).map_err(broken)
}

async fn hello(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Body) -> Result<Vec<u8>, Refusal> {
    let executor = shared.caller(&headers)?;
    let hello: Hello = message(body).await?;
    let mut welcome = Welcome { proof: proof(&shared.secret, &hello.nonce), refused: None };
    if hello.executor != executor {
        welcome.refused = Some("the message is of another executor".to_owned());
    } else if let Err(gone) = shared.hub.admit(executor) {
        welcome.refused = Some(gone.0);
    } else if hello.image != shared.image {
        let (theirs, ours) = (short(&hello.image), short(&shared.image));
        let reason =
            format!("executor {executor} on {} runs another build than the driver: {theirs}, not {ours}", hello.host);
        tracing::debug!("{reason}");
        let (hub, told) = (Arc::clone(&shared.hub), Input::Stranger { executor, reason: reason.clone() });
        tokio::task::spawn_blocking(move || hub.send(told)).await.map_err(broken)?;
        welcome.refused = Some(reason);
    }
    if welcome.refused.is_none() {
        let hub = Arc::clone(&shared.hub);
        let sent = tokio::task::spawn_blocking(move || hub.send(Input::Added(hello))).await.map_err(broken)?;
        if !sent {
            welcome.refused = Some("the driver has ended".to_owned());
        }
    }
    answer(&welcome)
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

async fn orders(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Body) -> Result<Vec<u8>, Refusal> {
    let executor = shared.caller(&headers)?;
    let wanted: OrdersWanted = message(body).await?;
    let wait = Duration::from_millis(wanted.wait_ms).min(WAIT_MAX);
    let until = tokio::time::sleep(wait);
    let mut until = std::pin::pin!(until);
    let mut waiting = Waiting { shared: &shared, executor, answered: false };
    loop {
        let mut woken = std::pin::pin!(shared.hub.notify.notified());
        woken.as_mut().enable();
        let orders = shared.hub.orders_now(executor, wanted.after);
        if !matches!(&orders, Ok(none) if none.is_empty()) {
            waiting.answered = true;
            return answer(&Orders { orders: orders? });
        }
        tokio::select! {
            () = woken => {}
            () = &mut until => {
                waiting.answered = true;
                return answer(&Orders::default());
            }
        }
    }
}

/// A request for orders that waits. If it goes without an answer, the executor's connection broke: most often because its
/// process did.
struct Waiting<'a> {
    shared: &'a Shared,
    executor: ExecutorId,
    answered: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.shared.hub.disconnected(self.executor);
        }
    }
}

async fn report(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Body) -> Result<(), Refusal> {
    let executor = shared.caller(&headers)?;
    let length = usize::try_from(body.size_hint().upper().unwrap_or(0)).unwrap_or(usize::MAX);
    if length > REPORT_MAX {
        let text = format!("a report of {length} bytes is longer than {REPORT_MAX}");
        return Err(Refusal(StatusCode::PAYLOAD_TOO_LARGE, text));
    }
    let read = async {
        let room = shared.room_for(length).await?;
        // Without a length no room was taken.
        let max = if length > 0 { length } else { REPORT_SMALL };
        axum::body::to_bytes(body, max).await.map(|bytes| (bytes, room)).map_err(bad)
    };
    let slow = |_| Refusal(StatusCode::REQUEST_TIMEOUT, "the report did not arrive in time".to_owned());
    let (bytes, room) = tokio::time::timeout(REPORT_TIME, read).await.map_err(slow)??;
    let taken = tokio::task::spawn_blocking(move || {
        let NumberedReport { number, report } = postcard::from_bytes(&bytes).map_err(bad)?;
        shared.hub.report(executor, number, report, room).map_err(Refusal::from)
    });
    taken.await.map_err(broken)?
}

async fn heard(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<(), Refusal> {
    let executor = shared.caller(&headers)?;
    shared.hub.knows(executor)?;
    let hub = Arc::clone(&shared.hub);
    tokio::task::spawn_blocking(move || hub.send(Input::Heard(executor))).await.map_err(broken)?;
    Ok(())
}

/// An executor ends with its tracker, and says so while it can.
async fn bye(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Body) -> Result<(), Refusal> {
    let executor = shared.caller(&headers)?;
    shared.hub.knows(executor)?;
    let bytes = read_limited(body, REASON_MAX).await.map_err(bad)?;
    let reason = String::from_utf8_lossy(&bytes).into_owned();
    let hub = Arc::clone(&shared.hub);
    let told = Input::Lost { executor, reason, fault: Fault::Tracker };
    tokio::task::spawn_blocking(move || hub.send(told)).await.map_err(broken)?;
    Ok(())
}

/// Bytes that several answers share.
struct SharedBytes(Arc<Vec<u8>>);

impl AsRef<[u8]> for SharedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

async fn blob(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<Bytes, Refusal> {
    let executor = shared.caller(&headers)?;
    shared.hub.knows(executor)?;
    let id = BlobId::parse(&name).ok_or_else(|| bad("no blob has such a name"))?;
    let bytes =
        shared.hub.blob(id).ok_or_else(|| Refusal(StatusCode::NOT_FOUND, format!("the driver has no blob {id}")))?;
    Ok(Bytes::from_owner(SharedBytes(bytes)))
}

#[cfg(test)]
mod tests;
