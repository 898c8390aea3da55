//! Wall time, CPU seconds and memory, from the system's own accounts.

use mammoth_platform::clock::{Clock, SystemClock};

/// Clock ticks per second in `/proc` (fixed on Linux's common architectures).
const TICKS: f64 = 100.0;

/// A stopwatch.
pub(crate) struct Wall {
    clock: SystemClock,
    begin: u64,
}

impl Wall {
    /// Starts.
    pub(crate) fn start() -> Self {
        let clock = SystemClock;
        let begin = clock.monotonic_ns();
        Self { clock, begin }
    }

    /// Seconds since the start.
    pub(crate) fn seconds(&self) -> f64 {
        (self.clock.monotonic_ns() - self.begin) as f64 / 1e9
    }
}

fn stat_fields(pid: u32) -> Vec<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.rsplit_once(')').map(|(_, rest)| rest.to_owned()).unwrap_or_default();
    after.split_whitespace().map(str::to_owned).collect()
}

fn ticks(fields: &[String], at: usize) -> f64 {
    fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default()
}

/// CPU seconds that a process has used.
pub(crate) fn cpu_of(pid: u32) -> f64 {
    let fields = stat_fields(pid);
    (ticks(&fields, 11) + ticks(&fields, 12)) / TICKS
}

/// CPU seconds of all ended and awaited children of this process.
pub(crate) fn cpu_of_children() -> f64 {
    let fields = stat_fields(std::process::id());
    (ticks(&fields, 13) + ticks(&fields, 14)) / TICKS
}

/// A memory figure of a process in MiB: `VmRSS` now, `VmHWM` at its peak.
pub(crate) fn memory_mib(pid: u32, figure: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(figure)).unwrap_or_default();
    let kib: f64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or_default();
    kib / 1024.0
}

/// The middle value.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
