//! The way of an executor's process to its driver: HTTP.

use super::link::{BlobError, Gone, Link};
use crate::program::BlobId;
use crate::wire::{
    EXECUTOR_HEADER, Hello, NumberedReport, Order, Orders, OrdersWanted, REPORT_MAX, Report, SECRET_HEADER, Welcome,
    WireEnd, proof, routes,
};
use mammoth_platform::{Deadline, SystemClock};
use mammoth_protocol::jobs::ExecutorId;
use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

/// Time for a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// Time for an answer, beyond what the driver is asked to wait.
const ANSWER: Duration = Duration::from_secs(10);
/// Time for a report with a large result, or for a large blob.
const LARGE: Duration = Duration::from_secs(300);
/// How long a driver that cannot be reached is tried again before it counts as gone.
const LOST_AFTER: Duration = Duration::from_secs(3);
/// Time for a farewell.
const BYE_TIME: Duration = Duration::from_millis(500);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// See the module.
pub(crate) struct HttpLink {
    driver: String,
    secret: String,
    executor: ExecutorId,
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
    /// Longest report that the driver reads, bytes.
    pub(crate) report_max: usize,
    /// Who started this process wants it to end: why.
    stopped: Mutex<Option<String>>,
}

fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, Gone> {
    postcard::to_allocvec(message).map_err(|error| Gone(error.to_string()))
}

/// What became of one request.
enum Answer {
    Body(Vec<u8>),
    /// The driver does not have it.
    NotFound,
    /// Nobody answered: worth another try.
    Away(String),
    /// The driver wants nothing more of this executor.
    Refused(String),
}

