//! Changes of inputs by a fixed seed: what the ordinary tests do instead of being guided by coverage. The same seed gives the
//! same inputs, so that a failure is found again.

use mammoth_platform::{Entropy, SeededEntropy};

/// Longest input that is made.
const LEN_MAX: usize = 8 << 10;
/// Numbers at the edges of their kinds.
const EDGES: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0xffff_ffff_ffff_ffff,
];

/// Makes inputs of inputs.
#[derive(Debug)]
pub struct Mutator {
    entropy: SeededEntropy,
}

impl Mutator {
    /// The mutator of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { entropy: SeededEntropy::new(seed) }
    }

    /// A number below `end`; 0 for an empty range.
    fn below(&self, end: usize) -> usize {
        usize::try_from(self.entropy.next_u64() % (end.max(1) as u64)).unwrap_or(0)
    }

    /// A changed copy of one of `inputs`.
    #[must_use]
    pub fn change(&self, inputs: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = inputs.get(self.below(inputs.len())).cloned().unwrap_or_default();
        for _ in 0..=self.below(4) {
            self.step(&mut bytes, inputs);
        }
        bytes.truncate(LEN_MAX);
        bytes
    }

    fn step(&self, bytes: &mut Vec<u8>, inputs: &[Vec<u8>]) {
        let at = self.below(bytes.len());
        let end = at + self.below((bytes.len() - at).min(64) + 1);
        match self.below(9) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let piece = bytes.get(at..end).unwrap_or_default().to_vec();
                bytes.splice(at..at, piece);
            }
            3 => {
                let other = inputs.get(self.below(inputs.len())).map(Vec::as_slice).unwrap_or_default();
                let from = self.below(other.len());
                let piece = other.get(from..(from + self.below(64)).min(other.len())).unwrap_or_default();
                bytes.splice(at..end, piece.iter().copied());
            }
            4 => {
                let edge = EDGES.get(self.below(EDGES.len())).copied().unwrap_or(0);
                let number = if self.below(2) == 0 { edge.to_le_bytes() } else { edge.to_be_bytes() };
                let width = [1, 2, 4, 8].get(self.below(4)).copied().unwrap_or(1);
                let part = if self.below(2) == 0 { number.get(..width) } else { number.get(8 - width..) };
                let end = (at + width).min(bytes.len());
                bytes.splice(at..end, part.unwrap_or_default().iter().copied());
            }
            5 => bytes.insert(at, self.entropy.next_u64().to_le_bytes()[0]),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
        }
    }
}
