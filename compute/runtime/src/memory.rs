//! The accountant: who may hold how much memory in this process.
//!
//! What tasks hold (sort buffers, hash tables, fetched segments) is reserved before it is allocated; who is refused spills. With
//! N tasks at work one of them is granted at most 1/N, and one that holds less than 1/2N may wait for the others to give back.
//! Cached blocks use what is free. Tasks may have them evicted, down to one half of everything, which is theirs.
//!
//! The accountant counts; it allocates nothing, and knows neither blocks nor tasks beyond their numbers.

#[cfg(test)]
mod tests;

use mammoth_platform::{Deadline, SystemClock};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// Gives up cached blocks.
pub trait Evict: Send + Sync {
    /// Gives up blocks of at least `bytes` if there are so many, with [`Accountant::release_stored`] for each. Called without
    /// any lock of the accountant's, on the thread of whoever needs the memory.
    fn evict(&self, bytes: u64);
}

#[derive(Debug, Default)]
struct State {
    /// What cached blocks hold.
    stored: u64,
    /// What each task at work holds.
    tasks: BTreeMap<u64, u64>,
    /// What all tasks hold.
    held: u64,
    next_task: u64,
}

impl State {
    fn free(&self, total: u64) -> u64 {
        total.saturating_sub(self.stored).saturating_sub(self.held)
    }

    fn of(&self, task: u64) -> u64 {
        self.tasks.get(&task).copied().unwrap_or(0)
    }

    fn add(&mut self, task: u64, bytes: u64) {
        let held = self.tasks.entry(task).or_insert(0);
        *held = held.saturating_add(bytes);
        self.held = self.held.saturating_add(bytes);
    }

    fn take(&mut self, task: u64, bytes: u64) {
        if let Some(held) = self.tasks.get_mut(&task) {
            *held = held.saturating_sub(bytes);
        }
        self.held = self.held.saturating_sub(bytes);
    }
}

struct Shared {
    total: u64,
    state: Mutex<State>,
    freed: Condvar,
    evictor: Mutex<Option<Weak<dyn Evict>>>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What cached blocks keep, however much tasks want.
    fn protected(&self) -> u64 {
        self.total / 2
    }

    /// What tasks could hold in all.
    fn pool(&self, state: &State) -> u64 {
        self.total - state.stored.min(self.protected()).min(self.total)
    }

    fn evict(&self, bytes: u64) {
        let evictor = self.evictor.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(evictor) = evictor.and_then(|weak| weak.upgrade()) {
            evictor.evict(bytes);
        }
    }
}

/// Counts the memory of a process. Clones are the same accountant.
#[derive(Clone)]
pub struct Accountant {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Accountant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accountant").field("total", &self.shared.total).field("state", &*self.shared.state()).finish()
    }
}

impl Accountant {
    /// An accountant over `total` bytes.
    #[must_use]
    pub fn new(total: u64) -> Self {
        let shared = Shared { total, state: Mutex::default(), freed: Condvar::new(), evictor: Mutex::new(None) };
        Self { shared: Arc::new(shared) }
    }

    /// Who evicts blocks when tasks need memory. Held weakly, as it will know the accountant.
    pub fn set_evictor(&self, evictor: Weak<dyn Evict>) {
        *self.shared.evictor.lock().unwrap_or_else(PoisonError::into_inner) = Some(evictor);
    }

    /// All that there is, bytes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.shared.total
    }

    /// What nobody holds, bytes.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.shared.state().free(self.shared.total)
    }

    /// A task begins its work. It counts among the N as long as this, or a reservation made from it, lives.
    #[must_use]
    pub fn begin_task(&self) -> TaskMemory {
        let mut state = self.shared.state();
        let number = state.next_task;
        state.next_task += 1;
        state.tasks.insert(number, 0);
        drop(state);
        TaskMemory { task: Arc::new(Task { shared: Arc::clone(&self.shared), number }) }
    }

    /// Counts `bytes` for a cached block, if so many are free. Makes no room itself: the block manager decides what goes.
    #[must_use]
    pub fn try_store(&self, bytes: u64) -> bool {
        let mut state = self.shared.state();
        let is_free = state.free(self.shared.total) >= bytes;
        if is_free {
            state.stored += bytes;
        }
        is_free
    }

    /// A cached block gave its bytes back.
    pub fn release_stored(&self, bytes: u64) {
        let mut state = self.shared.state();
        state.stored = state.stored.saturating_sub(bytes);
        drop(state);
        self.shared.freed.notify_all();
    }

    /// What cached blocks hold, bytes.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.shared.state().stored
    }
}

