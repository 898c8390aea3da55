//! Hard state as rows: what must survive a restart, and nothing else.
//!
//! | row | key | what |
//! |---|---|---|
//! | meta | `0` | when formatted, how many lives, last numbers |
//! | job | `1` number | one job, from its id to its end |
//! | counters | `2` number page | counters of a job whose tasks are over, in pages that fit a row |
//! | application | `3` number | one application, from its driver to its end |
//!
//! Each [`Edit`] changes one row, and no decision changes a row twice, so that replay skips an edit whose row is already at
//! or past its sequence. The numbers in the meta row that creating edits raise only ever grow: raising them twice is raising
//! them once.

mod codec;
mod edit;
mod step;
#[cfg(test)]
mod tests;

pub(crate) use codec::{decode_record, encode_record, pages_of};
pub use edit::{AppRecord, Edit, Submission};

use crate::api::Ending;
use mammoth_protocol::Seq;
use mammoth_protocol::jobs::Counters;
use mammoth_protocol::journaled::CorruptRow;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Names a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RowKey {
    Meta,
    Job(u32),
    Counters(u32, u16),
    App(u32),
}

/// What the whole is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    /// Record of the last start.
    pub(crate) seq: Seq,
    /// When the first life began, wall milliseconds: part of every id.
    pub(crate) cluster_ms: u64,
    /// Starts so far, this one included.
    pub(crate) lives: u32,
    /// Highest number of a job.
    pub(crate) last_job: u32,
    /// Highest number of an application.
    pub(crate) last_app: u32,
    /// Highest place in the queue that jobs and applications share.
    pub(crate) last_place: u64,
}

/// One job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct JobRow {
    pub(crate) seq: Seq,
    pub(crate) user: String,
    /// When it got its id, wall milliseconds.
    pub(crate) allocated_ms: u64,
    pub(crate) stage: Stage,
}

/// How far a job is, as far as a restart must know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// It has an id.
    Prepared,
    /// Its tasks run, from the start again after a restart.
    Running(Submission),
    /// All tasks are done: only the commit runs.
    Committing(Submission, Past),
    /// It will not succeed: only the tidying up runs.
    Aborting(Submission, Past, Ending),
    /// It is final.
    Ended {
        submission: Submission,
        past: Past,
        /// Nothing = it succeeded.
        ending: Option<Ending>,
        finished_ms: u64,
    },
}

/// What is left of the tasks of a job when they are over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Past {
    /// When its first attempt started, wall milliseconds; 0 = never.
    pub(crate) started_ms: u64,
    /// Pages of counters.
    pub(crate) pages: u16,
}

/// One application.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AppRow {
    pub(crate) seq: Seq,
    pub(crate) record: AppRecord,
    pub(crate) end: Option<AppEnded>,
}

/// How an application ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AppEnded {
    pub(crate) finished_ms: u64,
    pub(crate) ending: Option<Ending>,
    pub(crate) tasks_done: u64,
    pub(crate) tasks_total: u64,
}

impl Stage {
    /// What was submitted, if it was.
    pub(crate) fn submission(&self) -> Option<&Submission> {
        match self {
            Self::Prepared => None,
            Self::Running(submission)
            | Self::Committing(submission, _)
            | Self::Aborting(submission, ..)
            | Self::Ended { submission, .. } => Some(submission),
        }
    }

    pub(crate) fn past(&self) -> Option<Past> {
        match self {
            Self::Prepared | Self::Running(_) => None,
            Self::Committing(_, past) | Self::Aborting(_, past, _) | Self::Ended { past, .. } => Some(*past),
        }
    }

    /// When it became final.
    pub(crate) fn finished_ms(&self) -> Option<u64> {
        match self {
            Self::Ended { finished_ms, .. } => Some(*finished_ms),
            Self::Prepared | Self::Running(_) | Self::Committing(..) | Self::Aborting(..) => None,
        }
    }

    /// Submitted and not final.
    pub(crate) fn is_active(&self) -> bool {
        matches!(self, Self::Running(_) | Self::Committing(..) | Self::Aborting(..))
    }

    /// Final.
    pub(crate) fn is_ended(&self) -> bool {
        matches!(self, Self::Ended { .. })
    }
}

/// All rows, and which of them the checkpoint lacks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    pub(crate) meta: Meta,
    pub(crate) jobs: BTreeMap<u32, JobRow>,
    pub(crate) counters: BTreeMap<(u32, u16), (Seq, Counters)>,
    pub(crate) apps: BTreeMap<u32, AppRow>,
    touched: BTreeSet<RowKey>,
    loading: bool,
    /// The first thing in the log or the checkpoint that cannot be.
    damage: Option<CorruptRow>,
}

impl Rows {
    /// Counters of a job whose tasks are over.
    pub(crate) fn counters_of(&self, job: u32) -> Counters {
        let mut sum = Counters::default();
        for (_, (_, page)) in self.counters.range((job, 0)..=(job, u16::MAX)) {
            sum.merge(page);
        }
        sum
    }

    /// Rows are being loaded: what is derived from them is not there yet.
    pub(crate) fn is_loading(&self) -> bool {
        self.loading
    }

    /// Loading begins, also where the checkpoint has no row yet.
    pub(crate) fn begin_load(&mut self) {
        self.loading = true;
    }

    /// Ends loading.
    ///
    /// # Errors
    /// An edit of the tail did not fit its row.
    pub(crate) fn finish_load(&mut self) -> Result<(), CorruptRow> {
        self.loading = false;
        self.damage.take().map_or(Ok(()), Err)
    }

    /// Moves up to `max` keys of rows touched since they were last taken into `out`, in key order.
    pub(crate) fn take_touched(&mut self, max: usize, out: &mut Vec<Vec<u8>>) {
        for _ in 0..max {
            let Some(key) = self.touched.pop_first() else { return };
            out.push(key.encode());
        }
    }

    /// The keys of all rows, in order.
    pub(crate) fn all_keys(&self) -> Vec<Vec<u8>> {
        let jobs = self.jobs.keys().map(|number| RowKey::Job(*number));
        let counters = self.counters.keys().map(|(number, page)| RowKey::Counters(*number, *page));
        let apps = self.apps.keys().map(|number| RowKey::App(*number));
        [RowKey::Meta].into_iter().chain(jobs).chain(counters).chain(apps).map(RowKey::encode).collect()
    }
}
