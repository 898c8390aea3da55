//! The hash table: slots with the accumulator in them, keys in an arena.

use super::FoldConfig;
use crate::key;
use crate::memory::Reservation;
use hashbrown::HashTable;

/// Memory that is taken without asking if nothing is granted, bytes.
const FIRST: u64 = 256 * 1024;
/// Memory for what accumulators hold elsewhere is asked for in such steps, bytes.
const STEP: u64 = 64 * 1024;
/// Offsets are 32 bits wide.
const ARENA_MAX: usize = u32::MAX as usize;

struct Slot<A> {
    hash: u64,
    offset: u32,
    len: u32,
    accumulator: A,
}

/// A slot on its way out.
struct Sorted<A> {
    prefix: u64,
    partition: u32,
    offset: u32,
    len: u32,
    accumulator: A,
}

fn key_in(arena: &[u8], offset: u32, len: u32) -> &[u8] {
    let start = offset as usize;
    arena.get(start..start + len as usize).unwrap_or_default()
}

pub(super) struct Table<A> {
    slots: HashTable<Slot<A>>,
    arena: Vec<u8>,
    limit: u64,
    /// Told by the accumulators' owner.
    elsewhere: u64,
    reservation: Reservation,
}

impl<A> Table<A> {
    pub(super) fn new(limit: u64, reservation: Reservation) -> Self {
        Self { slots: HashTable::new(), arena: Vec::new(), limit, elsewhere: 0, reservation }
    }

    #[inline]
    pub(super) fn find(&mut self, hash: u64, key: &[u8]) -> Option<&mut A> {
        let arena = self.arena.as_slice();
        let found = self.slots.find_mut(hash, |slot| slot.hash == hash && key_in(arena, slot.offset, slot.len) == key);
        found.map(|slot| &mut slot.accumulator)
    }

    /// What so many slots take: in the table, and when they are sorted.
    fn slots_cost(slots: usize) -> u64 {
        let in_table = (slots as u64).saturating_mul(8) / 7 * (size_of::<Slot<A>>() as u64 + 1);
        in_table.saturating_add((slots as u64).saturating_mul(size_of::<Sorted<A>>() as u64))
    }

    fn cost(&self) -> u64 {
        Self::slots_cost(self.slots.capacity()) + self.arena.capacity() as u64 + self.elsewhere
    }

    /// The capacities that hold one more key of `len` bytes.
    fn wanted(&self, len: usize) -> (usize, usize) {
        let slots = match self.slots.capacity() {
            capacity if self.slots.len() < capacity => capacity,
            0 => 56,
            capacity => capacity * 2,
        };
        let arena = match self.arena.capacity() {
            capacity if capacity - self.arena.len() >= len => capacity,
            capacity => (capacity * 2).max(self.arena.len() + len).max(1024),
        };
        (slots, arena)
    }

    /// Takes memory for one more key, if it is granted.
    #[inline]
    pub(super) fn make_room(&mut self, len: usize) -> bool {
        let has_room = self.slots.len() < self.slots.capacity() && self.arena.capacity() - self.arena.len() >= len;
        has_room || self.grow(len)
    }

    #[cold]
    fn grow(&mut self, len: usize) -> bool {
        if self.arena.len() + len > ARENA_MAX {
            return false;
        }
        let (slots, arena) = self.wanted(len);
        let cost = Self::slots_cost(slots) + arena as u64 + self.elsewhere;
        // While the table moves, the old one is there still.
        let moving = if slots > self.slots.capacity() { Self::slots_cost(self.slots.capacity()) } else { 0 };
        let needed = cost.saturating_add(moving).saturating_sub(self.reservation.bytes());
        if cost > self.limit || !self.reservation.try_grow(needed) {
            return false;
        }
        self.resize(slots, arena);
        self.reservation.shrink(moving);
        true
    }

    fn resize(&mut self, slots: usize, arena: usize) {
        self.slots.reserve(slots.saturating_sub(self.slots.len()), |slot| slot.hash);
        self.arena.reserve_exact(arena.saturating_sub(self.arena.len()));
    }

    /// Takes memory for a key in an empty table: a little even if none is granted, as work must go on.
    pub(super) fn make_room_when_empty(&mut self, len: usize) {
        if self.reservation.over_share() > 0 {
            (self.slots, self.arena) = (HashTable::new(), Vec::new());
            self.reservation.clear();
        }
        if self.make_room(len) {
            return;
        }
        let (slots, arena) = self.wanted(len);
        let per_slot = Self::slots_cost(7).max(7) / 7;
        let slots = slots.max((FIRST.min(self.limit) / 2 / per_slot) as usize);
        let arena = arena.max((FIRST.min(self.limit) / 2) as usize);
        self.resize(slots, arena);
        let held = self.cost();
        self.reservation.force(held.saturating_sub(self.reservation.bytes()));
    }

