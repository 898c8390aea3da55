//! A small deterministic generator (splitmix64): turns one `entropy` argument into as many choices as a decision needs.

/// A stream of well-mixed numbers that its seed fully determines.
#[derive(Clone, Debug)]
pub(super) struct Mix(u64);

impl Mix {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`; 0 for `n` = 0. The bias of the multiplication is below 2^-32 for any list that fits in memory.
    pub(super) const fn below(&mut self, n: usize) -> usize {
        ((self.next() as u128 * n as u128) >> 64) as usize
    }

    /// One of a list, `None` if it is empty.
    pub(super) fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        list.get(self.below(list.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_reaches_every_number_and_no_other() {
        let mut mix = Mix::new(7);
        let mut seen = [0_u32; 5];
        for _ in 0..500 {
            seen[mix.below(5)] += 1;
        }
        assert!(seen.iter().all(|&n| n > 50), "{seen:?}");
        assert_eq!(mix.below(0), 0);
        assert_eq!(mix.pick::<u8>(&[]), None);
    }
}