struct Task {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Task {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        let held = state.tasks.remove(&self.number).unwrap_or(0);
        state.held = state.held.saturating_sub(held);
        drop(state);
        self.shared.freed.notify_all();
    }
}

/// A task at work. Clones are the same task.
#[derive(Clone)]
pub struct TaskMemory {
    task: Arc<Task>,
}

impl std::fmt::Debug for TaskMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskMemory").field("held", &self.held()).finish()
    }
}

impl TaskMemory {
    /// An empty reservation for one of the task's consumers.
    #[must_use]
    pub fn reservation(&self) -> Reservation {
        Reservation { task: Arc::clone(&self.task), bytes: 0 }
    }

    /// What all of the task's reservations hold, bytes.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.task.shared.state().of(self.task.number)
    }
}

/// Memory that one consumer holds. Dropping it gives everything back.
pub struct Reservation {
    task: Arc<Task>,
    bytes: u64,
}

impl std::fmt::Debug for Reservation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reservation").field("bytes", &self.bytes).finish()
    }
}

impl Reservation {
    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Holds `bytes` more, all or none. Cached blocks may be evicted for them. Never waits.
    #[must_use]
    pub fn try_grow(&mut self, bytes: u64) -> bool {
        self.grow(bytes, Duration::ZERO)
    }

    /// As [`Self::try_grow`], but a task that would still hold less than 1/2N waits up to `wait` for others to give back.
    #[must_use]
    pub fn grow(&mut self, bytes: u64, wait: Duration) -> bool {
        let deadline = Deadline::after(&SystemClock, wait);
        let shared = &self.task.shared;
        let mut state = shared.state();
        let mut has_evicted = false;
        loop {
            let (pool, tasks) = (shared.pool(&state), state.tasks.len().max(1) as u64);
            let after = state.of(self.task.number).saturating_add(bytes);
            if after > pool / tasks {
                return false;
            }
            let free = state.free(shared.total);
            if free >= bytes {
                state.add(self.task.number, bytes);
                self.bytes += bytes;
                return true;
            }
            let evictable = state.stored.saturating_sub(shared.protected());
            if evictable > 0 && !has_evicted {
                has_evicted = true;
                drop(state);
                shared.evict((bytes - free).min(evictable));
                state = shared.state();
                continue;
            }
            let left = deadline.left(&SystemClock);
            if left.is_zero() || after > pool / (2 * tasks) {
                return false;
            }
            state = shared.freed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            has_evicted = false;
        }
    }

    /// Holds `bytes` more, whatever the account says: for the little without which no work can go on, and for what was
    /// allocated already. Others are refused the more.
    pub fn force(&mut self, bytes: u64) {
        self.task.shared.state().add(self.task.number, bytes);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Gives `bytes` back, at most all.
    pub fn shrink(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        if bytes == 0 {
            return;
        }
        self.bytes -= bytes;
        self.task.shared.state().take(self.task.number, bytes);
        self.task.shared.freed.notify_all();
    }

    /// Gives everything back.
    pub fn clear(&mut self) {
        self.shrink(self.bytes);
    }

    /// Another reservation of the same task, with `bytes` of this one, at most all.
    #[must_use]
    pub fn split(&mut self, bytes: u64) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { task: Arc::clone(&self.task), bytes }
    }

    /// An empty reservation of the same task.
    #[must_use]
    pub fn sibling(&self) -> Self {
        Self { task: Arc::clone(&self.task), bytes: 0 }
    }

    /// What the task holds beyond its 1/N, bytes: since it was granted, others came. A consumer gives it back when it can.
    #[must_use]
    pub fn over_share(&self) -> u64 {
        let shared = &self.task.shared;
        let state = shared.state();
        let share = shared.pool(&state) / state.tasks.len().max(1) as u64;
        state.of(self.task.number).saturating_sub(share)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.clear();
    }
}
