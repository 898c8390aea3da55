//! Edits: the changes of rows that decisions are made of.

use crate::api::Ending;
use mammoth_protocol::jobs::Counters;
use mammoth_protocol::jobs::spec::ProgramRef;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One change of one row. Numbers are those of job and application ids. The order of variants and fields is part of the log's
/// format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Edit {
    /// A life begins.
    Started {
        /// Wall milliseconds; counts in the first life only.
        at_ms: u64,
    },
    /// A job has an id.
    JobAllocated {
        /// Its number.
        number: u32,
        /// Who asked.
        user: String,
        /// Wall milliseconds.
        at_ms: u64,
    },
    /// A job was handed over.
    JobSubmitted {
        /// Which.
        number: u32,
        /// What a restart must know of it.
        submission: Submission,
    },
    /// All tasks of a job are done.
    JobCommitting {
        /// Which.
        number: u32,
        /// When its first attempt started, wall milliseconds.
        started_ms: u64,
        /// Pages of counters that go with it.
        pages: u16,
    },
    /// A job will not succeed.
    JobAborting {
        /// Which.
        number: u32,
        /// When its first attempt started, wall milliseconds; 0 = never.
        started_ms: u64,
        /// Pages of counters that go with it.
        pages: u16,
        /// Why.
        ending: Ending,
    },
    /// A job is final: it succeeded if it was committing.
    JobEnded {
        /// Which.
        number: u32,
        /// Wall milliseconds.
        at_ms: u64,
    },
    /// Some of a job's counters.
    JobCounters {
        /// The job.
        number: u32,
        /// From 0.
        page: u16,
        /// These.
        counters: Counters,
    },
    /// A job that ended long ago, or was never submitted, goes.
    JobForgotten {
        /// Which.
        number: u32,
    },
    /// Some of its counters go with it.
    CountersForgotten {
        /// The job.
        number: u32,
        /// Which page.
        page: u16,
    },
    /// An application is known.
    AppCreated {
        /// Its number.
        number: u32,
        /// What a restart must know of it.
        record: AppRecord,
    },
    /// An application has ended.
    AppEnded {
        /// Which.
        number: u32,
        /// Wall milliseconds.
        at_ms: u64,
        /// Nothing = well.
        ending: Option<Ending>,
        /// Tasks done.
        tasks_done: u64,
        /// Tasks known.
        tasks_total: u64,
    },
    /// An application that ended long ago goes.
    AppForgotten {
        /// Which.
        number: u32,
    },
}

/// What a restart must know of a job; the rest is read from its specification again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// Place in the queue that jobs and applications share.
    pub place: u64,
    /// The life in which it was submitted.
    pub life: u32,
    /// Path of its specification.
    pub spec: String,
    /// SHA-256 of the specification, lower-case hex.
    pub sha256: String,
    /// For people.
    pub name: String,
    /// In whose name it runs.
    pub user: String,
    /// Folder of its output.
    pub output: Option<String>,
    /// Number of maps.
    pub maps: u32,
    /// Number of reduces.
    pub reduces: u32,
    /// Wall milliseconds.
    pub submitted_ms: u64,
}

/// What a restart must know of an application.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppRecord {
    /// Place in the queue that jobs and applications share.
    pub place: u64,
    /// The life in which it was created.
    pub life: u32,
    /// For people.
    pub name: String,
    /// Whose.
    pub user: String,
    /// URI of the file system where the program lies.
    pub fs: String,
    /// The driver's image.
    pub program: ProgramRef,
    /// `host:port` of the driver.
    pub driver: String,
    /// What executors show to the driver.
    pub secret: String,
    /// Settings that executors get.
    pub settings: BTreeMap<String, String>,
    /// Wall milliseconds.
    pub created_ms: u64,
}
