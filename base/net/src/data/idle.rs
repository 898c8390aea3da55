//! Connections on which an operation has ended well, kept for the next one: a new connection, and a thread for it at the other
//! end, cost about as much as a small block.

use super::DataStream;
use mammoth_platform::{Deadline, SystemClock};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many are kept, and for how long: the defaults of `dfs.client.socketcache.capacity` and
/// `dfs.client.socketcache.expiryMsec`. The time is shorter than the four seconds for which datanodes wait for a further operation.
const CAPACITY: usize = 16;
const EXPIRY: Duration = Duration::from_secs(3);

/// Connections to datanodes that wait for an operation. One that its peer has closed is not given out, as far as that can be
/// seen: whoever gets one must be ready to try again with a new one.
#[derive(Debug, Default)]
pub struct IdleStreams(Mutex<VecDeque<Idle>>);

#[derive(Debug)]
struct Idle {
    peer: SocketAddr,
    stream: DataStream,
    until: Deadline,
}

impl IdleStreams {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection to `peer` that was used last, if there is one. Its timeouts are those of its last operation.
    #[must_use]
    pub fn take(&self, peer: SocketAddr) -> Option<DataStream> {
        self.expire();
        loop {
            let mut idle = self.lock();
            let at = idle.iter().rposition(|idle| idle.peer == peer)?;
            let found = idle.remove(at)?;
            drop(idle);
            if is_quiet(&found.stream) {
                return Some(found.stream);
            }
        }
    }

    /// Keeps a connection whose operation has ended.
    pub fn put(&self, stream: DataStream) {
        self.expire();
        let Ok(peer) = stream.writer.stream().peer_addr() else { return };
        if !is_quiet(&stream) {
            return;
        }
        let until = Deadline::after(&SystemClock, EXPIRY);
        let mut idle = self.lock();
        idle.push_back(Idle { peer, stream, until });
        if idle.len() > CAPACITY {
            idle.pop_front();
        }
    }

    /// Closes those that have waited for too long.
    pub fn expire(&self) {
        let mut idle = self.lock();
        while idle.pop_front_if(|idle| idle.until.is_over(&SystemClock)).is_some() {}
    }

    /// Closes all.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Nothing has arrived that nobody asked for, nor the end.
fn is_quiet(stream: &DataStream) -> bool {
    let socket: &TcpStream = stream.reader.stream();
    let peeked = recv(socket, &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT);
    stream.reader.has_taken_all() && matches!(peeked, Err(Errno::WOULDBLOCK))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::SocketOptions;
    use std::io::Write;
    use std::net::TcpListener;

    fn pair(listener: &TcpListener) -> (DataStream, TcpStream) {
        let near = DataStream::connect(listener.local_addr().unwrap(), &SocketOptions::default()).unwrap();
        (near, listener.accept().unwrap().0)
    }

    fn port(stream: &DataStream) -> u16 {
        stream.writer.stream().local_addr().unwrap().port()
    }

    #[test]
    fn the_last_one_comes_first_and_only_to_its_own_peer() {
        let (one, other) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let ((a, _far_a), (b, _far_b), (c, _far_c)) = (pair(&one), pair(&one), pair(&other));
        let ports = [port(&a), port(&b), port(&c)];
        let idle = IdleStreams::default();
        [a, b, c].into_iter().for_each(|stream| idle.put(stream));
        let took = |listener: &TcpListener| idle.take(listener.local_addr().unwrap()).map(|stream| port(&stream));
        assert_eq!([took(&one), took(&one), took(&one)], [Some(ports[1]), Some(ports[0]), None]);
        assert_eq!([took(&other), took(&other)], [Some(ports[2]), None]);
    }

    #[test]
    fn what_was_closed_or_speaks_unasked_is_not_given_out() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let idle = IdleStreams::default();
        let (closed, far) = pair(&listener);
        let (talking, mut other_far) = pair(&listener);
        let twins = [&closed, &talking].map(|stream| stream.reader.stream().try_clone().unwrap());
        idle.put(closed);
        idle.put(talking);
        drop(far);
        other_far.write_all(b"!").unwrap();
        // Both have arrived once they can be looked at.
        assert_eq!(twins.map(|twin| twin.peek(&mut [0]).unwrap()), [0, 1]);
        assert!(idle.take(listener.local_addr().unwrap()).is_none());
        assert!(idle.is_empty());
    }

    #[test]
    fn no_more_wait_than_there_is_room_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let idle = IdleStreams::default();
        let far: Vec<TcpStream> = (0..CAPACITY + 3)
            .map(|_| {
                let (near, far) = pair(&listener);
                idle.put(near);
                far
            })
            .collect();
        assert_eq!((idle.len(), far.len()), (CAPACITY, CAPACITY + 3));
    }
}
