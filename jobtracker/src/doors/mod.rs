//! The doors: they translate, and hold no rule of scheduling.

pub mod clients;
pub mod internal;
pub mod pages;
