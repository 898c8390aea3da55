//! How a data-transfer stream can fail.

use mammoth_protocol::datatransfer::checksum::BadChecksum;
use mammoth_protocol::wire::WireError;
use std::io;
use std::net::SocketAddr;

/// A stream that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// No connection.
    #[error("cannot connect to datanode {addr}")]
    Connect {
        /// Where to.
        addr: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An address that is none.
    #[error("cannot resolve datanode address {host}:{port}")]
    Resolve {
        /// Name or address, as the datanode advertises it.
        host: String,
        /// Its port, as the message carries it.
        port: u32,
    },
    /// The peer closed the connection in the middle of something.
    #[error("connection closed by the peer")]
    Closed,
    /// Nothing could be read or written for the timeout of the socket.
    #[error("no progress within the timeout of the socket")]
    Timeout,
    /// The socket failed.
    #[error("data transfer socket failed")]
    Io(#[source] io::Error),
    /// A file that is sent failed, or is shorter than it should be.
    #[error("cannot read the file to send")]
    File(#[source] io::Error),
    /// The peer sent what the protocol does not allow.
    #[error("bad data transfer message")]
    Wire(#[from] WireError),
    /// Data and checksums do not fit.
    #[error("corrupt packet at offset {offset} of the block")]
    Checksum {
        /// Where the packet starts in the block, bytes.
        offset: u64,
        /// What does not fit.
        #[source]
        source: BadChecksum,
    },
}

impl From<io::Error> for DataError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // What Linux answers when the timeout of a blocking socket has passed.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Timeout,
            io::ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::Io(error),
        }
    }
}
