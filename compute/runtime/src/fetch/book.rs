//! Who is to be fetched from where, and when: without threads, sockets or a clock.

use super::{FetchConfig, FetchError, Location, MapOutput};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Reports that nobody took yet; later ones are dropped, as each is repeated.
const REPORTS_MAX: usize = 10_000;

/// How a copy failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// The server was not reached at all: others on it would not fare better now.
    Server,
    /// This output, or this time.
    Output,
}

enum Entry {
    /// Nobody said where it is.
    Unknown,
    Wanted(Wanted),
    Fetched,
}

struct Wanted {
    output: MapOutput,
    /// Changes when the output does: what is under way for another one counts no more.
    ticket: u64,
    tries: u32,
}

/// Outputs at one place.
#[derive(Default)]
struct Place {
    queue: VecDeque<(u32, u64)>,
    active: u32,
    /// Connections in a row that failed.
    misses: u32,
    not_before: u64,
}

/// One copy to make.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) output: MapOutput,
    ticket: u64,
}

pub(super) struct Book {
    entries: Vec<Entry>,
    places: BTreeMap<Location, Place>,
    /// Retries: when, map, ticket.
    delayed: BTreeSet<(u64, u32, u64)>,
    reports: VecDeque<FetchError>,
    next_ticket: u64,
    fetched: u32,
    failures: u64,
    tries: u32,
    backoff: u64,
    backoff_max: u64,
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Book {
    pub(super) fn new(config: &FetchConfig) -> Self {
        Self {
            entries: (0..config.maps).map(|_| Entry::Unknown).collect(),
            places: BTreeMap::new(),
            delayed: BTreeSet::new(),
            reports: VecDeque::new(),
            next_ticket: 0,
            fetched: 0,
            failures: 0,
            tries: config.tries.max(1),
            backoff: ns(config.backoff).max(1),
            backoff_max: ns(config.backoff_max).max(1),
        }
    }

    pub(super) fn ready(&mut self, output: MapOutput) {
        let Some(entry) = self.entries.get_mut(output.map as usize) else {
            tracing::warn!(map = output.map, output = %output.output, "an output of a map that the job does not have");
            return;
        };
        match entry {
            Entry::Fetched => return,
            Entry::Wanted(wanted) if wanted.output == output => return,
            Entry::Unknown | Entry::Wanted(_) => {}
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.places.entry(output.location.clone()).or_default().queue.push_back((output.map, ticket));
        *entry = Entry::Wanted(Wanted { output, ticket, tries: 0 });
    }

    pub(super) fn lost(&mut self, map: u32, output: &str) {
        let Some(entry) = self.entries.get_mut(map as usize) else { return };
        if matches!(entry, Entry::Wanted(wanted) if wanted.output.output == output) {
            *entry = Entry::Unknown;
            self.reports.retain(|report| report.output != output);
        }
    }

    fn wanted(&self, map: u32, ticket: u64) -> Option<&Wanted> {
        match self.entries.get(map as usize) {
            Some(Entry::Wanted(wanted)) if wanted.ticket == ticket => Some(wanted),
            _ => None,
        }
    }

    /// The next copy to make now, preferably from `near`, else from where the fewest copies are under way.
    pub(super) fn next(&mut self, now: u64, near: Option<&Location>) -> Option<Job> {
        self.requeue(now);
        if let Some(near) = near
            && let Some(job) = self.take_from(&near.clone(), now)
        {
            return Some(job);
        }
        loop {
            let open = self.places.iter().filter(|(_, place)| !place.queue.is_empty() && place.not_before <= now);
            let least = open.min_by_key(|(_, place)| place.active).map(|(location, _)| location.clone())?;
            if let Some(job) = self.take_from(&least, now) {
                return Some(job);
            }
        }
    }

    /// Moves retries whose time has come back into their queues.
    fn requeue(&mut self, now: u64) {
        while let Some((at, map, ticket)) = self.delayed.first().copied().filter(|(at, ..)| *at <= now) {
            self.delayed.remove(&(at, map, ticket));
            let location = self.wanted(map, ticket).map(|wanted| wanted.output.location.clone());
            if let Some(location) = location {
                self.places.entry(location).or_default().queue.push_back((map, ticket));
            }
        }
    }

    fn take_from(&mut self, location: &Location, now: u64) -> Option<Job> {
        let place = self.places.get_mut(location).filter(|place| place.not_before <= now)?;
        while let Some((map, ticket)) = place.queue.pop_front() {
            if let Some(Entry::Wanted(wanted)) = self.entries.get(map as usize)
                && wanted.ticket == ticket
            {
                place.active += 1;
                return Some(Job { output: wanted.output.clone(), ticket });
            }
        }
        None
    }

    /// When something may come up by itself.
    pub(super) fn due(&self) -> Option<u64> {
        let delayed = self.delayed.first().map(|(at, ..)| *at);
        let places = self.places.values().filter(|place| !place.queue.is_empty()).map(|place| place.not_before).min();
        [delayed, places].into_iter().flatten().min()
    }

    /// A copy arrived whole; `false` if that map's output is here already.
    pub(super) fn succeeded(&mut self, job: &Job) -> bool {
        self.ended(job).misses = 0;
        match self.entries.get_mut(job.output.map as usize) {
            Some(Entry::Fetched) | None => false,
            Some(entry) => {
                *entry = Entry::Fetched;
                self.fetched += 1;
                self.reports.retain(|report| report.map != job.output.map);
                true
            }
        }
    }

    /// A copy did not arrive: it is tried again later, and reported if that happened often enough.
    pub(super) fn failed(&mut self, job: &Job, now: u64, blame: Blame, reason: String) {
        self.failures += 1;
        let (tries, backoff, backoff_max) = (self.tries, self.backoff, self.backoff_max);
        let pause = |tries: u32| backoff.saturating_mul(1 << (tries.clamp(1, 32) - 1)).min(backoff_max);
        let place = self.ended(job);
        if blame == Blame::Server {
            place.misses = place.misses.saturating_add(1);
            place.not_before = now.saturating_add(pause(place.misses));
        } else {
            place.misses = 0;
        }
        let misses = place.misses;
        let map = job.output.map;
        let Some(Entry::Wanted(wanted)) = self.entries.get_mut(map as usize) else { return };
        if wanted.ticket != job.ticket {
            return;
        }
        wanted.tries = wanted.tries.saturating_add(1);
        self.delayed.insert((now.saturating_add(pause(wanted.tries)), map, job.ticket));
        if wanted.tries.max(misses) >= tries && self.reports.len() < REPORTS_MAX {
            let MapOutput { map, owner: _, output, location } = wanted.output.clone();
            self.reports.push_back(FetchError { map, output, location, reason, tries: wanted.tries });
        }
    }

    /// A copy was given up without anybody's fault.
    pub(super) fn released(&mut self, job: &Job) {
        self.ended(job);
    }

    fn ended(&mut self, job: &Job) -> &mut Place {
        let place = self.places.entry(job.output.location.clone()).or_default();
        place.active = place.active.saturating_sub(1);
        place
    }

    pub(super) fn take_failure(&mut self) -> Option<FetchError> {
        self.reports.pop_front()
    }

    pub(super) fn is_done(&self) -> bool {
        self.fetched as usize == self.entries.len()
    }

    pub(super) fn fetched(&self) -> u32 {
        self.fetched
    }

    pub(super) fn failures(&self) -> u64 {
        self.failures
    }
}
