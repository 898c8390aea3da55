//! The engine: libFuzzer over one target, which the other program names in the environment. Started by that program only.

#![no_main]

use mammoth_fuzz::{Target, find};
use std::sync::LazyLock;

/// The target of this process.
static TARGET: LazyLock<&'static Target> = LazyLock::new(|| {
    let name = std::env::var("MAMMOTH_FUZZ_TARGET").unwrap_or_default();
    find(&name).unwrap_or_else(|| panic!("MAMMOTH_FUZZ_TARGET={name}: no such target"))
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| TARGET.check(bytes));
