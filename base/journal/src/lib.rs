//! The edit log with its group commit, and the sled checkpoint.
