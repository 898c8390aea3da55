//! What the tests of all worlds do: run many seeds on all cores there are to speak of, demand that everything that should
//! happen did, that every planted mistake is noticed, and that a seed means the same each time.
//!
//! `MAMMOTH_SIM_SEEDS` runs more seeds (a soak), from `MAMMOTH_SIM_FIRST` on; `MAMMOTH_SIM_EVENTS` makes runs longer;
//! `MAMMOTH_SIM_BUG` plants one mistake, to see what it does; `MAMMOTH_SIM_SEED` runs a single seed.

use mammoth_simulator::Verdict;
use mammoth_simulator::coverage::Coverage;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Range;
use std::panic::RefUnwindSafe;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Seeds of an ordinary test run.
const SEEDS: u64 = 200;
/// Runs at a time.
const THREADS: usize = 2;
/// Violations after which it is not worth while to look for more.
const VIOLATIONS_MAX: usize = 10;

/// What is particular about the tests of one world.
pub(crate) struct Suite<B: 'static> {
    /// Name of the file of its tests.
    pub(crate) name: &'static str,
    /// Runs one seed.
    pub(crate) run: fn(seed: u64, events: u64, bug: Option<B>) -> Verdict,
    /// Events with faults in each run.
    pub(crate) events: u64,
    /// All mistakes that can be planted.
    pub(crate) bugs: &'static [B],
    /// Faults, commands, refusals and endings without which the seeds prove nothing.
    pub(crate) must_happen: &'static [&'static str],
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn seeds() -> u64 {
    number("MAMMOTH_SIM_SEEDS").unwrap_or(SEEDS)
}

impl<B: Copy + Debug + Sync + RefUnwindSafe> Suite<B> {
    fn run_one(&self, seed: u64, bug: Option<B>) -> Verdict {
        (self.run)(seed, number("MAMMOTH_SIM_EVENTS").unwrap_or(self.events), bug)
    }

    fn planted(&self) -> Option<B> {
        let name = std::env::var("MAMMOTH_SIM_BUG").ok()?;
        self.bugs.iter().copied().find(|bug| format!("{bug:?}") == name)
    }

    /// Runs seeds, each thread the next that is left. Answers what was exercised and what went wrong, by seed. Stops early
    /// after `enough` violations.
    fn run_all(&self, seeds: Range<u64>, bug: Option<B>, enough: usize) -> (Coverage, BTreeMap<u64, String>) {
        let next = AtomicU64::new(seeds.start);
        let found = Mutex::new((Coverage::default(), BTreeMap::new()));
        let run = |seed| {
            let verdict = std::panic::catch_unwind(|| self.run_one(seed, bug));
            let mut found = found.lock().expect("no panic meanwhile");
            match verdict {
                Ok(verdict) => {
                    found.0.add(&verdict.coverage);
                    found.1.extend(verdict.violation.map(|violation| (seed, violation)));
                }
                Err(_) => drop(found.1.insert(seed, "a panic".to_owned())),
            }
        };
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds.end || found.lock().expect("no panic meanwhile").1.len() >= enough {
                    return;
                }
                run(seed);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(work);
            }
        });
        found.into_inner().expect("no panic meanwhile")
    }

    /// The same seed gives the same trace, and another seed another.
    pub(crate) fn a_seed_gives_the_same_trace_twice(&self) {
        let trace = |seed| (self.run)(seed, self.events, None).trace;
        for seed in 0..5 {
            assert_eq!(trace(seed), trace(seed), "seed {seed}");
        }
        assert_ne!(trace(1), trace(3));
    }

    /// Nothing goes wrong with any seed, and everything happens with some.
    pub(crate) fn every_seed_keeps_every_promise(&self) {
        let first = number("MAMMOTH_SIM_FIRST").unwrap_or(0);
        let (coverage, violations) = self.run_all(first..first + seeds(), self.planted(), VIOLATIONS_MAX);
        for (name, count) in coverage.iter() {
            println!("{count:>8}  {name}");
        }
        let list: String = violations.iter().map(|(seed, what)| format!("\nseed {seed}: {what}")).collect();
        let again = format!("MAMMOTH_SIM_SEED=… cargo test -p mammoth-simulator --test {} one_seed", self.name);
        assert!(list.is_empty(), "{list}\nagain: {again}");
        for name in self.must_happen {
            assert!(coverage.count(name) > 0, "in {} seeds there was never: {name}", seeds());
        }
    }

    /// The checks see every mistake that can be planted. How many seeds notice one (up to `MAMMOTH_SIM_ENOUGH`) is worth
    /// knowing when a mistake is planted: a single one may not be left after the next change.
    pub(crate) fn every_planted_mistake_is_noticed(&self) {
        let enough = number("MAMMOTH_SIM_ENOUGH").map_or(1, |enough| enough as usize);
        let mut unnoticed = Vec::new();
        for bug in self.bugs {
            let (_, violations) = self.run_all(0..SEEDS, Some(*bug), enough);
            match violations.first_key_value() {
                Some((seed, what)) => {
                    println!("{bug:?}: noticed {} times, first with seed {seed}: {what}", violations.len());
                }
                None => unnoticed.push(bug),
            }
        }
        assert!(unnoticed.is_empty(), "not noticed in {SEEDS} seeds: {unnoticed:?}");
    }

    /// Runs the seed that was asked for, if one was; with `MAMMOTH_SIM_TRACE=1` it prints every event.
    pub(crate) fn one_seed(&self) {
        let Some(seed) = number("MAMMOTH_SIM_SEED") else { return };
        assert_eq!(self.run_one(seed, self.planted()).violation, None, "seed {seed}");
    }
}

/// The tests of a world, by the names that `cargo test` takes.
macro_rules! tests_of {
    ($suite:expr) => {
        #[test]
        fn a_seed_gives_the_same_trace_twice() {
            $suite.a_seed_gives_the_same_trace_twice();
        }

        #[test]
        fn every_seed_keeps_every_promise() {
            $suite.every_seed_keeps_every_promise();
        }

        #[test]
        fn every_planted_mistake_is_noticed() {
            $suite.every_planted_mistake_is_noticed();
        }

        #[test]
        fn one_seed() {
            $suite.one_seed();
        }
    };
}

pub(crate) use tests_of;
