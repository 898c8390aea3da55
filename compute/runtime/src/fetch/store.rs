//! Where fetched segments are kept.
//!
//! What leaves memory for want of room is merged into one run. Unless the order of equal keys means nothing, only neighbours are
//! merged, as in the merges that follow: segments of consecutive maps, with none among them that is still to come or on disk
//! already. So the runs stay in the order of the maps, whatever order they arrived in.

use super::{FetchConfig, FetchStats, Fetched};
use crate::memory::Reservation;
use crate::merge::{Combiner, Combining, unpacked_max};
use crate::run::{Order, Run, RunFile};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Where the next segment goes.
pub(super) enum Plan {
    /// Into memory that is reserved.
    Memory(Reservation),
    /// To disk.
    Disk,
    /// Merge these to disk first, then ask again.
    Merge(Merging),
    /// Somebody merges; ask again when something has changed.
    Wait,
}

/// Segments that leave memory, in the order of their maps.
pub(super) struct Merging {
    pub(super) runs: Vec<Run>,
    pub(super) combining: Option<Combining>,
    pub(super) leaving: Leaving,
}

/// What the store must know again when they have left.
#[derive(Clone, Debug)]
pub(super) struct Leaving {
    maps: RangeInclusive<u32>,
    bytes: u64,
}

/// The segments of one or more maps that follow one another; with no run they were all empty.
struct Held {
    last: u32,
    run: Option<Run>,
    /// Bytes that merging it out of memory takes.
    unpacked: u64,
}

impl Held {
    /// Bytes that it holds in memory; `None`: it has nothing to do with memory.
    fn in_memory(&self) -> Option<u64> {
        match &self.run {
            Some(Run::Memory(memory)) => Some(memory.bytes.len() as u64),
            Some(Run::File(_)) => None,
            None => Some(0),
        }
    }
}

/// Neighbours leave memory together only from this part of it on: smaller runs than that are not worth the waiting of all others.
const NEIGHBOURS_SHARE: u64 = 8;

/// Unpacking what leaves memory takes no more than one in so many parts of the memory for segments, which is not all that a task
/// has.
const UNPACKED_SHARE: u64 = 4;

/// What a copied segment holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Contents {
    pub(super) bytes: u64,
    pub(super) raw: u64,
    pub(super) records: u64,
}

pub(super) struct Store {
    /// By the first map of each.
    here: BTreeMap<u32, Held>,
    /// Bytes in memory, those on their way included.
    used: u64,
    memory: u64,
    segment_max: u64,
    order: Order,
    keeps_map_order: bool,
    reservation: Reservation,
    combining: Option<Combining>,
    is_merging: bool,
    stats: FetchStats,
}

impl Store {
    pub(super) fn new(config: &FetchConfig, combiner: Option<Box<dyn Combiner>>, reservation: Reservation) -> Self {
        let segment_max = config.memory as f64 * config.segment_percent.clamp(0.0, 1.0);
        Self {
            here: BTreeMap::new(),
            used: 0,
            memory: config.memory,
            segment_max: segment_max as u64,
            order: config.spill.order,
            keeps_map_order: config.keeps_map_order,
            reservation,
            combining: combiner.map(Combining::new),
            is_merging: false,
            stats: FetchStats::default(),
        }
    }

    pub(super) fn plan(&mut self, len: u64) -> Plan {
        if len > self.segment_max {
            return Plan::Disk;
        }
        if self.used.saturating_add(len) <= self.memory && self.reservation.try_grow(len) {
            self.used += len;
            return Plan::Memory(self.reservation.split(len));
        }
        if self.order == Order::Arrival {
            return Plan::Disk;
        }
        if self.is_merging {
            return Plan::Wait;
        }
        let leaving = if self.keeps_map_order { self.neighbours() } else { self.all_in_memory() };
        let Some(leaving) = leaving else { return Plan::Disk };
        let leaving = self.cut(leaving);
        let within = self.here.range(leaving.maps.clone());
        let firsts: Vec<u32> = within.filter(|(_, held)| held.in_memory().is_some()).map(|(first, _)| *first).collect();
        let runs = firsts.iter().filter_map(|first| self.here.remove(first)?.run).collect();
        self.is_merging = true;
        Plan::Merge(Merging { runs, combining: self.combining.take(), leaving })
    }

