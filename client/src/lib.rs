//! The client library: files over Hadoop RPC and the data-transfer protocol.
