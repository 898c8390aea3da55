//! Hadoop RPC over TCP: the serving side and the calling side.

pub mod client;
pub mod server;

#[cfg(test)]
mod tests;
