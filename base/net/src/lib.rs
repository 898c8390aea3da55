//! Hadoop RPC connections and data-transfer streams, both ways.
