//! A map from numbers that are handed out in order, in pages: no key is stored and no slot is empty, so that a row costs
//! about its own size.

use std::collections::BTreeMap;

const PAGE_BITS: u32 = 6;
const PAGE_MASK: u64 = (1 << PAGE_BITS) - 1;

/// A map from `u64` in ascending order. Pages hold 64 neighbouring keys; an entry's place in its page is its rank among the
/// keys present, counted in a bitmap.
#[derive(Clone, Debug)]
pub(crate) struct Paged<T> {
    pages: BTreeMap<u64, Page<T>>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Page<T> {
    present: u64,
    entries: Vec<T>,
}

impl<T> Default for Paged<T> {
    fn default() -> Self {
        Self { pages: BTreeMap::new(), len: 0 }
    }
}

impl<T> Page<T> {
    /// Place of `bit` in `entries`, whether present or not.
    fn rank(&self, bit: u64) -> usize {
        (self.present & (bit - 1)).count_ones() as usize
    }
}

/// The page of a key and the key's bit in it.
fn locate(key: u64) -> (u64, u64) {
    (key >> PAGE_BITS, 1 << (key & PAGE_MASK))
}

impl<T> Paged<T> {
    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: u64) -> Option<&T> {
        let (page, bit) = locate(key);
        let page = self.pages.get(&page)?;
        if page.present & bit == 0 { None } else { page.entries.get(page.rank(bit)) }
    }

    /// The value of a key, to change it.
    pub(crate) fn get_mut(&mut self, key: u64) -> Option<&mut T> {
        let (page, bit) = locate(key);
        let page = self.pages.get_mut(&page)?;
        if page.present & bit == 0 {
            return None;
        }
        let rank = page.rank(bit);
        page.entries.get_mut(rank)
    }

    /// Sets the value of a key; returns the one before.
    pub(crate) fn insert(&mut self, key: u64, value: T) -> Option<T> {
        let (number, bit) = locate(key);
        let page = self.pages.entry(number).or_insert_with(|| Page { present: 0, entries: Vec::new() });
        let rank = page.rank(bit);
        if page.present & bit == 0 {
            page.entries.insert(rank, value);
            page.present |= bit;
            self.len += 1;
            return None;
        }
        page.entries.get_mut(rank).map(|old| std::mem::replace(old, value))
    }

    /// Takes a key out.
    pub(crate) fn remove(&mut self, key: u64) -> Option<T> {
        let (number, bit) = locate(key);
        let page = self.pages.get_mut(&number)?;
        if page.present & bit == 0 {
            return None;
        }
        let value = page.entries.remove(page.rank(bit));
        page.present &= !bit;
        self.len -= 1;
        if page.entries.is_empty() {
            self.pages.remove(&number);
        } else if page.entries.len() < page.entries.capacity() / 2 {
            page.entries.shrink_to_fit();
        }
        Some(value)
    }

    /// All entries in order of their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.pages.iter().flat_map(|(number, page)| {
            let keys = (0..=PAGE_MASK).filter(|low| page.present & (1 << low) != 0);
            keys.map(move |low| (number << PAGE_BITS) | low).zip(&page.entries)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn behaves_like_a_btree_map(steps in proptest::collection::vec((0_u64..300, any::<Option<u32>>()), 0..400)) {
            let mut paged = Paged::default();
            let mut model = BTreeMap::new();
            for (key, value) in steps {
                match value {
                    Some(value) => prop_assert_eq!(paged.insert(key, value), model.insert(key, value)),
                    None => prop_assert_eq!(paged.remove(key), model.remove(&key)),
                }
                prop_assert_eq!(paged.get(key), model.get(&key));
                prop_assert_eq!(paged.get_mut(key), model.get_mut(&key));
                prop_assert_eq!(paged.len(), model.len());
            }
            let all: Vec<_> = paged.iter().map(|(key, value)| (key, *value)).collect();
            prop_assert_eq!(all, model.into_iter().collect::<Vec<_>>());
        }
    }
}