    /// Adds a key that is not there, for which room was made.
    pub(super) fn insert(&mut self, hash: u64, key: &[u8], accumulator: A) {
        // `grow` keeps the arena below 4 GiB, and keys are below 64 MiB.
        let (offset, len) = (self.arena.len() as u32, key.len() as u32);
        self.arena.extend_from_slice(key);
        self.slots.insert_unique(hash, Slot { hash, offset, len, accumulator }, |slot| slot.hash);
    }

    /// Counts memory that accumulators hold elsewhere; `false` if it is too much. A little is taken even if none is granted, as
    /// work must go on.
    #[inline]
    pub(super) fn grew(&mut self, bytes: u64) -> bool {
        self.elsewhere = self.elsewhere.saturating_add(bytes);
        let cost = self.cost();
        cost <= self.limit.min(self.reservation.bytes()) || self.reserve(cost)
    }

    #[cold]
    fn reserve(&mut self, cost: u64) -> bool {
        let held = self.reservation.bytes();
        let needed = cost.saturating_sub(held);
        let step = STEP.min(self.limit.saturating_sub(held)).max(needed);
        if cost <= self.limit && (needed == 0 || self.reservation.try_grow(step) || self.reservation.try_grow(needed)) {
            return true;
        }
        self.reservation.force(needed);
        self.elsewhere <= FIRST.min(self.limit) / 2
    }

    /// Looks at every accumulator where what was told is most likely too much: one that takes the largest of its values does not
    /// grow by each. Whether it is less by half, and that much can be told again.
    pub(super) fn measure(&mut self, size: impl Fn(&A) -> u64) -> bool {
        // Of many keys and little told it would have to look all the time.
        if self.elsewhere < self.cost() / 4 {
            return false;
        }
        let found = self.slots.iter().map(|slot| size(&slot.accumulator)).fold(0, u64::saturating_add);
        if found > self.elsewhere / 2 {
            return false;
        }
        self.elsewhere = found;
        self.trim();
        true
    }

    /// Gives back what is reserved beyond what is in use.
    fn trim(&mut self) {
        let surplus = self.reservation.bytes().saturating_sub(self.cost());
        self.reservation.shrink(surplus);
    }

    /// Gives all memory back, that of an empty table included: what accumulators hold needs it.
    pub(super) fn reset(&mut self) {
        (self.slots, self.arena, self.elsewhere) = (HashTable::new(), Vec::new(), 0);
        self.reservation.clear();
    }

    /// Takes everything out, sorted. The table is empty then; its arena is gone with the keys.
    pub(super) fn drain_sorted(&mut self, config: &FoldConfig) -> Drained<A> {
        let arena = std::mem::take(&mut self.arena);
        let mut sorted: Vec<Sorted<A>> = Vec::with_capacity(self.slots.len());
        for Slot { hash, offset, len, accumulator } in self.slots.drain() {
            let key = key_in(&arena, offset, len);
            let partition = config.partition_of(key, hash);
            sorted.push(Sorted { prefix: key::prefix(key), partition, offset, len, accumulator });
        }
        sorted.sort_unstable_by(|a, b| {
            (a.partition, a.prefix)
                .cmp(&(b.partition, b.prefix))
                .then_with(|| key_in(&arena, a.offset, a.len).cmp(key_in(&arena, b.offset, b.len)))
        });
        Drained { arena, sorted: sorted.into_iter() }
    }

    /// Takes the arena back after everything that was in it is written.
    pub(super) fn take_back(&mut self, drained: Drained<A>) {
        self.arena = drained.arena;
        self.arena.clear();
        self.elsewhere = 0;
        self.trim();
    }
}

/// What was in a table.
pub(super) struct Drained<A> {
    arena: Vec<u8>,
    sorted: std::vec::IntoIter<Sorted<A>>,
}

impl<A> Drained<A> {
    pub(super) fn is_empty(&self) -> bool {
        self.sorted.len() == 0
    }

    /// The next one: partition, key, accumulator.
    pub(super) fn next(&mut self) -> Option<(u32, &[u8], A)> {
        let Sorted { partition, offset, len, accumulator, .. } = self.sorted.next()?;
        Some((partition, key_in(&self.arena, offset, len), accumulator))
    }
}
