//! The doors: they translate, and hold no rule of scheduling.

pub mod clients;
pub mod internal;
pub mod pages;

/// For [`crate::fuzzing`].
pub(crate) fn fuzz_query(text: &str) {
    clients::fuzz_query(text);
}
