//! Time as an argument. Nothing in this crate or in a core reads a clock.

use serde::{Deserialize, Serialize};

/// One reading of both clocks. Leases, liveness and timeouts use the first, file times and the retry cache the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Now {
    /// Milliseconds since some start; never goes back, means nothing after a restart.
    pub monotonic_ms: u64,
    /// Milliseconds since 1970-01-01 UTC; may jump.
    pub wall_ms: u64,
}
