//! Identities of the job side, in the text form that Hadoop's tools print and parse.

use crate::ids::{BadId, Uuid};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A job: `job_<milliseconds>_<number>`, the first being when the jobtracker was formatted, the second at least 4 digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId {
    /// When the jobtracker's folder was formatted, milliseconds since 1970.
    pub cluster_ms: u64,
    /// Number of the job, from 1.
    pub number: u32,
}

/// An application of the in-memory mode: `application_<milliseconds>_<number>`, numbered apart from jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId {
    /// When the jobtracker's folder was formatted, milliseconds since 1970; 0 for an application without a cluster.
    pub cluster_ms: u64,
    /// Number of the application, from 1.
    pub number: u32,
}

/// What a task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskKind {
    /// Reads one split.
    Map,
    /// Reads one partition of every map's output.
    Reduce,
    /// Makes the output of a job that succeeded visible. Index 0 only.
    Commit,
    /// Removes what a job that failed or was killed left. Index 0 only.
    Abort,
}

impl TaskKind {
    /// The letter in task ids; Hadoop knows `m`, `r` and `c`.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Map => 'm',
            Self::Reduce => 'r',
            Self::Commit => 'c',
            Self::Abort => 'x',
        }
    }

    fn of_letter(text: &str) -> Option<Self> {
        [Self::Map, Self::Reduce, Self::Commit, Self::Abort].into_iter().find(|kind| text == kind.letter().to_string())
    }
}

/// A task of a job: `task_<milliseconds>_<number>_m_000000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    /// The job.
    pub job: JobId,
    /// What it does.
    pub kind: TaskKind,
    /// Which split or partition, from 0.
    pub index: u32,
}

/// One try at a task: `attempt_<milliseconds>_<number>_m_000000_0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId {
    /// The task.
    pub task: TaskId,
    /// Which try, from 0; never used twice.
    pub number: u32,
}

/// A tasktracker, for ever: drawn when its folder is formatted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrackerId(pub Uuid);

impl fmt::Display for TrackerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Registration epoch of a tasktracker: a message of an older epoch is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrackerEpoch(pub u64);

/// An executor within its application; never used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExecutorId(pub u32);

impl fmt::Display for ExecutorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job_{}_{:04}", self.cluster_ms, self.number)
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "application_{}_{:04}", self.cluster_ms, self.number)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let JobId { cluster_ms, number } = self.job;
        write!(f, "task_{cluster_ms}_{number:04}_{}_{:06}", self.kind.letter(), self.index)
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TaskId { job: JobId { cluster_ms, number }, kind, index } = self.task;
        write!(f, "attempt_{cluster_ms}_{number:04}_{}_{index:06}_{}", kind.letter(), self.number)
    }
}

/// A number in its one canonical spelling: digits only, at least `width` of them, no more zeros in front than that takes.
fn number<T: FromStr>(text: &str, width: usize) -> Option<T> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = text.len() == width || (text.len() > width && !text.starts_with('0'));
    if plain && padded { text.parse().ok() } else { None }
}

fn parts<const N: usize>(text: &str, prefix: &str) -> Option<[String; N]> {
    let rest = text.strip_prefix(prefix)?.strip_prefix('_')?;
    rest.split('_').map(str::to_owned).collect::<Vec<_>>().try_into().ok()
}

fn parse_job(ms: &str, digits: &str) -> Option<JobId> {
    Some(JobId { cluster_ms: number(ms, 1)?, number: number(digits, 4)? })
}

fn parse_task(ms: &str, digits: &str, kind: &str, index: &str) -> Option<TaskId> {
    Some(TaskId { job: parse_job(ms, digits)?, kind: TaskKind::of_letter(kind)?, index: number(index, 6)? })
}

impl FromStr for JobId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let id = parts(text, "job").and_then(|[ms, n]| parse_job(&ms, &n));
        id.ok_or_else(|| BadId { expected: "job id (job_<number>_<number>)", text: text.to_owned() })
    }
}