    /// As much of it as can be merged in a part of the memory beyond what is in use, two segments at least: frames that are
    /// compressed are unpacked one of each segment at a time.
    fn cut(&self, leaving: Leaving) -> Leaving {
        let room = self.memory / UNPACKED_SHARE;
        let mut taken = Leaving { maps: leaving.maps.clone(), bytes: 0 };
        let (mut unpacked, mut runs) = (0_u64, 0);
        for (first, held) in self.here.range(leaving.maps) {
            let Some(bytes) = held.in_memory() else { continue };
            unpacked = unpacked.saturating_add(held.unpacked);
            if unpacked > room && runs >= 2 {
                break;
            }
            runs += usize::from(bytes > 0);
            taken = Leaving { maps: *taken.maps.start()..=(*first).max(held.last), bytes: taken.bytes + bytes };
        }
        taken
    }

    /// Everything in memory, if that is worth a run. What is on its way may hold most of the memory: merging the little that is
    /// here would only make small runs.
    fn all_in_memory(&self) -> Option<Leaving> {
        let mut of_memory = self
            .here
            .iter()
            .filter_map(|(first, held)| Some((*first, held.in_memory()?)).filter(|(_, bytes)| *bytes > 0));
        let (first, mut bytes) = of_memory.next()?;
        let mut last = first;
        for (map, more) in of_memory {
            (last, bytes) = (map, bytes + more);
        }
        (bytes >= self.used / 2).then_some(Leaving { maps: first..=last, bytes })
    }

    /// The neighbours in memory with the most bytes, if they are worth a run: two segments at least, and not too small a part of
    /// what memory holds. A segment that goes to disk as it comes costs no more than one that is merged.
    fn neighbours(&self) -> Option<Leaving> {
        let mut best: Option<(Leaving, usize)> = None;
        let mut open: Option<(Leaving, usize)> = None;
        for (first, held) in &self.here {
            let Some(bytes) = held.in_memory() else {
                open = None;
                continue;
            };
            let runs = usize::from(bytes > 0);
            let joined = open.take().filter(|(before, _)| before.maps.end().checked_add(1) == Some(*first));
            let (window, runs) = match joined {
                Some((before, count)) => {
                    (Leaving { maps: *before.maps.start()..=held.last, bytes: before.bytes + bytes }, count + runs)
                }
                None => (Leaving { maps: *first..=held.last, bytes }, runs),
            };
            if best.as_ref().is_none_or(|(best, _)| best.bytes < window.bytes) {
                best = Some((window.clone(), runs));
            }
            open = Some((window, runs));
        }
        let (best, runs) = best?;
        (runs >= 2 && best.bytes >= self.used / NEIGHBOURS_SHARE).then_some(best)
    }

    /// The segments that left are on disk now, and what they held in memory is given back.
    pub(super) fn merged(&mut self, leaving: &Leaving, combining: Option<Combining>, run: RunFile) {
        self.is_merging = false;
        self.combining = combining;
        self.used = self.used.saturating_sub(leaving.bytes);
        self.stats.merges += 1;
        self.stats.spilled_records += run.records();
        self.stats.spilled_bytes += run.bytes();
        // Where the order means nothing, other maps of the range may be held by themselves.
        let last = if self.keeps_map_order { *leaving.maps.end() } else { *leaving.maps.start() };
        self.here.insert(*leaving.maps.start(), Held { last, run: Some(Run::File(run)), unpacked: 0 });
    }

    /// Memory that was planned for a segment which did not arrive.
    pub(super) fn give_back(&mut self, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
    }

    /// Takes a segment. Empty ones are only counted.
    pub(super) fn add(&mut self, map: u32, run: Run, contents: Contents, is_written: bool) {
        self.stats.outputs += 1;
        self.stats.bytes += contents.bytes;
        self.stats.raw_bytes += contents.raw;
        self.stats.records += contents.records;
        if is_written {
            self.stats.to_disk += 1;
            self.stats.spilled_records += contents.records;
            self.stats.spilled_bytes += contents.bytes;
        }
        let run = (contents.bytes > 0).then_some(run);
        let unpacked = match &run {
            Some(Run::Memory(memory)) => unpacked_max(&memory.bytes),
            _ => 0,
        };
        self.here.insert(map, Held { last: map, run, unpacked });
    }

    /// Gives away what is here, in the order of the maps.
    pub(super) fn take(&mut self) -> Vec<Fetched> {
        let mut taken = Vec::new();
        for (map, held) in std::mem::take(&mut self.here) {
            self.used = self.used.saturating_sub(held.in_memory().unwrap_or(0));
            taken.extend(held.run.map(|run| Fetched { map, run }));
        }
        taken
    }

    pub(super) fn stats(&self) -> FetchStats {
        let (combine_in, combine_out) = match &self.combining {
            Some(combining) => (combining.records_in, combining.records_out),
            None => (0, 0),
        };
        FetchStats { combine_in, combine_out, ..self.stats }
    }
}
