//! A set of numbers that lie close together, in little memory: what a volume has, by slot; what a list has not named, by id.
//!
//! The numbers of a stretch of 65,536 are a sorted list of 2 bytes each while they are few, and a bitmap from where that is
//! smaller. So a volume that has one block of a thousand pays about 4 bytes for it, and one that has most of them pays bits.
//! Nothing is ever moved as a whole: a set of millions takes its next number as fast as an empty one.

use super::table::Slot;
use mammoth_protocol::BlockId;

/// Numbers of a stretch above which it is a bitmap; below half of it, it is a list again.
const LIST_MAX: usize = 4096;
const WORDS: usize = (1 << 16) / 64;

/// A set of numbers, in order.
#[derive(Clone, Debug, Default)]
struct CompactSet {
    /// Stretches by the high bits of their numbers, ascending; none is empty.
    stretches: Vec<(u64, Stretch)>,
    len: usize,
}

#[derive(Clone, Debug)]
enum Stretch {
    /// The low bits, ascending.
    List(Vec<u16>),
    Bits(Box<Bits>),
}

#[derive(Clone, Debug)]
struct Bits {
    words: [u64; WORDS],
    len: usize,
}

/// High and low bits.
const fn split(number: u64) -> (u64, u16) {
    (number >> 16, number as u16)
}

impl Stretch {
    fn len(&self) -> usize {
        match self {
            Self::List(list) => list.len(),
            Self::Bits(bits) => bits.len,
        }
    }

    /// `false` if it is in already.
    fn insert(&mut self, low: u16) -> bool {
        if let Self::List(list) = self
            && list.len() == LIST_MAX
        {
            *self = Self::Bits(Box::new(Bits::of(list)));
        }
        match self {
            Self::List(list) => {
                let at = if list.last().is_some_and(|&last| last < low) {
                    Err(list.len())
                } else {
                    list.binary_search(&low)
                };
                at.map_err(|at| list.insert(at, low)).is_err()
            }
            Self::Bits(bits) => bits.set(low),
        }
    }

    /// `false` if it is not in.
    fn remove(&mut self, low: u16) -> bool {
        let removed = match self {
            Self::List(list) => list.binary_search(&low).map(|at| list.remove(at)).is_ok(),
            Self::Bits(bits) => bits.clear(low),
        };
        if let Self::Bits(bits) = self
            && bits.len < LIST_MAX / 2
        {
            *self = Self::List(bits.iter().collect());
        }
        removed
    }

    fn iter(&self) -> impl Iterator<Item = u16> {
        let (list, bits) = match self {
            Self::List(list) => (list.as_slice(), None),
            Self::Bits(bits) => (&[][..], Some(bits)),
        };
        list.iter().copied().chain(bits.into_iter().flat_map(|bits| bits.iter()))
    }
}

impl Bits {
    fn of(list: &[u16]) -> Self {
        let mut bits = Self { words: [0; WORDS], len: 0 };
        for &low in list {
            bits.set(low);
        }
        bits
    }

    fn set(&mut self, low: u16) -> bool {
        let (word, bit) = (&mut self.words[usize::from(low >> 6)], 1 << (low & 63));
        let new = *word & bit == 0;
        *word |= bit;
        self.len += usize::from(new);
        new
    }

    fn clear(&mut self, low: u16) -> bool {
        let (word, bit) = (&mut self.words[usize::from(low >> 6)], 1 << (low & 63));
        let known = *word & bit != 0;
        *word &= !bit;
        self.len -= usize::from(known);
        known
    }

    fn iter(&self) -> impl Iterator<Item = u16> {
        self.words.iter().enumerate().flat_map(|(at, &word)| {
            let lowest_off = |word: &u64| Some(word & (word - 1)).filter(|&rest| rest != 0);
            let words = std::iter::successors(Some(word).filter(|&word| word != 0), lowest_off);
            words.map(move |word| (at as u16) << 6 | word.trailing_zeros() as u16)
        })
    }
}

impl CompactSet {
    fn len(&self) -> usize {
        self.len
    }

    fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a number; `false` if it is in already.
    fn insert(&mut self, number: u64) -> bool {
        let (high, low) = split(number);
        let at = self.find(high).unwrap_or_else(|at| {
            self.stretches.insert(at, (high, Stretch::List(Vec::new())));
            at
        });
        let new = self.stretches[at].1.insert(low);
        self.len += usize::from(new);
        new
    }

