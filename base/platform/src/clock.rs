//! The clock: the one place that asks the system for the time.
//!
//! Monotonic time counts from the boot of the machine and stands still while it is suspended, so a laptop that sleeps for
//! an hour does not find its cluster dead.

use mammoth_protocol::Now;
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const NS_PER_MS: u64 = 1_000_000;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Both clocks, in milliseconds.
    fn now(&self) -> Now;

    /// The monotonic clock in nanoseconds, for measuring.
    fn monotonic_ns(&self) -> u64;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Now {
        (**self).now()
    }

    fn monotonic_ns(&self) -> u64 {
        (**self).monotonic_ns()
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

fn nanoseconds(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let rest = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let wall = nanoseconds(clock_gettime(ClockId::Realtime));
        Now { monotonic_ms: self.monotonic_ns() / NS_PER_MS, wall_ms: wall / NS_PER_MS }
    }

    fn monotonic_ns(&self) -> u64 {
        nanoseconds(clock_gettime(ClockId::Monotonic))
    }
}

/// A clock that moves only when told to; clones share the same time.
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    times: Arc<ManualTimes>,
}

#[derive(Debug, Default)]
struct ManualTimes {
    monotonic_ns: AtomicU64,
    wall_ms: AtomicU64,
}

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn at(now: Now) -> Self {
        let clock = Self::default();
        clock.times.monotonic_ns.store(now.monotonic_ms * NS_PER_MS, Ordering::SeqCst);
        clock.times.wall_ms.store(now.wall_ms, Ordering::SeqCst);
        clock
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let ns = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.times.monotonic_ns.fetch_add(ns, Ordering::SeqCst);
        self.times.wall_ms.fetch_add(ns / NS_PER_MS, Ordering::SeqCst);
    }

    /// Sets the wall clock alone, as an operator or a time server would.
    pub fn set_wall_ms(&self, wall_ms: u64) {
        self.times.wall_ms.store(wall_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Now {
        Now { monotonic_ms: self.monotonic_ns() / NS_PER_MS, wall_ms: self.times.wall_ms.load(Ordering::SeqCst) }
    }

    fn monotonic_ns(&self) -> u64 {
        self.times.monotonic_ns.load(Ordering::SeqCst)
    }
}

/// A moment after which blocking code gives up.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at_ns: u64,
}

impl Deadline {
    /// The moment `after` from now.
    #[must_use]
    pub fn after(clock: &dyn Clock, after: Duration) -> Self {
        let ns = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
        Self { at_ns: clock.monotonic_ns().saturating_add(ns) }
    }

    /// How long is left; zero once it has passed.
    #[must_use]
    pub fn left(&self, clock: &dyn Clock) -> Duration {
        Duration::from_nanos(self.at_ns.saturating_sub(clock.monotonic_ns()))
    }

    /// Whether it has passed.
    #[must_use]
    pub fn is_over(&self, clock: &dyn Clock) -> bool {
        clock.monotonic_ns() >= self.at_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_clock_is_monotonic_and_of_this_century() {
        let first = SystemClock.now();
        let second = SystemClock.now();
        assert!(second.monotonic_ms >= first.monotonic_ms);
        assert!(first.wall_ms > 1_700_000_000_000, "milliseconds since 1970: {}", first.wall_ms);
    }

    #[test]
    fn manual_clock_moves_both_and_a_deadline_passes() {
        let clock = ManualClock::at(Now { monotonic_ms: 10, wall_ms: 1000 });
        let deadline = Deadline::after(&clock, Duration::from_millis(5));
        clock.clone().advance(Duration::from_millis(4));
        assert_eq!(clock.now(), Now { monotonic_ms: 14, wall_ms: 1004 });
        assert_eq!(deadline.left(&clock), Duration::from_millis(1));
        assert!(!deadline.is_over(&clock));
        clock.advance(Duration::from_millis(1));
        assert!(deadline.is_over(&clock));
        assert_eq!(deadline.left(&clock), Duration::ZERO);
    }
}
