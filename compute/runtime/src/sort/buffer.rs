//! The memory of a sort: an arena of records and an index over them, which grow together within one limit.

use crate::error::RuntimeError;
use crate::key;
use crate::memory::Reservation;
use crate::merge::RecordStream;
use crate::run::Order;
use std::cmp::Ordering;

/// Memory that is taken at first, bytes; also what is taken without asking if nothing is granted.
const FIRST: u64 = 256 * 1024;
/// Offsets are 32 bits wide.
const ARENA_MAX: u64 = u32::MAX as u64;
/// Bytes of a record, before there were any.
const AVERAGE_GUESS: u64 = 32;
const ENTRY: u64 = size_of::<Entry>() as u64;

/// One record, 24 bytes.
#[derive(Clone, Copy, Debug)]
struct Entry {
    prefix: u64,
    partition: u32,
    offset: u32,
    key_len: u32,
    value_len: u32,
}

const _: () = assert!(size_of::<Entry>() == 24);

impl Entry {
    #[inline]
    fn key<'a>(&self, arena: &'a [u8]) -> &'a [u8] {
        let start = self.offset as usize;
        arena.get(start..start + self.key_len as usize).unwrap_or_default()
    }

    #[inline]
    fn value<'a>(&self, arena: &'a [u8]) -> &'a [u8] {
        let start = self.offset as usize + self.key_len as usize;
        arena.get(start..start + self.value_len as usize).unwrap_or_default()
    }

    /// Sorts by partition, prefix and arrival.
    #[inline]
    fn rank(&self) -> u128 {
        u128::from(self.partition) << 96 | u128::from(self.prefix) << 32 | u128::from(self.offset)
    }

    /// Sorts by arrival within a partition. An empty record begins where the next one does, and came before it.
    #[inline]
    fn arrival(&self) -> u128 {
        (u128::from(self.offset) << 64) | (u128::from(self.key_len) + u128::from(self.value_len))
    }

    /// The order of two records of which neither the partition nor the prefix tells.
    #[inline]
    fn cmp_rest(&self, other: &Self, arena: &[u8]) -> Ordering {
        // Keys of at most eight bytes are all in the prefix, but for zeros at their end.
        let keys = if self.key_len <= 8 && other.key_len <= 8 {
            self.key_len.cmp(&other.key_len)
        } else {
            self.key(arena).cmp(other.key(arena))
        };
        keys.then_with(|| self.arrival().cmp(&other.arrival()))
    }
}

pub(super) struct Buffer {
    arena: Vec<u8>,
    entries: Vec<Entry>,
    limit: u64,
    order: Order,
    reservation: Reservation,
    /// Bytes of a record when the buffer was full last, and whether index and arena were well divided then.
    average: u64,
    is_balanced: bool,
}