    /// Takes a number out; `false` if it is not in.
    fn remove(&mut self, number: u64) -> bool {
        let (high, low) = split(number);
        let Ok(at) = self.find(high) else { return false };
        let stretch = &mut self.stretches[at].1;
        let known = stretch.remove(low);
        if stretch.len() == 0 {
            self.stretches.remove(at);
        }
        self.len -= usize::from(known);
        known
    }

    /// All numbers, ascending.
    fn iter(&self) -> impl Iterator<Item = u64> {
        self.stretches.iter().flat_map(|(high, stretch)| stretch.iter().map(move |low| high << 16 | u64::from(low)))
    }

    fn find(&self, high: u64) -> Result<usize, usize> {
        match self.stretches.last() {
            // Numbers mostly arrive in order.
            Some((last, _)) if *last == high => Ok(self.stretches.len() - 1),
            Some((last, _)) if *last < high => Err(self.stretches.len()),
            _ => self.stretches.binary_search_by_key(&high, |(high, _)| *high),
        }
    }

    /// Bytes allocated.
    #[cfg(test)]
    fn allocated(&self) -> usize {
        let stretch = |(_, stretch): &(u64, Stretch)| match stretch {
            Stretch::List(list) => 2 * list.capacity(),
            Stretch::Bits(_) => size_of::<Bits>(),
        };
        self.stretches.capacity() * size_of::<(u64, Stretch)>() + self.stretches.iter().map(stretch).sum::<usize>()
    }
}

/// The blocks of a volume.
#[derive(Clone, Debug, Default)]
pub(super) struct SlotSet(CompactSet);

impl SlotSet {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn insert(&mut self, slot: Slot) {
        self.0.insert(slot.0.into());
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        self.0.remove(slot.0.into());
    }

    /// By slot.
    pub(super) fn iter(&self) -> impl Iterator<Item = Slot> {
        self.0.iter().map(|number| Slot(number as u32))
    }

    /// Bytes allocated.
    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.0.allocated()
    }
}

/// Ids of blocks.
#[derive(Clone, Debug, Default)]
pub(super) struct Ids(CompactSet);

impl Ids {
    /// Ids below zero come before the others, as among numbers with a sign.
    const SIGN: u64 = 1 << 63;

    pub(super) fn remove(&mut self, id: BlockId) {
        self.0.remove(id.0 as u64 ^ Self::SIGN);
    }

    /// In order.
    pub(super) fn iter(&self) -> impl Iterator<Item = BlockId> {
        self.0.iter().map(|number| BlockId((number ^ Self::SIGN) as i64))
    }
}

impl FromIterator<BlockId> for Ids {
    fn from_iter<I: IntoIterator<Item = BlockId>>(ids: I) -> Self {
        let mut set = CompactSet::default();
        for id in ids {
            set.insert(id.0 as u64 ^ Self::SIGN);
        }
        Self(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn behaves_like_a_btree_set(steps in proptest::collection::vec((0_u64..40, 0_u64..9000, any::<bool>()), 0..30)) {
            let mut set = CompactSet::default();
            let mut model = BTreeSet::new();
            for (high, count, add) in steps {
                // Whole runs, so that lists become bitmaps and lists again.
                for number in (high << 14)..(high << 14) + count {
                    let (known, changed) = if add {
                        (model.insert(number), set.insert(number))
                    } else {
                        (model.remove(&number), set.remove(number))
                    };
                    prop_assert_eq!(known, changed);
                }
                prop_assert_eq!((set.len(), set.is_empty()), (model.len(), model.is_empty()));
            }
            prop_assert!(set.iter().eq(model.iter().copied()));
        }
    }

    #[test]
    fn the_ends_of_the_numbers_are_numbers() {
        let mut set = CompactSet::default();
        let ends = [0, 0xffff, 0x1_0000, u64::MAX];
        ends.iter().rev().for_each(|&end| assert!(set.insert(end)));
        assert_eq!(set.iter().collect::<Vec<_>>(), ends);
    }

    #[test]
    fn one_in_a_thousand_costs_few_bytes_and_all_of_them_bits() {
        let filled = |step| {
            let mut set = CompactSet::default();
            for number in (0..1_000_000).step_by(step) {
                set.insert(number);
            }
            set.allocated() as f64 / set.len() as f64
        };
        assert!(filled(1000) < 5.0, "{}", filled(1000));
        assert!(filled(1) < 0.15, "{}", filled(1));
    }
}
