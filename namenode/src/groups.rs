//! Groups of callers, resolved here and not believed from clients, and remembered for a while.

use mammoth_platform::{Clock, process};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How long an answer is remembered (Hadoop: `hadoop.security.groups.cache.secs`).
const KEEP_MS: u64 = 300_000;
/// Most users remembered; a flood of made-up names must not fill the memory.
const USERS_MAX: usize = 4096;

/// Finds and remembers groups; clones share the memory.
#[derive(Clone)]
pub struct Groups {
    clock: Arc<dyn Clock>,
    known: Arc<Mutex<HashMap<String, Known>>>,
}

struct Known {
    groups: Arc<[String]>,
    until_ms: u64,
}

impl Groups {
    /// Nothing remembered yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, known: Arc::default() }
    }

    /// Groups of a user, empty for an unknown one.
    pub async fn of(&self, user: &str) -> Arc<[String]> {
        let now = self.clock.now().monotonic_ms;
        if let Some(groups) = self.remembered(user, now) {
            return groups;
        }
        let name = user.to_owned();
        // Reads two files, which must not hold up the other connections of this thread.
        let found = tokio::task::spawn_blocking(move || process::groups_of(&name)).await.unwrap_or_default();
        let found: Arc<[String]> = found.into();
        self.remember(user, &found, now);
        found
    }

    fn remembered(&self, user: &str, now_ms: u64) -> Option<Arc<[String]>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(user).filter(|known| known.until_ms > now_ms).map(|known| Arc::clone(&known.groups))
    }

    fn remember(&self, user: &str, groups: &Arc<[String]>, now_ms: u64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= USERS_MAX {
            known.retain(|_, known| known.until_ms > now_ms);
        }
        if known.len() < USERS_MAX {
            known.insert(user.to_owned(), Known { groups: Arc::clone(groups), until_ms: now_ms + KEEP_MS });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mammoth_platform::ManualClock;
    use std::time::Duration;

    #[tokio::test]
    async fn groups_are_remembered_for_a_while() {
        let clock = ManualClock::default();
        let groups = Groups::new(Arc::new(clock.clone()));
        groups.remember("nobody-of-this-machine", &["staff".to_owned()].into(), 0);
        assert_eq!(*groups.of("nobody-of-this-machine").await, ["staff"]);
        clock.advance(Duration::from_millis(KEEP_MS));
        assert!(groups.of("nobody-of-this-machine").await.is_empty(), "the system knows no such user");
    }

    #[test]
    fn the_memory_is_bounded() {
        let groups = Groups::new(Arc::new(ManualClock::default()));
        for i in 0..2 * USERS_MAX {
            groups.remember(&i.to_string(), &Arc::default(), 0);
        }
        assert_eq!(groups.known.lock().expect("not poisoned").len(), USERS_MAX);
    }
}
