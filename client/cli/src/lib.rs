//! The dfs shell on the client library.
