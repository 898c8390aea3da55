//! Randomness: the one place that asks the system for it. A seeded twin makes tests repeatable.

use mammoth_protocol::Uuid;
use rustix::rand::{GetRandomFlags, getrandom};
use std::sync::{Arc, Mutex, PoisonError};

/// A source of random bits.
pub trait Entropy: Send + Sync {
    /// Fills `out` with random bytes.
    fn fill(&self, out: &mut [u8]);

    /// A random number over the whole range.
    fn next_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Sixteen random bytes.
    fn bytes16(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        bytes
    }

    /// A random (version 4) UUID.
    fn uuid(&self) -> Uuid {
        Uuid::from_random(self.bytes16())
    }
}

impl<T: Entropy + ?Sized> Entropy for Arc<T> {
    fn fill(&self, out: &mut [u8]) {
        (**self).fill(out);
    }
}

/// The kernel's random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, out: &mut [u8]) {
        let mut rest = out;
        while !rest.is_empty() {
            match getrandom(&mut *rest, GetRandomFlags::empty()) {
                Ok(n) => rest = rest.get_mut(n..).unwrap_or_default(),
                Err(rustix::io::Errno::INTR) => {}
                // Since Linux 3.17 it cannot fail with these arguments; identities made of anything weaker would collide.
                Err(e) => panic!("getrandom: {e}"),
            }
        }
    }
}

/// Repeatable numbers from a seed (SplitMix64); for tests, never for secrets or identities.
#[derive(Debug)]
pub struct SeededEntropy {
    state: Mutex<u64>,
}

impl SeededEntropy {
    /// A source that always gives the same numbers for the same seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: Mutex::new(seed) }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, out: &mut [u8]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in out.chunks_mut(8) {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = *state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let bytes = (z ^ (z >> 31)).to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }
}

/// Bytes that an [`EntropyPool`] asks for at a time.
const POOL_BYTES: usize = 1024;

/// Random numbers taken in bulk, for a thread that needs one for every request: asking the system costs a call each time.
pub struct EntropyPool {
    source: Arc<dyn Entropy>,
    bytes: [u8; POOL_BYTES],
    /// Those before are used up.
    at: usize,
}

impl EntropyPool {
    /// An empty pool before a source.
    #[must_use]
    pub fn new(source: Arc<dyn Entropy>) -> Self {
        Self { source, bytes: [0; POOL_BYTES], at: POOL_BYTES }
    }

    /// A random number over the whole range.
    pub fn next_u64(&mut self) -> u64 {
        if self.at >= POOL_BYTES {
            self.source.fill(&mut self.bytes);
            self.at = 0;
        }
        let bytes = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
        self.at += size_of::<u64>();
        u64::from_le_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_hands_every_number_out_once() {
        let mut pool = EntropyPool::new(Arc::new(SeededEntropy::new(7)));
        let straight = SeededEntropy::new(7);
        for _ in 0..3 * POOL_BYTES / 8 {
            assert_eq!(pool.next_u64(), straight.next_u64());
        }
    }

    #[test]
    fn system_entropy_does_not_repeat_itself() {
        let mut long = vec![0; 1000];
        SystemEntropy.fill(&mut long);
        assert!(long.chunks(8).all(|c| c != [0; 8]), "every part is filled");
        assert_ne!(SystemEntropy.uuid(), SystemEntropy.uuid());
    }

    #[test]
    fn a_seed_gives_the_same_numbers_again() {
        let (a, b, c) = (SeededEntropy::new(7), SeededEntropy::new(7), SeededEntropy::new(8));
        let first: Vec<u64> = (0..4).map(|_| a.next_u64()).collect();
        assert_eq!(first, (0..4).map(|_| b.next_u64()).collect::<Vec<_>>());
        assert_ne!(first[0], c.next_u64());
        assert_eq!(a.bytes16().len(), 16);
    }
}
