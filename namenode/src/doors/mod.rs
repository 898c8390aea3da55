//! The doors: they translate, and hold no rule of the file system.

pub mod fsck;
pub mod internal;
pub mod pages;
pub mod rpc;

/// For [`crate::fuzzing`].
pub(crate) fn fuzz_query(text: &str) {
    fsck::fuzz_query(text);
    pages::fuzz_query(text);
}
