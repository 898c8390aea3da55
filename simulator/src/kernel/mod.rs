//! What every world has and does: a clock, a queue of events, one seed for all choices, a trace, and the course of a run.
//!
//! A world holds a [`Kernel`] beside its nodes, and says what its events do (see [`Model`]); the rest is here: events happen in
//! order of time, those for a process that is stopped wait until it wakes, each goes into the trace, and once the faults stop
//! everything has to become right. [`disk`] is what the worlds of both masters write to.
//!
//! Nothing here knows what the nodes are, or what is right.

pub mod disk;
mod queue;

use crate::coverage::Coverage;
use crate::rng::Rng;
use mammoth_protocol::Now;
use queue::Queue;
use std::fmt::Debug;

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What went wrong, if anything did.
    pub violation: Option<String>,
    /// A digest of everything that happened: the same seed gives the same.
    pub trace: u64,
    /// What was exercised.
    pub coverage: Coverage,
    /// Events before the faults stopped.
    pub events: u64,
}

/// What all worlds have.
pub struct Kernel<E> {
    /// Milliseconds since the start.
    pub now_ms: u64,
    /// All choices.
    pub rng: Rng,
    /// What was exercised.
    pub coverage: Coverage,
    /// Faults have stopped.
    pub healing: bool,
    /// The wall clock of the process under test is so far ahead.
    pub wall_offset_ms: u64,
    /// Its monotonic clock begins anew with every life.
    pub monotonic_offset_ms: u64,
    queue: Queue<E>,
    violation: Option<String>,
    tells: bool,
    trace: u64,
}

impl<E: Debug> Kernel<E> {
    /// The start of a run. With `MAMMOTH_SIM_TRACE` set, every event is printed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            now_ms: 1,
            rng: Rng::new(seed),
            coverage: Coverage::default(),
            healing: false,
            wall_offset_ms: 0,
            monotonic_offset_ms: 0,
            queue: Queue::default(),
            violation: None,
            tells: std::env::var_os("MAMMOTH_SIM_TRACE").is_some(),
            trace: 0xcbf2_9ce4_8422_2325,
        }
    }

    /// Both clocks of the process under test.
    #[must_use]
    pub const fn now(&self) -> Now {
        Now {
            monotonic_ms: self.monotonic_offset_ms + self.now_ms,
            wall_ms: 1_700_000_000_000 + self.wall_offset_ms + self.now_ms,
        }
    }

    /// Has an event happen after a while.
    pub fn later(&mut self, delay_ms: u64, event: E) {
        self.at(self.now_ms + delay_ms, event);
    }

    /// Has an event happen then.
    pub fn at(&mut self, at_ms: u64, event: E) {
        self.queue.add(at_ms, event);
    }

    /// Notes what went wrong; the first is what counts.
    pub fn violation(&mut self, what: String) {
        if self.violation.is_none() {
            self.violation = Some(format!("at {} ms: {what}", self.now_ms));
        }
    }

    /// Nothing went wrong so far.
    #[must_use]
    pub const fn is_right(&self) -> bool {
        self.violation.is_none()
    }

    /// Folds something into the trace.
    pub fn record(&mut self, text: &str) {
        if self.tells {
            eprintln!("{text}");
        }
        for byte in text.bytes() {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Whether something that may go wrong does, in so many of a thousand cases; never once the faults have stopped.
    pub fn mishap(&mut self, per_mille: u64) -> bool {
        !self.healing && self.rng.chance(per_mille)
    }

    /// A mishap of the network, counted under its name.
    pub fn network_mishap(&mut self, per_mille: u64, name: &str) -> bool {
        let happens = self.mishap(per_mille);
        if happens {
            self.coverage.hit(name);
        }
        happens
    }

    /// How long a message takes: most are quick, and so many of a thousand are not. Both bounds are milliseconds.
    pub fn message_ms(&mut self, quick_ms: u64, slow_ms: u64, slow_per_mille: u64) -> u64 {
        let most = if self.rng.chance(slow_per_mille) { slow_ms } else { quick_ms };
        1 + self.rng.below(most)
    }

    /// The next event; the clock moves on to it.
    fn next(&mut self) -> Option<E> {
        let Some((at_ms, event)) = self.queue.take() else {
            self.violation("nothing is left to happen".to_owned());
            return None;
        };
        self.now_ms = self.now_ms.max(at_ms);
        Some(event)
    }
}

/// A world: what there is beside the kernel, and what events do to it.
pub trait Model: Sized {
    /// What happens.
    type Event: Debug;

    /// The kernel.
    fn sim(&mut self) -> &mut Kernel<Self::Event>;

    /// When the process wakes that an event is for: a time that is past if it is not stopped.
    fn wakes_ms(&self, event: &Self::Event) -> u64;

    /// Lets an event do what it does, and checks what must hold after every event.
    fn happen(&mut self, event: Self::Event);

    /// The faults have stopped: lets time pass until all is well, or notes what is not.
    fn heal(&mut self);

    /// Lets the next event happen.
    fn step(&mut self) {
        let Some(event) = self.sim().next() else { return };
        let wakes_ms = self.wakes_ms(&event);
        let sim = self.sim();
        if wakes_ms > sim.now_ms {
            return sim.at(wakes_ms, event);
        }
        sim.record(&format!("{} {event:?}", sim.now_ms));
        self.happen(event);
    }

    /// Lets time pass until `unrest`, which is asked now and then, finds nothing left to do; that it does not come to that
    /// within `most_ms` is a violation.
    fn settle(&mut self, most_ms: u64, look_ms: u64, mut unrest: impl FnMut(&mut Self) -> Option<String>) {
        let deadline_ms = self.sim().now_ms + most_ms;
        let mut next_look_ms = self.sim().now_ms + look_ms;
        while self.sim().is_right() {
            self.step();
            let now_ms = self.sim().now_ms;
            if now_ms < next_look_ms {
                continue;
            }
            next_look_ms = now_ms + look_ms;
            let Some(reason) = unrest(self) else { return };
            if now_ms > deadline_ms {
                self.sim().violation(format!("not well after {} s: {reason}", most_ms / 1000));
            }
        }
    }

    /// A whole run: `events` events with faults, then healing.
    fn run(mut self, events: u64) -> Verdict {
        let mut count = 0;
        while count < events && self.sim().is_right() {
            self.step();
            count += 1;
        }
        if self.sim().is_right() {
            self.sim().healing = true;
            self.heal();
        }
        let sim = self.sim();
        let (violation, coverage) = (sim.violation.take(), std::mem::take(&mut sim.coverage));
        Verdict { violation, trace: sim.trace, coverage, events: count }
    }
}
