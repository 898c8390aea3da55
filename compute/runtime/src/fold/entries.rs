//! What a fold table gives in the end: from memory, or merged from runs.

use super::table::{Drained, Table};
use super::{Accumulator, FoldStats, MergeFn, decode};
use crate::error::RuntimeError;
use crate::merge::{Groups, MergeStream, OpenRuns};
use crate::run::{Run, SpillConfig, Stopwatch};

/// Accumulators by partition and encoded key.
pub struct FoldEntries<A> {
    source: Source<A>,
    stats: FoldStats,
}

enum Source<A> {
    /// The table is kept for its reservation.
    Memory {
        sorted: Drained<A>,
        _table: Table<A>,
    },
    Runs {
        open: OpenRuns,
        partition: u32,
        partitions: u32,
        groups: Groups<MergeStream<'static>>,
        merge: MergeFn<A>,
    },
}

impl<A> std::fmt::Debug for FoldEntries<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FoldEntries").field("stats", &self.stats).finish_non_exhaustive()
    }
}

impl<A: Accumulator> FoldEntries<A> {
    pub(super) fn of_memory(sorted: Drained<A>, table: Table<A>, stats: FoldStats) -> Self {
        Self { source: Source::Memory { sorted, _table: table }, stats }
    }

    pub(super) fn of_runs(
        runs: Vec<Run>,
        partitions: u32,
        spill: &SpillConfig,
        merge: MergeFn<A>,
        mut stats: FoldStats,
    ) -> Result<Self, RuntimeError> {
        let mut watch = Stopwatch::start();
        let mut open = OpenRuns::open(runs, spill)?;
        let groups = Groups::new(open.merge(0));
        stats.merge_ns += watch.lap();
        Ok(Self { source: Source::Runs { open, partition: 0, partitions, groups, merge }, stats })
    }

    /// The next one: partition, encoded key, accumulator.
    ///
    /// # Errors
    /// Runs cannot be read.
    #[expect(clippy::should_implement_trait, reason = "it lends the key, which an iterator cannot")]
    #[expect(clippy::type_complexity, reason = "three plain things, each named in the sentence above")]
    pub fn next(&mut self) -> Result<Option<(u32, &[u8], A)>, RuntimeError> {
        match &mut self.source {
            Source::Memory { sorted, .. } => {
                let next = sorted.next();
                self.stats.keys += u64::from(next.is_some());
                Ok(next)
            }
            Source::Runs { open, partition, partitions, groups, merge } => {
                while !groups.advance_group()? {
                    if *partition + 1 >= *partitions {
                        return Ok(None);
                    }
                    *partition += 1;
                    *groups = Groups::new(open.merge(*partition));
                }
                let mut sum: Option<A> = None;
                while groups.advance_value()? {
                    let next = decode(groups.value())?;
                    match &mut sum {
                        Some(sum) => merge(sum, next),
                        None => sum = Some(next),
                    }
                }
                self.stats.keys += 1;
                Ok(sum.map(|sum| (*partition, groups.key(), sum)))
            }
        }
    }

    /// What it took so far.
    #[must_use]
    pub fn stats(&self) -> FoldStats {
        self.stats
    }
}
