//! Tests of the block map.
