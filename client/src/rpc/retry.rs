//! When a call of the namenode is made again, and after which pause. Pure but for [`Cancel`].

use mammoth_platform::{Clock, Deadline};
use mammoth_protocol::ErrorCode;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Ends pauses early.
#[derive(Debug, Default)]
pub(crate) struct Cancel {
    cancelled: Mutex<bool>,
    changed: Condvar,
}

impl Cancel {
    pub(crate) fn cancel(&self) {
        *self.cancelled.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        *self.cancelled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for `time`; tells whether it was cancelled meanwhile or before.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        let guard = self.cancelled.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(guard, time, |cancelled| !*cancelled);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// A pause that doubles, within a budget of time that starts with the first failure.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    longest: Duration,
    end: Option<Deadline>,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(FIRST_PAUSE, LONGEST_PAUSE)
    }
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { next: first, longest, end: None }
    }

    /// The pause before the next attempt; `None` once the budget is used up.
    pub(crate) fn next(&mut self, clock: &dyn Clock, budget: Duration) -> Option<Duration> {
        if budget.is_zero() {
            return None;
        }
        let end = *self.end.get_or_insert_with(|| Deadline::after(clock, budget));
        let left = end.left(clock);
        if left.is_zero() {
            return None;
        }
        let pause = self.next.min(left);
        self.next = (self.next * 2).min(self.longest);
        Some(pause)
    }
}

/// On whose behalf a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// A user waits for the answer: a namenode in safe mode is reported at once, as an operator may have put it there.
    User,
    /// An open file depends on it: what passes by itself is waited for.
    OpenFile,
}

impl Patience {
    /// How long a refusal is worth waiting for, given how long a restart of the namenode is.
    pub(crate) fn budget_for(self, code: ErrorCode, restart: Duration) -> Duration {
        if !code.is_retryable() {
            return Duration::ZERO;
        }
        match (code, self) {
            (ErrorCode::SafeMode, Self::User) => Duration::ZERO,
            // These depend on datanodes; whoever made the call knows how long they may take.
            (ErrorCode::NotReplicatedYet | ErrorCode::RecoveryInProgress, _) => Duration::ZERO,
            _ => restart,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mammoth_platform::ManualClock;
    use mammoth_protocol::Now;

    #[test]
    fn pauses_double_and_end_with_the_budget() {
        let clock = ManualClock::at(Now::default());
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(25));
        let budget = Duration::from_millis(100);
        let mut pauses = Vec::new();
        while let Some(pause) = backoff.next(&clock, budget) {
            pauses.push(pause.as_millis());
            clock.advance(pause);
        }
        assert_eq!(pauses, [10, 20, 25, 25, 20]);
        assert_eq!(Backoff::default().next(&clock, Duration::ZERO), None);
    }

    #[test]
    fn only_what_passes_by_itself_is_waited_for() {
        let restart = Duration::from_secs(30);
        for code in ErrorCode::ALL {
            let user = Patience::User.budget_for(code, restart);
            let file = Patience::OpenFile.budget_for(code, restart);
            assert!(code.is_retryable() || (user.is_zero() && file.is_zero()), "{code:?}");
        }
        assert_eq!(Patience::User.budget_for(ErrorCode::Standby, restart), restart);
        assert_eq!(Patience::User.budget_for(ErrorCode::SafeMode, restart), Duration::ZERO);
        assert_eq!(Patience::OpenFile.budget_for(ErrorCode::SafeMode, restart), restart);
    }

    #[test]
    fn a_cancelled_pause_ends_at_once() {
        let cancel = Cancel::default();
        assert!(!cancel.pause(Duration::ZERO));
        cancel.cancel();
        assert!(cancel.pause(Duration::from_secs(3600)) && cancel.is_cancelled());
    }
}
