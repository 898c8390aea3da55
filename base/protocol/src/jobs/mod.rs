//! Jobs: what clients, jobtracker, tasktrackers, task processes and drivers say to each other, and the shuffle's files.
//!
//! - [`ids`]: jobs, tasks, attempts, trackers, applications, executors; [`resources`]: what a grant is made of
//! - [`counters`]: counters under Hadoop's names
//! - [`spec`]: a job as its driver stores it in the file system; [`client`]: submitting and watching
//! - [`tracker`]: tasktracker and jobtracker; [`link`]: tasktracker and the process of an attempt or executor
//! - [`app`]: drivers of the in-memory mode and the jobtracker; [`event`]: what happened in an application; [`fold`]: all of it
//! - [`shuffle`]: files and routes between the phases

pub mod app;
pub mod client;
pub mod counters;
pub mod event;
pub mod fold;
pub mod ids;
pub mod link;
pub mod resources;
pub mod shuffle;
pub mod spec;
pub mod tracker;

pub use counters::Counters;
pub use ids::{AppId, AttemptId, ExecutorId, JobId, TaskId, TaskKind, TrackerEpoch, TrackerId};
pub use resources::Resources;
