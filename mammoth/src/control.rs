//! How `restart` and `down` reach the process of an embedded cluster: one line in, one line out, over a Unix socket in the
//! cluster folder.

use crate::layout::ClusterDir;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

/// What a control client asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Restart this daemon.
    Restart(String),
    /// Stop everything.
    Down,
}

/// A folder handle whose `/proc/self/fd` path is short: socket paths end at 108 bytes, cluster folders need not.
struct ShortPath {
    _folder: std::fs::File,
    path: PathBuf,
}

fn short(dir: &ClusterDir) -> std::io::Result<ShortPath> {
    let folder = std::fs::File::open(dir.root())?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/control.sock", folder.as_raw_fd()));
    Ok(ShortPath { _folder: folder, path })
}

/// Opens the control door of a cluster whose lock this process holds.
///
/// # Errors
/// A folder that takes no sockets.
pub fn listen(dir: &ClusterDir) -> std::io::Result<UnixListener> {
    let short = short(dir)?;
    match std::fs::remove_file(&short.path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    UnixListener::bind(&short.path)
}

/// Takes the next order; the caller answers with [`answer`].
///
/// # Errors
/// A client that went away, or says something unknown.
pub fn next_order(listener: &UnixListener) -> std::io::Result<(Order, UnixStream)> {
    let (stream, _) = listener.accept()?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut line = String::new();
    BufReader::new(std::io::Read::take(&stream, 256)).read_line(&mut line)?;
    let order = match line.trim().split_once(' ') {
        Some(("restart", name)) => Order::Restart(name.to_owned()),
        None if line.trim() == "down" => Order::Down,
        _ => {
            answer(stream, Err("unknown order".to_owned()));
            return Err(std::io::Error::other("unknown order on the control socket"));
        }
    };
    Ok((order, stream))
}

/// Answers an order.
pub fn answer(mut stream: UnixStream, result: Result<(), String>) {
    let line = match result {
        Ok(()) => "ok\n".to_owned(),
        Err(reason) => format!("error {}\n", reason.replace('\n', " ")),
    };
    // A client that no longer listens loses nothing but the answer.
    let _ = stream.write_all(line.as_bytes());
}

/// Sends an order and waits for its end.
///
/// # Errors
/// Nobody there, or the order failed: one line.
pub fn send(dir: &ClusterDir, order: &Order, limit: Duration) -> Result<(), String> {
    let exchange = || -> std::io::Result<String> {
        let mut stream = UnixStream::connect(short(dir)?.path)?;
        stream.set_read_timeout(Some(limit))?;
        let line = match order {
            Order::Restart(name) => format!("restart {name}\n"),
            Order::Down => "down\n".to_owned(),
        };
        stream.write_all(line.as_bytes())?;
        let mut reply = String::new();
        BufReader::new(stream).read_line(&mut reply)?;
        Ok(reply)
    };
    match exchange() {
        Ok(reply) if reply.trim() == "ok" => Ok(()),
        Ok(reply) => Err(reply.trim().trim_start_matches("error ").to_owned()),
        Err(e) => Err(format!("the cluster's process does not answer: {e}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_cross_the_socket_even_in_a_deep_folder() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let deep = temp.path().join("x".repeat(120));
        let dir = ClusterDir::create(&deep).expect("made");
        let listener = listen(&dir).expect("listens");
        let server = std::thread::spawn(move || {
            let (order, stream) = next_order(&listener).expect("an order");
            answer(stream, Err("no such\ndaemon".to_owned()));
            order
        });
        let order = Order::Restart("datanode-9".to_owned());
        let reply = send(&dir, &order, Duration::from_secs(5));
        assert_eq!(reply, Err("no such daemon".to_owned()));
        assert_eq!(server.join().expect("no panic"), order);
    }
}
