//! Counters of attempts, small: a job's attempts count the same things, so each name is kept once a job and an attempt keeps
//! numbers only.

use mammoth_protocol::jobs::Counters;
use mammoth_protocol::limits::{COUNTER_NAME_BYTES_MAX, COUNTERS_PER_JOB_MAX};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What one attempt counted: (name, value).
pub(crate) type Tally = Vec<(u16, i64)>;

/// The names of a job's counters, and the sums over its successful attempts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sums {
    names: BTreeMap<Arc<str>, BTreeMap<Arc<str>, u16>>,
    /// Group and name of each number.
    named: Vec<(Arc<str>, Arc<str>)>,
    values: Vec<i64>,
}

impl Sums {
    /// Takes counters in. Names that are too long or too many are left out.
    pub(crate) fn tally(&mut self, counters: &Counters) -> Tally {
        let mut tally = Tally::new();
        for (group, names) in &counters.groups {
            for (name, value) in names {
                if let Some(number) = self.number(group, name) {
                    tally.push((number, *value));
                }
            }
        }
        tally.shrink_to_fit();
        tally
    }

    fn number(&mut self, group: &str, name: &str) -> Option<u16> {
        if let Some(known) = self.names.get(group).and_then(|names| names.get(name)) {
            return Some(*known);
        }
        let fits = group.len() <= COUNTER_NAME_BYTES_MAX && name.len() <= COUNTER_NAME_BYTES_MAX;
        if !fits || self.values.len() >= COUNTERS_PER_JOB_MAX {
            return None;
        }
        let number = u16::try_from(self.values.len()).ok()?;
        let group = self.names.get_key_value(group).map_or_else(|| group.into(), |(known, _)| known.clone());
        let name: Arc<str> = name.into();
        self.names.entry(group.clone()).or_default().insert(name.clone(), number);
        self.named.push((group, name));
        self.values.push(0);
        Some(number)
    }

    /// An attempt's counters count from now on.
    pub(crate) fn add(&mut self, tally: &Tally) {
        for (number, value) in tally {
            if let Some(sum) = self.values.get_mut(usize::from(*number)) {
                *sum = sum.saturating_add(*value);
            }
        }
    }

    /// They do not any more.
    pub(crate) fn take_off(&mut self, tally: &Tally) {
        for (number, value) in tally {
            if let Some(sum) = self.values.get_mut(usize::from(*number)) {
                *sum = sum.saturating_sub(*value);
            }
        }
    }

    /// The sums, and on top of them what the given attempts have counted so far.
    pub(crate) fn counters<'a>(&self, running: impl Iterator<Item = &'a Tally>) -> Counters {
        let mut with = self.values.clone();
        for tally in running {
            for (number, value) in tally {
                if let Some(sum) = with.get_mut(usize::from(*number)) {
                    *sum = sum.saturating_add(*value);
                }
            }
        }
        let mut counters = Counters::default();
        for ((group, name), value) in self.named.iter().zip(with).filter(|(_, value)| *value != 0) {
            counters.add(group, name, value);
        }
        counters
    }

    /// One attempt's counters with their names.
    pub(crate) fn of(&self, tally: &Tally) -> Counters {
        let mut counters = Counters::default();
        for (number, value) in tally {
            if let Some((group, name)) = self.named.get(usize::from(*number)) {
                counters.add(group, name, *value);
            }
        }
        counters
    }
}
