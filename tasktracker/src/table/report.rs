//! The table as a poll says it.

use super::{Inner, State, Table, wants_outputs};
use crate::names::{ChildId, Owner};
use crate::outputs::Asked;
use mammoth_protocol::jobs::tracker::{AttemptPhase, AttemptReport, ExecutorReport, OutputsWanted, PollRequest};
use mammoth_protocol::jobs::{Counters, JobId, TrackerEpoch, TrackerId};
use mammoth_protocol::limits::INTERNAL_JSON_MAX;
use std::collections::BTreeMap;

/// Bytes of reports in one poll. What does not fit is said as still running, and in full by a later poll.
const REPORT_BYTES_MAX: usize = INTERNAL_JSON_MAX / 4 * 3;

/// What a poll said, to understand its answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) asked: BTreeMap<JobId, Asked>,
    /// Complaints up to this number.
    failures: u64,
}

impl Table {
    /// The next poll.
    pub(crate) fn poll(&self, tracker: TrackerId, epoch: TrackerEpoch, seq: u64, wait_ms: u64) -> (PollRequest, Sent) {
        let inner = self.lock();
        let failures = inner.fetch_failures_known + inner.fetch_failures.len() as u64;
        let mut sent = Sent { asked: BTreeMap::new(), failures };
        for (job, outputs) in &inner.outputs {
            let mut children = inner.children.iter().filter(|(child, _)| wants_outputs(child, *job));
            if children.any(|(_, held)| !held.state.has_ended()) {
                sent.asked.insert(*job, outputs.wanted());
            }
        }
        let (mut jobs, mut apps) = (Vec::new(), Vec::new());
        for owner in &inner.owners {
            match owner {
                Owner::Job(job) => jobs.push(*job),
                Owner::App(app) => apps.push(*app),
            }
        }
        let (attempts, executors) = reports(&inner);
        let wants = |(job, asked): (&JobId, &Asked)| OutputsWanted { job: *job, from: asked.from };
        let request = PollRequest {
            tracker,
            epoch,
            seq,
            attempts,
            executors,
            fetch_failures: inner.fetch_failures.clone(),
            fetch_failures_before: inner.fetch_failures_known,
            wants_outputs: sent.asked.iter().map(wants).collect(),
            jobs,
            apps,
            wait_ms,
        };
        (request, sent)
    }

    /// A poll was answered: what it complained of is known.
    pub(crate) fn answered(&self, sent: &Sent) {
        let mut inner = self.lock();
        let known = sent.failures.saturating_sub(inner.fetch_failures_known);
        let known = usize::try_from(known).unwrap_or(usize::MAX).min(inner.fetch_failures.len());
        inner.fetch_failures.drain(..known);
        inner.fetch_failures_known += known as u64;
    }
}

fn reports(inner: &Inner) -> (Vec<AttemptReport>, Vec<ExecutorReport>) {
    let (mut attempts, mut executors) = (Vec::new(), Vec::new());
    let mut room = REPORT_BYTES_MAX;
    for (child, held) in &inner.children {
        match (child, &held.state) {
            (ChildId::Attempt(attempt), State::Attempt { phase, progress, step, counters }) => {
                let mut report = AttemptReport {
                    attempt: *attempt,
                    state: phase.clone(),
                    progress: *progress,
                    phase: step.clone(),
                    counters: counters.clone(),
                    resources: held.resources,
                };
                fit(&mut report, &mut room);
                attempts.push(report);
            }
            (ChildId::Executor(app, executor), State::Executor(ended)) => {
                room = room.saturating_sub(256 + ended.as_ref().map_or(0, String::len));
                executors.push(ExecutorReport {
                    app: *app,
                    executor: *executor,
                    pid: held.pid,
                    resources: held.resources,
                    ended: ended.clone(),
                });
            }
            (ChildId::Attempt(_), State::Executor(_)) | (ChildId::Executor(..), State::Attempt { .. }) => {}
        }
    }
    (attempts, executors)
}

/// Reduces a report to what there is room for. That an attempt waits for leave to commit is short, and never left out.
fn fit(report: &mut AttemptReport, room: &mut usize) {
    let len = |report: &AttemptReport| serde_json::to_vec(report).map_or(0, |json| json.len());
    let mut bytes = len(report);
    if bytes > *room {
        if bytes > REPORT_BYTES_MAX
            && let AttemptPhase::Succeeded { partitions } = &mut report.state
        {
            // It would never fit; the sizes are only a hint.
            partitions.clear();
        } else if report.state != AttemptPhase::CommitPending {
            report.state = AttemptPhase::Running;
        }
        report.counters = Counters::default();
        bytes = len(report);
    }
    *room = room.saturating_sub(bytes);
}
