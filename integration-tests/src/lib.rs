//! Tests against an in-process cluster, real processes, real clients and a browser.

pub mod content;
pub mod memory;
