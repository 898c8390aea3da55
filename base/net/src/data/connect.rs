//! Sockets of data-transfer connections.

use super::{DataError, DataReader, DataWriter};
use crate::same_machine::spare_congestion_control;
use mammoth_protocol::hadoop::hdfs::DatanodeIdProto;
use socket2::SockRef;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How to treat a socket.
#[derive(Clone, Debug)]
pub struct SocketOptions {
    /// Time to connect.
    pub connect_timeout: Duration,
    /// Time without any progress after which reading fails; zero waits for ever.
    pub read_timeout: Duration,
    /// Time without any progress after which writing fails; zero waits for ever.
    pub write_timeout: Duration,
    /// Size of the kernel's send buffer, bytes; by default the kernel adapts it.
    pub send_buffer: Option<usize>,
    /// Size of the kernel's receive buffer, bytes; by default the kernel adapts it.
    pub receive_buffer: Option<usize>,
}

/// By how much longer each further node of a pipeline may take, in parts of the timeout: five seconds of a minute, as in HDFS.
const EXTENSION_DIVISOR: u32 = 12;
/// The same at least. With short timeouts a twelfth would be less than a busy machine keeps a thread waiting.
const EXTENSION_MIN: Duration = Duration::from_secs(1);

/// How long to wait for an answer that comes through `nodes` datanodes, each of which waits for the next one up to `timeout`: the
/// longer the more there are, so that the node next to a stuck one is the first to notice.
#[must_use]
pub fn answer_timeout(timeout: Duration, nodes: usize) -> Duration {
    let nodes = u32::try_from(nodes).unwrap_or(u32::MAX);
    timeout.saturating_add((timeout / EXTENSION_DIVISOR).max(EXTENSION_MIN).saturating_mul(nodes))
}

impl Default for SocketOptions {
    /// A minute for everything, as Hadoop's clients have it.
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            connect_timeout: minute,
            read_timeout: minute,
            write_timeout: minute,
            send_buffer: None,
            receive_buffer: None,
        }
    }
}

impl SocketOptions {
    /// Applies the options to a connected socket, an accepted one for instance.
    ///
    /// # Errors
    /// A socket that is gone already.
    pub fn apply(&self, stream: &TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        spare_congestion_control(stream);
        stream.set_read_timeout(some(self.read_timeout))?;
        stream.set_write_timeout(some(self.write_timeout))?;
        let socket = SockRef::from(stream);
        self.send_buffer.map_or(Ok(()), |bytes| socket.set_send_buffer_size(bytes))?;
        self.receive_buffer.map_or(Ok(()), |bytes| socket.set_recv_buffer_size(bytes))?;
        socket.set_keepalive(true)
    }
}

fn some(timeout: Duration) -> Option<Duration> {
    (!timeout.is_zero()).then_some(timeout)
}

/// Connects to a datanode.
///
/// # Errors
/// [`DataError::Connect`].
pub fn connect(addr: SocketAddr, options: &SocketOptions) -> Result<TcpStream, DataError> {
    let open = || {
        let stream = match some(options.connect_timeout) {
            Some(timeout) => TcpStream::connect_timeout(&addr, timeout)?,
            None => TcpStream::connect(addr)?,
        };
        options.apply(&stream)?;
        Ok(stream)
    };
    open().map_err(|source| DataError::Connect { addr, source })
}

/// Where a datanode takes data, by the address that it advertises; by name if that is no address or `by_name` asks for it.
///
/// # Errors
/// [`DataError::Resolve`].
pub fn datanode_addrs(id: &DatanodeIdProto, by_name: bool) -> Result<Vec<SocketAddr>, DataError> {
    let host = if by_name { &id.host_name } else { &id.ip_addr };
    let unknown = || DataError::Resolve { host: host.clone(), port: id.xfer_port };
    let port = u16::try_from(id.xfer_port).map_err(|_| unknown())?;
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let addrs: Vec<_> = (host.as_str(), port).to_socket_addrs().map_err(|_| unknown())?.collect();
    if addrs.is_empty() { Err(unknown()) } else { Ok(addrs) }
}

/// Both halves of a connection; take them apart to read and write from different threads. The connection closes when both
/// are dropped; to end it earlier, shut down the socket of either.
#[derive(Debug)]
pub struct DataStream {
    /// The reading half.
    pub reader: DataReader<TcpStream>,
    /// The writing half.
    pub writer: DataWriter<TcpStream>,
}

impl DataStream {
    /// Connects to a datanode.
    ///
    /// # Errors
    /// [`DataError::Connect`].
    pub fn connect(addr: SocketAddr, options: &SocketOptions) -> Result<Self, DataError> {
        Self::new(connect(addr, options)?).map_err(|source| DataError::Connect { addr, source })
    }

    /// Wraps a connected socket.
    ///
    /// # Errors
    /// The system has no file descriptor left for the second half.
    pub fn new(stream: TcpStream) -> std::io::Result<Self> {
        let read = stream.try_clone()?;
        Ok(Self { reader: DataReader::new(read), writer: DataWriter::new(stream) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_gets_a_twelfth_more_and_a_second_at_least() {
        let seconds = |timeout, nodes| answer_timeout(Duration::from_secs(timeout), nodes).as_secs();
        assert_eq!([seconds(60, 0), seconds(60, 3), seconds(12, 2), seconds(3, 2)], [60, 75, 14, 5]);
        assert!(answer_timeout(Duration::MAX, usize::MAX) == Duration::MAX);
    }
}
