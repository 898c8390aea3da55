//! Accumulators on the driver: each task's part is added once, when the task's work counts.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One accumulator, typed.
pub trait Total: Send {
    /// Adds what a task encoded.
    ///
    /// # Errors
    /// Bytes that are no part of it.
    fn add(&mut self, encoded: &[u8]) -> Result<(), String>;

    /// For people.
    fn show(&self) -> String;

    /// To read it.
    fn as_any(&mut self) -> &mut dyn std::any::Any;
}

struct Entry {
    name: String,
    total: Box<dyn Total>,
}

/// All accumulators of a context.
#[derive(Default)]
pub(crate) struct Registry {
    state: Mutex<BTreeMap<u32, Entry>>,
}

impl Registry {
    fn state(&self) -> MutexGuard<'_, BTreeMap<u32, Entry>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, name: &str, total: Box<dyn Total>) -> u32 {
        let mut state = self.state();
        let number = state.last_key_value().map_or(0, |(number, _)| number.saturating_add(1));
        state.insert(number, Entry { name: name.to_owned(), total });
        number
    }

    pub(crate) fn merge(&self, parts: &[(u32, Vec<u8>)]) {
        let mut state = self.state();
        for (number, part) in parts {
            if let Some(entry) = state.get_mut(number)
                && let Err(error) = entry.total.add(part)
            {
                tracing::error!(accumulator = entry.name, error, "a task's part of an accumulator was lost");
            }
        }
    }

    pub(crate) fn with<R>(&self, number: u32, look: impl FnOnce(&mut dyn Total) -> R) -> Option<R> {
        self.state().get_mut(&number).map(|entry| look(&mut *entry.total))
    }

    pub(crate) fn show(&self) -> BTreeMap<String, String> {
        self.state().values().map(|entry| (entry.name.clone(), entry.total.show())).collect()
    }
}
