//! Accumulators on the driver: each task's part is added once, when the task's work counts.
//!
//! Adding and showing are the user's code. What they do wrong is an error of theirs and never the end of the driver's thread.

use crate::task::panic;
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

/// A task's part that could not be added.
#[derive(Debug)]
pub(crate) struct BadPart {
    /// The accumulator's name.
    pub(crate) name: String,
    /// What happened.
    pub(crate) reason: String,
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

    /// Adds what a task added up.
    ///
    /// # Errors
    /// The first part that could not be added. The accumulator may then be anything; the other parts are added all the same.
    pub(crate) fn merge(&self, parts: &[(u32, Vec<u8>)]) -> Result<(), BadPart> {
        let mut state = self.state();
        let mut failed = Ok(());
        for (number, part) in parts {
            let Some(entry) = state.get_mut(number) else { continue };
            if let Err(reason) = panic::catch(|| entry.total.add(part)).flatten() {
                let name = entry.name.clone();
                tracing::error!(accumulator = name, reason, "a task's part of an accumulator was lost");
                failed = failed.and(Err(BadPart { name, reason }));
            }
        }
        failed
    }

    pub(crate) fn with<R>(&self, number: u32, look: impl FnOnce(&mut dyn Total) -> R) -> Option<R> {
        self.state().get_mut(&number).map(|entry| look(&mut *entry.total))
    }

    pub(crate) fn show(&self) -> BTreeMap<String, String> {
        let show = |entry: &Entry| panic::catch(|| entry.total.show()).unwrap_or_else(|text| format!("({text})"));
        self.state().values().map(|entry| (entry.name.clone(), show(entry))).collect()
    }
}
