//! One call of the jobtracker: HTTP on a thread of the client's own, so that the caller's thread only waits.

use crate::error::ClientError;
use mammoth_platform::{Deadline, SystemClock};
use mammoth_protocol::ErrorCode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// Time for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for a call, beyond what it asks the jobtracker to wait.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a jobtracker that this client never reached is tried again.
const FIRST_BUDGET: Duration = Duration::from_secs(1);
/// How long one that was reached before is.
const AGAIN_BUDGET: Duration = Duration::from_secs(30);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest answer: the events of an application, or the tasks of a big job.
const ANSWER_MAX: usize = 256 << 20;
/// Port of a jobtracker whose address names none.
const DEFAULT_PORT: u16 = 50030;

/// See the module.
#[derive(Debug)]
pub(super) struct Caller {
    address: String,
    http: reqwest::Client,
    /// `None` only while it is dropped.
    runtime: Option<tokio::runtime::Runtime>,
    reached: AtomicBool,
}

/// Why one try at a call gave nothing.
enum Miss {
    /// Nobody there, or the connection broke: worth another try.
    Away(io::ErrorKind, String),
    /// An answer that settles it.
    Settled(ClientError),
}

impl Caller {
    pub(super) fn new(address: &str) -> Result<Self, ClientError> {
        let address = parse(address)?;
        let local = |cause: String| ClientError::Local { what: "HTTP client", cause };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("job-client")
            .enable_all()
            .build()
            .map_err(|error| local(error.to_string()))?;
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .pool_idle_timeout(Duration::from_secs(15))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| local(error.to_string()))?;
        Ok(Self { address, http, runtime: Some(runtime), reached: AtomicBool::new(false) })
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn get<T: DeserializeOwned>(&self, route: &str, waits: Duration) -> Result<T, ClientError> {
        let body = self.call(route, waits, |http, url| http.get(url))?;
        self.parse_json(&body)
    }

    pub(super) fn get_lines<T: DeserializeOwned>(&self, route: &str) -> Result<Vec<T>, ClientError> {
        let body = self.call(route, Duration::ZERO, |http, url| http.get(url))?;
        body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(|line| self.parse_json(line)).collect()
    }

    pub(super) fn post<T: DeserializeOwned>(&self, route: &str, message: &impl Serialize) -> Result<T, ClientError> {
        self.post_waiting(route, message, Duration::ZERO)
    }

    pub(super) fn post_waiting<T: DeserializeOwned>(
        &self,
        route: &str,
        message: &impl Serialize,
        waits: Duration,
    ) -> Result<T, ClientError> {
        let json = serde_json::to_vec(message).map_err(|error| ClientError::Invalid(error.to_string()))?;
        let body = self.call(route, waits, |http, url| {
            http.post(url).header("content-type", "application/json").body(json.clone())
        })?;
        self.parse_json(&body)
    }

    fn parse_json<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, ClientError> {
        serde_json::from_slice(body).map_err(|error| self.protocol(&error.to_string()))
    }

    fn protocol(&self, what: &str) -> ClientError {
        ClientError::Protocol { address: self.address.clone(), what: what.to_owned() }
    }

    /// Calls until there is an answer, or the time for it is over.
    fn call(
        &self,
        route: &str,
        waits: Duration,
        request: impl Fn(&reqwest::Client, String) -> reqwest::RequestBuilder,
    ) -> Result<Vec<u8>, ClientError> {
        let budget = if self.reached.load(Ordering::Relaxed) { AGAIN_BUDGET } else { FIRST_BUDGET };
        let deadline = Deadline::after(&SystemClock, budget);
        loop {
            let url = format!("http://{}{route}", self.address);
            let request = request(&self.http, url).timeout(waits.saturating_add(CALL_TIMEOUT));
            match self.once(request) {
                Ok(body) => {
                    self.reached.store(true, Ordering::Relaxed);
                    return Ok(body);
                }
                Err(Miss::Settled(error)) => {
                    self.reached.store(true, Ordering::Relaxed);
                    return Err(error);
                }
                Err(Miss::Away(kind, cause)) if deadline.is_over(&SystemClock) => {
                    return Err(self.unreachable(kind, &cause));
                }
                Err(Miss::Away(..)) => std::thread::sleep(PAUSE),
            }
        }
    }

    fn unreachable(&self, kind: io::ErrorKind, cause: &str) -> ClientError {
        ClientError::NoJobtracker { address: self.address.clone(), kind, cause: cause.to_owned() }
    }

