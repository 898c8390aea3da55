//! The doors: they translate, and hold no rule of the file system.

pub mod fsck;
pub mod internal;
pub mod pages;
pub mod rpc;
