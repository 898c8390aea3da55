use super::*;
use axum::routing::get;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

struct Running {
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

async fn running(router: Router, limits: ServeLimits) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("any port");
    let addr = listener.local_addr().expect("bound");
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(serve(listener, router, limits, async {
        let _ = stopped.await;
    }));
    Running { addr, stop, task }
}

async fn get_text(addr: SocketAddr, host: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.expect("connects");
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut reply = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut reply)).await.expect("in time").expect("read");
    reply
}

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

#[tokio::test]
async fn silent_connections_keep_nobody_out_and_are_closed() {
    let limits = ServeLimits { connections: 8, head: PATIENCE * 6, ..ServeLimits::default() };
    let server = running(hello(), limits).await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(TcpStream::connect(server.addr).await.expect("connects"));
    }
    assert!(get_text(server.addr, "localhost").await.ends_with("hello"));
    // The oldest ones were closed for the later ones.
    let mut oldest = silent.remove(0);
    let end = timeout(PATIENCE, oldest.read(&mut [0; 1])).await.expect("closed in time");
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
}

#[tokio::test]
async fn a_head_that_never_ends_is_given_up() {
    let limits = ServeLimits { head: Duration::from_millis(100), ..ServeLimits::default() };
    let server = running(hello(), limits).await;
    for beginning in ["", "GET / HTTP/1.1\r\nHo"] {
        let mut stream = TcpStream::connect(server.addr).await.expect("connects");
        stream.write_all(beginning.as_bytes()).await.expect("sent");
        let mut rest = Vec::new();
        let end = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        assert!(end.is_ok(), "the connection stays open after {beginning:?}");
    }
}

#[tokio::test]
async fn a_busy_connection_is_not_closed_for_another() {
    let (release, released) = watch::channel(false);
    let (enter, mut entered) = watch::channel(false);
    let router = hello().route(
        "/slow",
        get(move || {
            let mut released = released.clone();
            enter.send_replace(true);
            async move {
                let _ = released.wait_for(|go| *go).await;
                "slow"
            }
        }),
    );
    let limits = ServeLimits { connections: 2, ..ServeLimits::default() };
    let server = running(router, limits).await;
    let mut slow = TcpStream::connect(server.addr).await.expect("connects");
    slow.write_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.expect("sent");
    timeout(PATIENCE, entered.wait_for(|yes| *yes)).await.expect("in time").expect("the handler lives");
    for _ in 0..10 {
        let _silent = TcpStream::connect(server.addr).await.expect("connects");
        assert!(get_text(server.addr, "localhost").await.ends_with("hello"));
    }
    release.send_replace(true);
    let mut reply = String::new();
    timeout(PATIENCE, slow.read_to_string(&mut reply)).await.expect("in time").expect("read");
    assert!(reply.ends_with("slow"), "{reply}");
}

#[tokio::test]
async fn stopping_closes_idle_connections_at_once() {
    let server = running(hello(), ServeLimits { drain: PATIENCE * 6, ..ServeLimits::default() }).await;
    let mut idle = TcpStream::connect(server.addr).await.expect("connects");
    idle.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("sent");
    let mut buffer = [0; 4096];
    assert!(idle.read(&mut buffer).await.expect("a reply") > 0);
    server.stop.send(()).expect("it runs");
    timeout(PATIENCE, server.task).await.expect("in time").expect("no panic");
    assert!(TcpStream::connect(server.addr).await.is_err());
}

#[tokio::test]
async fn foreign_names_are_refused_with_the_setting() {
    let router = crate::AllowedHosts::new("mammoth.test-hosts").guard(hello());
    let server = running(router, ServeLimits::default()).await;
    let reply = get_text(server.addr, "evil.example").await;
    assert!(reply.starts_with("HTTP/1.1 403") && reply.contains("mammoth.test-hosts"), "{reply}");
    assert!(get_text(server.addr, &server.addr.to_string()).await.ends_with("hello"));
}

#[tokio::test]
async fn only_a_lack_of_descriptors_costs_an_idle_connection_its_place() {
    let mut door = Door::new(hello(), ServeLimits::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("any port");
    let _client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connects");
    let (stream, peer) = listener.accept().await.expect("a connection");
    door.admit(stream, peer);
    for errno in [103, 4, 71, 105, 1] {
        door.accept_failed(&std::io::Error::from_raw_os_error(errno));
        assert_eq!(door.open.len(), 1, "{errno}");
    }
    // EMFILE.
    door.accept_failed(&std::io::Error::from_raw_os_error(24));
    assert_eq!(door.open.len(), 0);
}
