//! Wall time, CPU seconds and memory, from the system's own accounts.

use mammoth_platform::clock::{Clock, SystemClock};
use std::collections::BTreeSet;
use std::iter::Sum;
use std::ops::{Add, Sub};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

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

/// CPU seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    /// In the programs themselves.
    pub(crate) user: f64,
    /// In the kernel on their behalf.
    pub(crate) system: f64,
}

impl Cpu {
    fn of_fields(fields: &[String], at: usize) -> Self {
        Self { user: ticks(fields, at) / TICKS, system: ticks(fields, at + 1) / TICKS }
    }

    /// Both.
    pub(crate) fn total(self) -> f64 {
        self.user + self.system
    }
}

impl Add for Cpu {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { user: self.user + other.user, system: self.system + other.system }
    }
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { user: self.user - other.user, system: self.system - other.system }
    }
}

impl Sum for Cpu {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

/// CPU that a process has used.
pub(crate) fn cpu_of(pid: u32) -> Cpu {
    Cpu::of_fields(&stat_fields(pid), 11)
}

/// CPU that a process and its ended and awaited children have used.
pub(crate) fn cpu_of_family(pid: u32) -> Cpu {
    let fields = stat_fields(pid);
    Cpu::of_fields(&fields, 11) + Cpu::of_fields(&fields, 13)
}

/// CPU of this process, all threads.
pub(crate) fn cpu_of_self() -> Cpu {
    cpu_of(std::process::id())
}

/// CPU of all ended and awaited children of this process.
pub(crate) fn cpu_of_children() -> Cpu {
    Cpu::of_fields(&stat_fields(std::process::id()), 13)
}

/// Has the system bring memory in and take it back. The first touch of a page that a virtual machine's host took away costs
/// more than whatever is done with it, so whoever measures anything else asks for it beforehand.
pub(crate) fn warm(mib: u64) {
    let available = memory_line("/proc/meminfo", "MemAvailable") / 2.0;
    let bytes = usize::try_from(mib.min(available as u64) << 20).unwrap_or(0);
    let mut memory = vec![0_u8; bytes];
    memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    std::hint::black_box(&mut memory);
}

/// Pause between two looks at the memory of many processes.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// Watches the memory of processes and all that descend from them or from this one.
pub(crate) struct Peak {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<f64>,
}

impl Peak {
    /// Starts to watch.
    pub(crate) fn watch(roots: Vec<u32>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut peak = 0.0_f64;
            while !stopped.load(Ordering::Relaxed) {
                let sum =
                    family(&roots).into_iter().map(|pid| memory_line(&format!("/proc/{pid}/smaps_rollup"), "Pss:"));
                peak = peak.max(sum.sum());
                std::thread::sleep(LOOK_PAUSE);
            }
            peak
        });
        Self { stop, thread }
    }

    /// The most that they held together, MiB; a page that several share counts once.
    pub(crate) fn end(self) -> f64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or(f64::NAN)
    }
}

/// Processes, what descends from them, and what descends from this one.
fn family(roots: &[u32]) -> BTreeSet<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: Vec<(u32, u32)> = pids.filter_map(|pid| Some((pid, stat_fields(pid).get(1)?.parse().ok()?))).collect();
    let own = std::process::id();
    let mut family: BTreeSet<u32> = roots.iter().copied().chain([own]).collect();
    loop {
        let before = family.len();
        family.extend(
            parents.iter().filter(|(_, parent)| family.contains(parent)).map(|(pid, _)| *pid).collect::<Vec<_>>(),
        );
        if family.len() == before {
            family.remove(&own);
            return family;
        }
    }
}

/// A memory figure of a process in MiB: `VmRSS` now, `VmHWM` at its peak.
pub(crate) fn memory_mib(pid: u32, figure: &str) -> f64 {
    memory_line(&format!("/proc/{pid}/status"), figure)
}

/// A line of a file that counts in KiB, as MiB.
fn memory_line(file: &str, figure: &str) -> f64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(figure)).unwrap_or_default();
    let kib: f64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or_default();
    kib / 1024.0
}

/// The middle value.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
