//! Where fetched segments are kept.

use super::{FetchConfig, FetchStats, Fetched};
use crate::memory::Reservation;
use crate::merge::{Combiner, Combining};
use crate::run::{Order, Run, RunFile};

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
    pub(super) map: u32,
    pub(super) runs: Vec<Run>,
    pub(super) combining: Option<Combining>,
    bytes: u64,
}

/// What a copied segment holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Contents {
    pub(super) bytes: u64,
    pub(super) raw: u64,
    pub(super) records: u64,
}

pub(super) struct Store {
    arrived: Vec<Fetched>,
    /// Bytes in memory, those on their way included.
    used: u64,
    memory: u64,
    segment_max: u64,
    order: Order,
    reservation: Reservation,
    combining: Option<Combining>,
    is_merging: bool,
    stats: FetchStats,
}

impl Store {
    pub(super) fn new(config: &FetchConfig, combiner: Option<Box<dyn Combiner>>, reservation: Reservation) -> Self {
        let segment_max = config.memory as f64 * config.segment_percent.clamp(0.0, 1.0);
        Self {
            arrived: Vec::new(),
            used: 0,
            memory: config.memory,
            segment_max: segment_max as u64,
            order: config.spill.order,
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
        let is_memory = |fetched: &Fetched| matches!(fetched.run, Run::Memory(_));
        let bytes = self.arrived.iter().filter(|fetched| is_memory(fetched)).map(|fetched| fetched.run.bytes()).sum();
        // What is on its way holds most of the memory: merging the little that is here would only make small runs.
        if bytes < self.used / 2 || bytes == 0 {
            return Plan::Disk;
        }
        let (mut leaving, staying): (Vec<Fetched>, Vec<Fetched>) =
            std::mem::take(&mut self.arrived).into_iter().partition(is_memory);
        self.arrived = staying;
        leaving.sort_by_key(|fetched| fetched.map);
        self.is_merging = true;
        let map = leaving.first().map_or(0, |fetched| fetched.map);
        let runs = leaving.into_iter().map(|fetched| fetched.run).collect();
        Plan::Merge(Merging { map, runs, combining: self.combining.take(), bytes })
    }

    /// The segments that left are on disk now, and what they held in memory is given back.
    pub(super) fn merged(&mut self, map: u32, bytes: u64, combining: Option<Combining>, run: RunFile) {
        self.is_merging = false;
        self.combining = combining;
        self.used = self.used.saturating_sub(bytes);
        self.stats.merges += 1;
        self.stats.spilled_records += run.records();
        self.stats.spilled_bytes += run.bytes();
        self.arrived.push(Fetched { map, run: Run::File(run) });
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
        if contents.bytes > 0 {
            self.arrived.push(Fetched { map, run });
        }
    }

    /// Gives away what is here, in the order of the maps.
    pub(super) fn take(&mut self) -> Vec<Fetched> {
        let mut taken = std::mem::take(&mut self.arrived);
        for fetched in &taken {
            if let Run::Memory(memory) = &fetched.run {
                self.used = self.used.saturating_sub(memory.bytes.len() as u64);
            }
        }
        taken.sort_by_key(|fetched| fetched.map);
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

impl Merging {
    /// Bytes that the runs hold in memory.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}
