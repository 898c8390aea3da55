//! A TCP proxy that keeps every byte it carries, each direction by itself.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// What went over one connection.
pub(crate) struct Recording {
    /// From the client to the server.
    pub(crate) client: Vec<u8>,
    /// From the server to the client.
    pub(crate) server: Vec<u8>,
}

/// A proxy in front of one server.
pub(crate) struct Recorder {
    addr: SocketAddr,
    stop: Arc<AtomicBool>,
    accepting: JoinHandle<Vec<Connection>>,
}

struct Connection {
    client: TcpStream,
    up: JoinHandle<Vec<u8>>,
    down: JoinHandle<Vec<u8>>,
}

impl Recorder {
    /// Listens at `bind` and carries each connection to `server`.
    pub(crate) fn start(bind: SocketAddr, server: SocketAddr) -> Self {
        let listener = TcpListener::bind(bind).expect("a free port");
        let addr = listener.local_addr().expect("the address that was bound");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let accepting = std::thread::spawn(move || {
            let mut connections = Vec::new();
            loop {
                let (client, _) = listener.accept().expect("a connection");
                if stopped.load(Ordering::SeqCst) {
                    return connections;
                }
                connections.push(Connection::carry(client, server));
            }
        });
        Self { addr, stop, accepting }
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends all connections and gives what went over them, in the order in which they were opened. What the client sent
    /// before is still carried, and so is what the server answers to it.
    pub(crate) fn finish(self) -> Vec<Recording> {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.addr).expect("the proxy still listens"));
        let connections = self.accepting.join().expect("the proxy does not panic");
        connections.into_iter().map(Connection::finish).collect()
    }
}

impl Connection {
    fn carry(client: TcpStream, server: SocketAddr) -> Self {
        let server = TcpStream::connect(server).expect("the server accepts");
        for socket in [&client, &server] {
            socket.set_nodelay(true).expect("a TCP socket");
        }
        let again = |socket: &TcpStream| socket.try_clone().expect("a second handle");
        let (from_client, to_server) = (again(&client), again(&server));
        let to_client = again(&client);
        let up = std::thread::spawn(move || copy(from_client, to_server));
        let down = std::thread::spawn(move || copy(server, to_client));
        Self { client, up, down }
    }

    fn finish(self) -> Recording {
        // Linux hands out what has arrived before it tells the end. It fails if the client is gone, which is an end too.
        let _ = self.client.shutdown(Shutdown::Read);
        let client = self.up.join().expect("the copy does not panic");
        Recording { client, server: self.down.join().expect("the copy does not panic") }
    }
}

/// Copies until the source ends, and ends the target then. A connection that breaks has ended.
fn copy(mut source: TcpStream, mut target: TcpStream) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut buffer = [0; 16 * 1024];
    while let Ok(read) = source.read(&mut buffer) {
        if read == 0 || target.write_all(&buffer[..read]).is_err() {
            break;
        }
        kept.extend_from_slice(&buffer[..read]);
    }
    let _ = target.shutdown(Shutdown::Write);
    kept
}