impl Buffer {
    pub(super) fn new(limit: u64, order: Order, reservation: Reservation) -> Self {
        let limit = limit.min(ARENA_MAX);
        let (arena, entries) = (Vec::new(), Vec::new());
        Self { arena, entries, limit, order, reservation, average: AVERAGE_GUESS, is_balanced: true }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a record if there is room; never allocates.
    #[inline]
    pub(super) fn push(&mut self, partition: u32, key: &[u8], value: &[u8]) -> bool {
        let len = key.len() + value.len();
        if self.entries.len() == self.entries.capacity() || self.arena.capacity() - self.arena.len() < len {
            return false;
        }
        let prefix = if self.order == Order::Key { key::prefix(key) } else { 0 };
        // The arena is smaller than 4 GiB, so is all in it.
        let offset = self.arena.len() as u32;
        self.entries.push(Entry {
            prefix,
            partition,
            offset,
            key_len: key.len() as u32,
            value_len: value.len() as u32,
        });
        self.arena.extend_from_slice(key);
        self.arena.extend_from_slice(value);
        true
    }

    fn capacity(&self) -> u64 {
        self.arena.capacity() as u64 + self.entries.capacity() as u64 * ENTRY
    }

    /// Takes more memory for a record of `len` bytes, within the limit; `false`: there is none to be had.
    pub(super) fn make_room(&mut self, len: usize) -> bool {
        let used = self.arena.len() as u64 + self.entries.len() as u64 * ENTRY;
        let needed = used + len as u64 + ENTRY;
        let held = self.capacity();
        let wanted = held.saturating_mul(2).max(FIRST).max(needed).min(self.limit);
        if wanted < needed || wanted <= held {
            return false;
        }
        if !self.reservation.try_grow(wanted.saturating_sub(self.reservation.bytes())) {
            return false;
        }
        self.divide(wanted, len);
        true
    }

    /// The same for an empty buffer, whose memory can be divided anew. A little is taken even if nothing is granted.
    pub(super) fn make_room_when_empty(&mut self, len: usize) -> bool {
        let needed = len as u64 + ENTRY;
        if needed > self.limit {
            return false;
        }
        let is_fair = self.reservation.over_share() == 0;
        if is_fair && self.is_balanced && self.entries.capacity() > 0 && self.arena.capacity() >= len {
            return true;
        }
        let budget = self.capacity();
        (self.arena, self.entries) = (Vec::new(), Vec::new());
        if is_fair && budget >= needed {
            self.divide(budget, len);
            return true;
        }
        // Others have come since; or this record is larger than everything so far.
        self.reservation.clear();
        if self.make_room(len) {
            return true;
        }
        let forced = FIRST.min(self.limit);
        if forced < needed {
            return false;
        }
        self.reservation.force(forced);
        self.divide(forced, len);
        true
    }

    /// Divides `budget` bytes between arena and index in the proportion of the records so far.
    fn divide(&mut self, budget: u64, len: usize) {
        let count = self.entries.len() as u64 + 1;
        let bytes = self.arena.len() as u64 + len as u64;
        let average = if self.entries.is_empty() { self.average } else { bytes / count };
        let spare = budget.saturating_sub(bytes + count * ENTRY);
        let more = spare / (ENTRY + average.max(1));
        let entries = (count + more) as usize;
        self.entries.reserve_exact(entries - self.entries.len());
        let arena = budget.saturating_sub(entries as u64 * ENTRY) as usize;
        self.arena.reserve_exact(arena.saturating_sub(self.arena.len()));
    }

    /// Sorts by one number first, which costs no branches; then the few records that it does not tell apart.
    pub(super) fn sort(&mut self) {
        let arena = self.arena.as_slice();
        self.entries.sort_unstable_by_key(Entry::rank);
        for equals in self.entries.chunk_by_mut(|a, b| (a.partition, a.prefix) == (b.partition, b.prefix)) {
            let Some((first, rest)) = equals.split_first() else { continue };
            // Then the prefix is the key, and the arrival is in the rank.
            let is_whole = (1..=8).contains(&first.key_len) && rest.iter().all(|other| other.key_len == first.key_len);
            if !rest.is_empty() && !is_whole {
                match self.order {
                    Order::Key => equals.sort_unstable_by(|a, b| a.cmp_rest(b, arena)),
                    Order::Arrival => equals.sort_unstable_by_key(Entry::arrival),
                }
            }
        }
    }

    /// The partitions that have records, in order, once it is sorted.
    pub(super) fn partitions(&self) -> impl Iterator<Item = (u32, SortedRecords<'_>)> {
        let groups = self.entries.chunk_by(|a, b| a.partition == b.partition);
        groups.filter_map(|entries| {
            let partition = entries.first()?.partition;
            Some((partition, SortedRecords { arena: &self.arena, entries: entries.iter(), present: None }))
        })
    }

    /// Forgets the records and keeps the memory.
    pub(super) fn clear(&mut self) {
        let used = self.arena.len() as u64 + self.entries.len() as u64 * ENTRY;
        self.average = self.arena.len() as u64 / (self.entries.len() as u64).max(1);
        self.is_balanced = used >= self.capacity() / 4 * 3;
        self.arena.clear();
        self.entries.clear();
    }
}

/// The sorted records of one partition.
pub(super) struct SortedRecords<'a> {
    arena: &'a [u8],
    entries: std::slice::Iter<'a, Entry>,
    present: Option<&'a Entry>,
}

impl RecordStream for SortedRecords<'_> {
    #[inline]
    fn advance(&mut self) -> Result<bool, RuntimeError> {
        self.present = self.entries.next();
        Ok(self.present.is_some())
    }

    #[inline]
    fn key(&self) -> &[u8] {
        self.present.map_or(&[], |entry| entry.key(self.arena))
    }

    #[inline]
    fn value(&self) -> &[u8] {
        self.present.map_or(&[], |entry| entry.value(self.arena))
    }
}