    fn once(&self, request: reqwest::RequestBuilder) -> Result<Vec<u8>, Miss> {
        let gone = || Miss::Away(io::ErrorKind::Other, "the client's own thread ended".to_owned());
        let runtime = self.runtime.as_ref().ok_or_else(gone)?;
        let (answer, waiting) = mpsc::sync_channel(1);
        // Not `block_on`: that panics on a thread that belongs to a runtime of the user's.
        drop(runtime.spawn(async move {
            let _gone = answer.send(exchange(request).await);
        }));
        let (status, body) = waiting.recv().map_err(|_| gone())??;
        if status.is_success() {
            return Ok(body);
        }
        Err(self.refusal(status, &body))
    }

    fn refusal(&self, status: reqwest::StatusCode, body: &[u8]) -> Miss {
        let Some((class, message)) = remote_exception(body) else {
            return Miss::Settled(self.protocol(&format!("HTTP status {status}")));
        };
        let code = ErrorCode::of_java_class(&class);
        if code == ErrorCode::Retriable {
            return Miss::Away(io::ErrorKind::Other, message);
        }
        Miss::Settled(ClientError::Remote { code, class, message })
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting for it here could block, or panic in asynchronous code.
            runtime.shutdown_background();
        }
    }
}

async fn exchange(request: reqwest::RequestBuilder) -> Result<(reqwest::StatusCode, Vec<u8>), Miss> {
    let lost = |error: reqwest::Error| {
        let error = error.without_url();
        let kind = io_kind(&error);
        Miss::Away(kind, root_cause(&error))
    };
    let mut response = request.send().await.map_err(lost)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(lost)? {
        if body.len() + part.len() > ANSWER_MAX {
            return Err(Miss::Settled(ClientError::Invalid(format!("an answer of over {ANSWER_MAX} bytes"))));
        }
        body.extend_from_slice(&part);
    }
    Ok((status, body))
}

fn remote_exception(body: &[u8]) -> Option<(String, String)> {
    let json: serde_json::Value = serde_json::from_slice(body).ok()?;
    let remote = json.get("RemoteException")?;
    let text = |name: &str| remote.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    Some((text("javaClassName")?, text("message")?))
}

/// The innermost error says what happened; those around it that a request failed.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    let text = inner.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

fn io_kind(error: &(dyn std::error::Error + 'static)) -> io::ErrorKind {
    let mut inner = Some(error);
    while let Some(error) = inner {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return io.kind();
        }
        inner = error.source();
    }
    io::ErrorKind::Other
}

fn parse(address: &str) -> Result<String, ClientError> {
    let bad =
        |why: &str| ClientError::Invalid(format!("`{address}` names no jobtracker: {why}; write http://host:port"));
    let rest = match address.split_once("://") {
        Some(("http", rest)) => rest,
        Some((scheme, _)) => return Err(bad(&format!("the scheme is `{scheme}`, not `http`"))),
        None => address,
    };
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.is_empty() || authority.contains(char::is_whitespace) {
        return Err(bad("there is no host"));
    }
    let after_host = authority.rsplit_once(']').map_or(authority, |(_, after)| after);
    match after_host.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => Ok(authority.to_owned()),
        Some(_) => Err(bad("the port is no number")),
        None => Ok(format!("{authority}:{DEFAULT_PORT}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    #[test]
    fn addresses_are_normalised_or_refused() {
        assert_eq!(parse("http://a:1/x").unwrap(), "a:1");
        assert_eq!(parse("a").unwrap(), "a:50030");
        assert_eq!(parse("[::1]:7").unwrap(), "[::1]:7");
        assert_eq!(parse("[::1]").unwrap(), "[::1]:50030");
        for bad in ["hdfs://a:1", "", "http://", "a:b", "a b"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    /// Answers one request with `body`, then leaves.
    fn server_of(status: &'static str, body: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            let length = body.len();
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}").unwrap();
        });
        address
    }

    #[test]
    fn a_refusal_keeps_its_class_and_message() {
        let body = r#"{"RemoteException":{"exception":"FileNotFoundException","javaClassName":"java.io.FileNotFoundException","message":"no job"}}"#;
        let caller = Caller::new(&server_of("404 Not Found", body)).unwrap();
        let error = caller.get::<u32>("/x", Duration::ZERO).unwrap_err();
        assert_eq!(error.code(), ErrorCode::FileNotFound);
        assert_eq!(error.to_string(), "no job");
    }

    #[test]
    fn calls_work_inside_a_runtime_of_the_users() {
        let address = server_of("200 OK", "7");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let seven = runtime.block_on(async { Caller::new(&address).unwrap().get::<u32>("/x", Duration::ZERO) });
        assert_eq!(seven.unwrap(), 7);
    }

    #[test]
    fn nobody_there_is_said_in_one_line_with_the_way_out() {
        let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let error = Caller::new(&unused).unwrap().get::<u32>("/x", Duration::ZERO).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&unused) && text.contains("Connection refused") && text.contains("MAMMOTH_JOBTRACKER"));
    }
}
