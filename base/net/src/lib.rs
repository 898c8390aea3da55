//! Hadoop RPC connections and data-transfer streams, both ways.
//!
//! - [`rpc::server`]: accepts Hadoop RPC connections (tokio) and hands calls to a handler.
//! - [`rpc::client`]: a blocking client without threads of its own.
//! - [`data`]: blocking data-transfer streams, for client and datanode alike.
//!
//! The bytes themselves are defined in `mammoth_protocol`; here are only sockets, timeouts, limits and buffers. Nothing in
//! this crate knows what a method or a block means, retries, or backs off.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub mod data;
pub mod rpc;
mod same_machine;
