//! Blocking data-transfer streams, for clients and datanodes alike.
//!
//! [`DataReader`] and [`DataWriter`] are the two halves of a connection. Each has one buffer that it reuses: a packet is
//! read into it and looked at in place, and written from where its parts lie. What arrives is checked against the limits of
//! the protocol before room is made for it.
//!
//! [`domain`] has the Unix sockets by which open files of replicas go to clients on the same machine.
//!
//! Timeouts are those of the socket. Checksums are verified where the caller asks for it; retrying is the caller's.

mod connect;
pub mod domain;
mod error;
mod idle;
mod reader;
mod writer;

pub use connect::{DataStream, SocketOptions, answer_timeout, connect, datanode_addrs};
pub use error::DataError;
pub use idle::IdleStreams;
pub use reader::{DataReader, Packet};
pub use writer::DataWriter;

#[cfg(test)]
mod tests;
