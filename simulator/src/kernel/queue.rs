//! Events by time; those of one time in the order in which they were added.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// What will happen.
pub(super) struct Queue<E> {
    heap: BinaryHeap<Reverse<Entry<E>>>,
    number: u64,
}

struct Entry<E> {
    at_ms: u64,
    number: u64,
    event: E,
}

impl<E> Entry<E> {
    fn place(&self) -> (u64, u64) {
        (self.at_ms, self.number)
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), number: 0 }
    }
}

impl<E> Queue<E> {
    /// Adds an event.
    pub(super) fn add(&mut self, at_ms: u64, event: E) {
        self.number += 1;
        self.heap.push(Reverse(Entry { at_ms, number: self.number, event }));
    }

    /// Takes the next event with its time.
    pub(super) fn take(&mut self) -> Option<(u64, E)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at_ms, entry.event))
    }
}
