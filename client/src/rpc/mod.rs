//! Calls of the namenode, and of a datanode's RPC door: making them, repeating them, checking what they return.

pub(crate) mod convert;
pub(crate) mod namenode;
pub(crate) mod retry;

#[cfg(test)]
mod tests;
