//! The namenode's pure core: namespace, leases, blocks, placement, repair.
#![allow(missing_docs)]
pub mod api;
