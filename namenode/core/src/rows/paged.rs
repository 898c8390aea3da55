//! Records of bytes by numbers that are handed out in order, in pages: no key is stored, and the records of a page lie in one
//! buffer, so that a record costs about its own length.

use std::collections::BTreeMap;

const PAGE_BITS: u32 = 6;
/// Pages that are found together, by one look into a map: a map of all pages would take several times as long.
const GROUP_BITS: u32 = 5;
const GROUP: usize = 1 << GROUP_BITS;
/// Groups on a shelf: half a million keys, so that the map of shelves has a few entries, and every other step is an index.
const SHELF_BITS: u32 = 8;
const SHELF: usize = 1 << SHELF_BITS;
const PAGE_MASK: u64 = (1 << PAGE_BITS) - 1;
/// A buffer grows by so many bytes: one that doubled would be half empty on average.
const GROWTH: usize = 256;

/// A map from `u64` to bytes, in ascending order. Pages hold 64 neighbouring keys; a record's place in its page is its rank
/// among the keys present, counted in a bitmap.
#[derive(Clone, Debug, Default)]
pub(super) struct Paged {
    shelves: BTreeMap<u64, Shelf>,
    len: usize,
}

/// Neighbouring pages; none of them need have a record, but one of them has.
type Group = Box<[Page; GROUP]>;

/// Neighbouring groups, one at least.
#[derive(Clone, Debug)]
struct Shelf(Box<[Option<Group>; SHELF]>);

impl Default for Shelf {
    fn default() -> Self {
        Self(Box::new([const { None }; SHELF]))
    }
}

#[derive(Clone, Debug, Default)]
struct Page {
    present: u64,
    /// Where each record ends in `bytes`, in order of the keys.
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

impl Page {
    /// Place of `bit` in `ends`, whether present or not.
    fn rank(&self, bit: u64) -> usize {
        (self.present & (bit - 1)).count_ones() as usize
    }

    /// Where the record of a rank begins.
    fn start(&self, rank: usize) -> usize {
        rank.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| *end as usize)
    }

    fn record(&self, rank: usize) -> Option<&[u8]> {
        self.bytes.get(self.start(rank)..*self.ends.get(rank)? as usize)
    }

    /// Puts `record` where the bytes from `start` to `end` are, and moves the ends of the records from `rank` on with it.
    fn replace(&mut self, (start, end): (usize, usize), rank: usize, record: &[u8]) {
        let (before, tail) = (self.bytes.len(), start + record.len());
        let after = before - (end - start) + record.len();
        if after > self.bytes.capacity() {
            self.bytes.reserve_exact((after - before).max(GROWTH));
        }
        self.bytes.resize(before.max(after), 0);
        self.bytes.copy_within(end..before, tail);
        self.bytes.truncate(after);
        self.bytes[start..tail].copy_from_slice(record);
        if self.bytes.capacity() > after + 2 * GROWTH {
            self.bytes.shrink_to(after + GROWTH);
        }
        for moved in self.ends.iter_mut().skip(rank) {
            *moved = (*moved as usize - end + tail) as u32;
        }
    }
}

/// Where a key belongs.
struct Place {
    shelf: u64,
    group: usize,
    page: usize,
    bit: u64,
}

const fn locate(key: u64) -> Place {
    let page = key >> PAGE_BITS;
    let group = page >> GROUP_BITS;
    Place {
        shelf: group >> SHELF_BITS,
        group: group as usize % SHELF,
        page: page as usize % GROUP,
        bit: 1 << (key & PAGE_MASK),
    }
}

impl Paged {
    /// Number of records.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The record of a key.
    pub(super) fn get(&self, key: u64) -> Option<&[u8]> {
        let Place { shelf, group, page, bit } = locate(key);
        let page = &self.shelves.get(&shelf)?.0[group].as_ref()?[page];
        if page.present & bit == 0 { None } else { page.record(page.rank(bit)) }
    }

