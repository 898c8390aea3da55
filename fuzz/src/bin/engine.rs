//! The engine: libFuzzer over one target, which the other program names in the environment. Started by that program only.

#![no_main]

use mammoth_fuzz::{Target, find};
use std::path::PathBuf;
use std::sync::LazyLock;

/// The target of this process.
static TARGET: LazyLock<&'static Target> = LazyLock::new(|| {
    let name = std::env::var("MAMMOTH_FUZZ_TARGET").unwrap_or_default();
    find(&name).unwrap_or_else(|| panic!("MAMMOTH_FUZZ_TARGET={name}: no such target"))
});

/// Puts the target's seeds where the engine looks for inputs, before it looks.
fn write_seeds() {
    let Some(folder) = std::env::var_os("MAMMOTH_FUZZ_SEEDS").map(PathBuf::from) else { return };
    for (nth, seed) in (TARGET.seeds)().into_iter().enumerate() {
        let path = folder.join(format!("seed-{nth}"));
        std::fs::write(&path, seed).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

libfuzzer_sys::fuzz_target!(init: write_seeds(), |bytes: &[u8]| TARGET.check(bytes));
