//! Bytes to store: random, so that nothing is right by chance, and from a seed, so that they need not be kept.

use std::io::Read;

/// An endless stream of pseudo-random bytes.
pub(crate) struct Random {
    state: u64,
    word: [u8; 8],
    used: usize,
    left: u64,
}

impl Random {
    /// `len` bytes that depend on `seed` only.
    pub(crate) fn new(seed: u64, len: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, word: [0; 8], used: 8, left: len }
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

impl Read for Random {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let len = out.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        for byte in &mut out[..len] {
            if self.used == 8 {
                self.word = self.next().to_le_bytes();
                self.used = 0;
            }
            *byte = self.word[self.used];
            self.used += 1;
        }
        self.left -= len as u64;
        Ok(len)
    }
}

/// `len` bytes of `seed`.
pub(crate) fn bytes_of(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len);
    Random::new(seed, len as u64).read_to_end(&mut bytes).expect("memory takes them");
    bytes
}

/// About so many bytes of text: lines of words, some frequent, some rare, always the same for a seed.
pub(crate) fn words_of(seed: u64, len: usize) -> String {
    let mut text = String::with_capacity(len + 32);
    let mut state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    while text.len() < len {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = (state >> 33) % 5000;
        // Small numbers are drawn far more often than large ones.
        let word = number * number / 25_000;
        text.push_str(&format!("w{word}"));
        text.push(if state >> 60 == 0 { '\n' } else { ' ' });
    }
    text.push('\n');
    text
}
