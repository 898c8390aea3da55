//! Every parser of bytes that come from a network or a disk, as a function of bytes that must not panic, not use more memory
//! than its input earns, and give back what was encoded.
//!
//! [`TARGETS`] lists them, one file per family in [`targets`]. The ordinary tests run each over its corpus and a few thousand
//! mutations of it ([`mutate`]); the program of this package runs one for as long as wanted, guided by coverage. Nothing here
//! is part of any daemon.

#[allow(unsafe_code, reason = "an allocator cannot be written without")]
pub mod counting;
pub mod feed;
pub mod mutate;
pub mod targets;

pub use targets::TARGETS;

/// Memory that any run may take whatever its input, bytes: buffers of a fixed size, and the state that inputs are put into.
const MEMORY_BASE: usize = 4 << 20;

/// One parser, or what belongs together.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name on the command line, and of its folder of inputs.
    pub name: &'static str,
    /// Feeds it some bytes and checks what comes out. Panics if anything is wrong.
    pub run: fn(&[u8]),
    /// Valid inputs, made by the encoders.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Bytes of memory that each byte of input may take.
    pub memory_per_byte: usize,
}

impl Target {
    /// Runs it once.
    ///
    /// # Panics
    /// If the target does, or if it took more memory than its input earns.
    pub fn check(&self, bytes: &[u8]) {
        let (peak, ()) = counting::peak(|| (self.run)(bytes));
        let max = MEMORY_BASE + self.memory_per_byte * bytes.len();
        assert!(
            peak <= max,
            "{}: {peak} bytes of memory for {} bytes of input, {max} are allowed",
            self.name,
            bytes.len()
        );
    }
}

/// The target of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
