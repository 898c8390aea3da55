//! What a tasktracker can grant, and what an attempt or executor takes: one model for map, reduce and executor.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Cores and memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Processor cores.
    pub cores: u32,
    /// Memory, MiB.
    pub memory_mib: u32,
}

impl Resources {
    /// Whether `wanted` fits into these.
    #[must_use]
    pub const fn fits(self, wanted: Self) -> bool {
        wanted.cores <= self.cores && wanted.memory_mib <= self.memory_mib
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            cores: self.cores.saturating_add(other.cores),
            memory_mib: self.memory_mib.saturating_add(other.memory_mib),
        }
    }

    /// What is left; nothing goes below zero.
    #[must_use]
    pub const fn less(self, other: Self) -> Self {
        Self {
            cores: self.cores.saturating_sub(other.cores),
            memory_mib: self.memory_mib.saturating_sub(other.memory_mib),
        }
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cores, {} MiB", self.cores, self.memory_mib)
    }
}
