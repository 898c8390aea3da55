//! Operations on pairs of key and value.