impl FromStr for AppId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let id = parts(text, "application").and_then(|[ms, n]| parse_job(&ms, &n));
        let id = id.map(|JobId { cluster_ms, number }| Self { cluster_ms, number });
        id.ok_or_else(|| BadId { expected: "application id (application_<number>_<number>)", text: text.to_owned() })
    }
}

impl FromStr for TaskId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let id = parts(text, "task").and_then(|[ms, n, kind, index]| parse_task(&ms, &n, &kind, &index));
        id.ok_or_else(|| BadId { expected: "task id (task_<number>_<number>_m_<index>)", text: text.to_owned() })
    }
}

impl FromStr for AttemptId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let id = parts(text, "attempt").and_then(|[ms, n, kind, index, try_]| {
            Some(Self { task: parse_task(&ms, &n, &kind, &index)?, number: number(&try_, 1)? })
        });
        let expected = "attempt id (attempt_<number>_<number>_m_<index>_<try>)";
        id.ok_or_else(|| BadId { expected, text: text.to_owned() })
    }
}

/// Text in JSON, compact fields elsewhere.
macro_rules! text_in_json {
    ($($name:ident as $tuple:ty: |$id:ident| $to:expr, |$from:ident| $make:expr;)*) => {
        $(
            impl Serialize for $name {
                fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                    let $id = self;
                    if s.is_human_readable() { s.collect_str(self) } else { $to.serialize(s) }
                }
            }

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                    if d.is_human_readable() {
                        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
                        text.parse().map_err(serde::de::Error::custom)
                    } else {
                        let $from = <$tuple>::deserialize(d)?;
                        Ok($make)
                    }
                }
            }
        )*
    };
}

text_in_json! {
    JobId as (u64, u32): |id| (id.cluster_ms, id.number), |of| Self { cluster_ms: of.0, number: of.1 };
    AppId as (u64, u32): |id| (id.cluster_ms, id.number), |of| Self { cluster_ms: of.0, number: of.1 };
    TaskId as (JobId, TaskKind, u32): |id| (id.job, id.kind, id.index),
        |of| Self { job: of.0, kind: of.1, index: of.2 };
    AttemptId as (TaskId, u32): |id| (id.task, id.number), |of| Self { task: of.0, number: of.1 };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_hadoops_text_and_no_other() {
        let job = JobId { cluster_ms: 1_700_000_000_123, number: 7 };
        let task = TaskId { job, kind: TaskKind::Reduce, index: 12 };
        let attempt = AttemptId { task, number: 3 };
        assert_eq!(job.to_string(), "job_1700000000123_0007");
        assert_eq!(task.to_string(), "task_1700000000123_0007_r_000012");
        assert_eq!(attempt.to_string(), "attempt_1700000000123_0007_r_000012_3");
        assert_eq!(attempt.to_string().parse(), Ok(attempt));
        let wide = JobId { number: 123_456, ..job };
        assert_eq!(wide.to_string().parse(), Ok(wide));
        for bad in ["job_1", "job_1_7", "job_1_00007", "job_+1_0007", "job_1_0007_m", "task_1_0007", ""] {
            assert!(bad.parse::<JobId>().is_err(), "{bad}");
        }
        assert!("attempt_1_0007_q_000000_0".parse::<AttemptId>().is_err());
    }

    #[test]
    fn ids_are_text_in_json_and_fields_in_binary() {
        let attempt = AttemptId {
            task: TaskId { job: JobId { cluster_ms: 5, number: 1 }, kind: TaskKind::Map, index: 0 },
            number: 1,
        };
        let json = serde_json::to_string(&attempt).unwrap();
        assert_eq!(json, "\"attempt_5_0001_m_000000_1\"");
        assert_eq!(serde_json::from_str::<AttemptId>(&json).unwrap(), attempt);
        let binary = postcard::to_allocvec(&attempt).unwrap();
        assert_eq!(postcard::from_bytes::<AttemptId>(&binary).unwrap(), attempt);
        assert!(binary.len() < 8);
    }
}