impl HttpLink {
    pub(crate) fn new(driver: String, secret: String, executor: ExecutorId) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("driver-link")
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .pool_idle_timeout(Duration::from_secs(15))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| error.to_string())?;
        let (report_max, stopped) = (REPORT_MAX, Mutex::default());
        Ok(Self { driver, secret, executor, http, runtime, report_max, stopped })
    }

    /// Has every call from now on answer that the driver is gone.
    pub(crate) fn stop(&self, reason: &str) {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| reason.to_owned());
    }

    /// Why the driver counts as gone, once it does.
    pub(crate) fn gone(&self) -> Option<String> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says once that the executor ends with its tracker, and waits no longer than that takes.
    pub(crate) fn bye(&self, reason: &str) {
        let request = self.http.post(self.url(routes::BYE)).body(reason.to_owned());
        let request = request
            .header(SECRET_HEADER, &self.secret)
            .header(EXECUTOR_HEADER, self.executor.0.to_string())
            .timeout(BYE_TIME);
        // A driver that does not hear it sees that the connection breaks.
        let _heard = self.once(request);
    }

    /// Introduces the executor.
    pub(crate) fn hello(&self, hello: &Hello) -> Result<(), Gone> {
        let body = self.post(routes::HELLO, hello, ANSWER)?;
        let welcome: Welcome = postcard::from_bytes(&body).map_err(|error| Gone(error.to_string()))?;
        if let Some(reason) = welcome.refused {
            return Err(Gone(reason));
        }
        if welcome.proof != proof(&self.secret, &hello.nonce) {
            return Err(Gone(format!("who answers at {} does not know the application's secret", self.driver)));
        }
        Ok(())
    }

    fn post<T: Serialize>(&self, route: &str, message: &T, timeout: Duration) -> Result<Vec<u8>, Gone> {
        self.post_bytes(route, encode(message)?, timeout)
    }

    fn post_bytes(&self, route: &str, body: Vec<u8>, timeout: Duration) -> Result<Vec<u8>, Gone> {
        // Shared, so that another try copies nothing.
        let body = axum::body::Bytes::from(body);
        let request = || self.http.post(self.url(route)).body(body.clone());
        match self.call(request, timeout)? {
            Some(body) => Ok(body),
            None => Err(Gone(format!("the driver does not know {route}"))),
        }
    }

    fn url(&self, route: &str) -> String {
        format!("http://{}{route}", self.driver)
    }

    /// Asks until there is an answer, or the driver counts as gone. `None`: it does not have what was asked for.
    fn call(&self, request: impl Fn() -> reqwest::RequestBuilder, timeout: Duration) -> Result<Option<Vec<u8>>, Gone> {
        let mut deadline = None;
        loop {
            if let Some(reason) = self.stopped.lock().unwrap_or_else(PoisonError::into_inner).clone() {
                return Err(Gone(reason));
            }
            let request = request()
                .header(SECRET_HEADER, &self.secret)
                .header(EXECUTOR_HEADER, self.executor.0.to_string())
                .timeout(timeout);
            match self.once(request) {
                Answer::Body(body) => return Ok(Some(body)),
                Answer::NotFound => return Ok(None),
                Answer::Refused(reason) => {
                    self.stop(&reason);
                    return Err(Gone(reason));
                }
                Answer::Away(reason) => {
                    let deadline = deadline.get_or_insert_with(|| Deadline::after(&SystemClock, LOST_AFTER));
                    if deadline.is_over(&SystemClock) {
                        let reason = format!("the driver at {} is gone: {reason}", self.driver);
                        self.stop(&reason);
                        return Err(Gone(reason));
                    }
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    fn once(&self, request: reqwest::RequestBuilder) -> Answer {
        let (sender, answer) = mpsc::sync_channel(1);
        drop(self.runtime.spawn(async move {
            let _gone = sender.send(exchange(request).await);
        }));
        answer.recv().unwrap_or_else(|_| Answer::Away("the link's own thread ended".to_owned()))
    }
}

async fn exchange(request: reqwest::RequestBuilder) -> Answer {
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => return Answer::Away(cause(&error)),
    };
    let status = response.status();
    match response.bytes().await {
        Err(error) => Answer::Away(cause(&error)),
        Ok(body) if status.is_success() => Answer::Body(body.into()),
        Ok(_) if status == reqwest::StatusCode::NOT_FOUND => Answer::NotFound,
        Ok(body) if status.is_server_error() => Answer::Away(String::from_utf8_lossy(&body).into_owned()),
        Ok(body) => Answer::Refused(format!("the driver refuses: {}", String::from_utf8_lossy(&body))),
    }
}

/// The innermost error says what happened.
fn cause(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

impl Link for HttpLink {
    fn orders(&self, after: u64, wait_ms: u64) -> Result<Vec<(u64, Order)>, Gone> {
        let timeout = Duration::from_millis(wait_ms).saturating_add(ANSWER);
        let body = self.post(routes::ORDERS, &OrdersWanted { after, wait_ms }, timeout)?;
        let Orders { orders } = postcard::from_bytes(&body).map_err(|error| Gone(format!("orders: {error}")))?;
        Ok(orders)
    }

    /// A report that the driver would not read ends its task, and not the executor: the task's next one would end there, too.
    fn report(&self, number: u64, report: Report) -> Result<(), Gone> {
        let mut report = NumberedReport { number, report };
        let mut body = encode(&report)?;
        if body.len() > self.report_max
            && let Report::TaskEnded(task) = &mut report.report
        {
            let reason = format!("its report takes {} bytes, more than {}", body.len(), self.report_max);
            task.end = WireEnd::Failed { reason, fatal: true };
            (task.result, task.accumulators) = (Vec::new(), Vec::new());
            body = encode(&report)?;
        }
        self.post_bytes(routes::REPORT, body, LARGE)?;
        Ok(())
    }

    fn heard(&self) -> Result<(), Gone> {
        self.post(routes::HEARD, &(), ANSWER)?;
        Ok(())
    }

    fn blob(&self, id: BlobId) -> Result<Arc<Vec<u8>>, BlobError> {
        let url = self.url(&routes::BLOB.replace("{blob}", &id.to_string()));
        let found = self.call(|| self.http.get(&url), LARGE)?;
        found.map(Arc::new).ok_or(BlobError::Unknown(id))
    }
}
