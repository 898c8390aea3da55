//! What the runs have exercised. A fault that never happened was not survived.

use std::collections::BTreeMap;

/// Counts by name.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    counts: BTreeMap<String, u64>,
}

impl Coverage {
    /// Something happened.
    pub fn hit(&mut self, name: &str) {
        self.many(name, 1);
    }

    /// Something happened several times.
    pub fn many(&mut self, name: &str, times: u64) {
        match self.counts.get_mut(name) {
            Some(count) => *count += times,
            None => drop(self.counts.insert(name.to_owned(), times)),
        }
    }

    /// How often.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or_default()
    }

    /// Adds another run's counts.
    pub fn add(&mut self, other: &Self) {
        for (name, count) in &other.counts {
            self.many(name, *count);
        }
    }

    /// Everything counted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counts.iter().map(|(name, count)| (name.as_str(), *count))
    }
}