    /// Sets the record of a key. The caller keeps records below 64 KiB, so that a page's ends fit.
    pub(super) fn put(&mut self, key: u64, record: &[u8]) {
        let Place { shelf, group, page, bit } = locate(key);
        let group = self.shelves.entry(shelf).or_default().0[group].get_or_insert_default();
        let page = &mut group[page];
        let rank = page.rank(bit);
        let start = page.start(rank);
        if page.present & bit == 0 {
            page.ends.insert(rank, start as u32);
            page.present |= bit;
            self.len += 1;
        }
        let end = page.ends.get(rank).map_or(start, |end| *end as usize);
        page.replace((start, end), rank, record);
    }

    /// Takes a key out; `false` if it was not in.
    pub(super) fn remove(&mut self, key: u64) -> bool {
        let Place { shelf: number, group: at, page, bit } = locate(key);
        let Some(shelf) = self.shelves.get_mut(&number) else { return false };
        let Some(group) = &mut shelf.0[at] else { return false };
        let page = &mut group[page];
        if page.present & bit == 0 {
            return false;
        }
        let rank = page.rank(bit);
        let (start, end) = (page.start(rank), page.ends.remove(rank) as usize);
        page.replace((start, end), rank, &[]);
        page.present &= !bit;
        self.len -= 1;
        if page.present == 0 {
            *page = Page::default();
            if group.iter().all(|page| page.present == 0) {
                shelf.0[at] = None;
                if shelf.0.iter().all(Option::is_none) {
                    self.shelves.remove(&number);
                }
            }
        }
        true
    }

    /// All records in order of their keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let groups = self.shelves.iter().flat_map(|(shelf, groups)| {
            let numbered =
                groups.0.iter().enumerate().map(move |(at, group)| ((shelf << SHELF_BITS) | at as u64, group));
            numbered.filter_map(|(number, group)| Some((number, group.as_ref()?)))
        });
        let pages = groups.flat_map(|(group, pages)| {
            pages.iter().enumerate().map(move |(at, page)| ((group << GROUP_BITS) | at as u64, page))
        });
        pages.flat_map(|(number, page)| {
            let keys = (0..=PAGE_MASK).filter(|low| page.present & (1 << low) != 0);
            let records = (0..page.ends.len()).filter_map(|rank| page.record(rank));
            keys.map(move |low| (number << PAGE_BITS) | low).zip(records)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn behaves_like_a_btree_map(steps in proptest::collection::vec((0_u64..300, any::<Option<(u8, u16)>>()), 0..400)) {
            let mut paged = Paged::default();
            let mut model: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
            for (key, value) in steps {
                // Some next to each other, some in groups of their own of a few shelves, others on shelves of their own.
                let key = match key {
                    0..150 => key,
                    150..225 => (key - 150) << 14,
                    _ => key << 33,
                };
                match value {
                    Some((byte, len)) => {
                        let record = vec![byte; usize::from(len % 700)];
                        paged.put(key, &record);
                        model.insert(key, record);
                    }
                    None => prop_assert_eq!(paged.remove(key), model.remove(&key).is_some()),
                }
                prop_assert_eq!(paged.get(key), model.get(&key).map(Vec::as_slice));
                prop_assert_eq!(paged.len(), model.len());
            }
            let all: Vec<_> = paged.iter().map(|(key, record)| (key, record.to_vec())).collect();
            prop_assert_eq!(all, model.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_buffer_has_little_room_to_spare() {
        let mut paged = Paged::default();
        (0..64).for_each(|key| paged.put(key, &[7; 50]));
        (1..64).for_each(|key| assert!(paged.remove(key)));
        let shelf = paged.shelves.values().next().expect("one shelf");
        let page = &shelf.0[0].as_ref().expect("one group")[0];
        assert!(page.bytes.capacity() <= 50 + 2 * GROWTH, "{}", page.bytes.capacity());
    }
}
