//! What a tracker holds, compared with what it was given.

use super::{Liveness, REPEAT_MS, Stray, Tracker};
use crate::api::Answer;
use crate::apps::ExecutorInput;
use crate::jobs::{Fed, Input};
use crate::state::State;
use mammoth_protocol::jobs::tracker::{
    AttemptPhase, AttemptReport, ExecutorReport, FetchFailure, PollReply, PollRequest,
};
use mammoth_protocol::jobs::{AttemptId, TrackerEpoch, TrackerId};
use std::collections::BTreeSet;

/// How a poll is to be answered once everything that follows from it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pending {
    /// As this one was before.
    Again,
    /// With what there is to order; without that at once, or not.
    Orders {
        may_wait: bool,
    },
    /// It is older than the last one taken in: nobody waits for the answer.
    Old,
    Stale,
}

impl State {
    /// Takes a poll in.
    pub(crate) fn poll(&mut self, request: PollRequest) -> Pending {
        let now_ms = self.clock.monotonic_ms;
        let id = request.tracker;
        let Some(tracker) = self.trackers.get_mut(&id).filter(|tracker| tracker.is(request.epoch)) else {
            return Pending::Stale;
        };
        tracker.heard_ms = now_ms;
        tracker.hung_up_ms = None;
        let may_wait = request.wait_ms > 0;
        if request.seq < tracker.seq {
            return Pending::Old;
        }
        if request.seq == tracker.seq && request.seq > 0 {
            return if tracker.answered.is_some() { Pending::Again } else { Pending::Orders { may_wait } };
        }
        tracker.seq = request.seq;
        tracker.answered = None;
        tracker.waits = false;
        tracker.state = Liveness::Live;
        tracker.told.retain(|_, at_ms| now_ms.saturating_sub(*at_ms) < REPEAT_MS);
        tracker.wants = request.wants_outputs.iter().map(|wanted| (wanted.job, wanted.from)).collect();
        tracker.jobs = request.jobs;
        tracker.apps = request.apps;
        self.take_attempts(id, &request.attempts);
        self.take_executors(id, &request.executors);
        self.take_fetch_failures(id, request.fetch_failures_before, &request.fetch_failures);
        Pending::Orders { may_wait }
    }

    /// Answers a poll after everything that follows from it is done.
    pub(crate) fn answer(&mut self, id: TrackerId, seq: u64, pending: Pending) -> Answer {
        let now_ms = self.clock.monotonic_ms;
        match pending {
            Pending::Stale => Answer::Stale,
            Pending::Old => Answer::Orders(PollReply { seq, orders: Vec::new() }),
            Pending::Again => {
                let answered = self.trackers.get(&id).and_then(|tracker| tracker.answered.clone());
                Answer::Orders(answered.unwrap_or(PollReply { seq, orders: Vec::new() }))
            }
            Pending::Orders { may_wait: true } if !self.has_orders(id, now_ms) => {
                if let Some(tracker) = self.trackers.get_mut(&id) {
                    tracker.waits = true;
                }
                Answer::Wait
            }
            Pending::Orders { .. } => Answer::Orders(self.take_orders(id, seq)),
        }
    }

    /// The owner fetches the orders for a poll that waited.
    pub(crate) fn collect(&mut self, id: TrackerId, epoch: TrackerEpoch, seq: u64) -> Answer {
        let Some(tracker) = self.trackers.get(&id).filter(|tracker| tracker.is(epoch)) else { return Answer::Stale };
        if seq != tracker.seq {
            return Answer::Orders(PollReply { seq, orders: Vec::new() });
        }
        match &tracker.answered {
            Some(answered) => Answer::Orders(answered.clone()),
            None => Answer::Orders(self.take_orders(id, seq)),
        }
    }

    fn take_attempts(&mut self, id: TrackerId, reports: &[AttemptReport]) {
        let shown: BTreeSet<AttemptId> = reports.iter().map(|report| report.attempt).collect();
        let Some(tracker) = self.trackers.get_mut(&id) else { return };
        let absent: Vec<_> = tracker.attempts.keys().filter(|attempt| !shown.contains(attempt)).copied().collect();
        tracker.strays.clear();
        for attempt in absent {
            self.feed(attempt, &Input::Absent);
        }
        for report in reports {
            let Some(tracker) = self.trackers.get_mut(&id) else { return };
            let ended = has_ended(&report.state);
            if tracker.attempts.contains_key(&report.attempt) {
                self.take_report(id, report);
            } else {
                tracker.strays.insert(report.attempt, Stray { ended, resources: report.resources });
            }
            // One that has just ended is shown until it is told that this is known.
            if ended && let Some(tracker) = self.trackers.get_mut(&id) {
                tracker.strays.insert(report.attempt, Stray { ended, resources: report.resources });
            }
        }
    }

    fn take_report(&mut self, id: TrackerId, report: &AttemptReport) {
        let number = report.attempt.task.job.number;
        let Some(job) = self.jobs.get_mut(&number) else { return };
        let fed = job.report(report, &self.config, self.clock);
        self.fed(report.attempt, id, fed);
    }

    /// Lets something happen to an attempt, wherever it is.
    pub(crate) fn feed(&mut self, attempt: AttemptId, input: &Input<'_>) {
        let Some(job) = self.jobs.get_mut(&attempt.task.job.number) else { return };
        let Some(tracker) = job.work.as_ref().and_then(|work| work.live.get(&attempt).copied()) else { return };
        let fed = job.feed(attempt, input, &self.config, self.clock);
        self.fed(attempt, tracker, fed);
    }

    fn fed(&mut self, attempt: AttemptId, on: TrackerId, fed: Fed) {
        if let Fed::Freed { failed } = fed
            && let Some(tracker) = self.trackers.get_mut(&on)
        {
            tracker.attempts.remove(&attempt);
            tracker.failures = tracker.failures.saturating_add(u32::from(failed));
        }
        if fed != Fed::Nothing {
            self.news.jobs.insert(attempt.task.job.number);
        }
    }

    fn take_executors(&mut self, id: TrackerId, reports: &[ExecutorReport]) {
        let shown: BTreeSet<_> = reports.iter().map(|report| (report.app, report.executor)).collect();
        let Some(tracker) = self.trackers.get_mut(&id) else { return };
        let absent: Vec<_> = tracker.executors.keys().filter(|key| !shown.contains(key)).copied().collect();
        tracker.stray_executors.clear();
        for executor in absent {
            self.feed_executor(executor, &ExecutorInput::Absent);
        }
        for report in reports {
            let key = (report.app, report.executor);
            let known = self.trackers.get(&id).is_some_and(|tracker| tracker.executors.contains_key(&key));
            if known || self.adopt(id, report) {
                self.feed_executor(key, &ExecutorInput::Seen(report.ended.as_deref()));
            }
            let Some(tracker) = self.trackers.get_mut(&id) else { return };
            if !tracker.executors.contains_key(&key) {
                let stray = Stray { ended: report.ended.is_some(), resources: report.resources };
                tracker.stray_executors.insert(key, stray);
            }
        }
    }

    /// Complaints of reduces on this tracker, of which those are new that have not come with an earlier poll.
    fn take_fetch_failures(&mut self, id: TrackerId, before: u64, failures: &[FetchFailure]) {
        let Some(tracker) = self.trackers.get_mut(&id) else { return };
        let known = tracker.complaints_taken.saturating_sub(before);
        tracker.complaints_taken = tracker.complaints_taken.max(before.saturating_add(failures.len() as u64));
        for failure in failures.iter().skip(usize::try_from(known).unwrap_or(usize::MAX)) {
            self.take_fetch_failure(id, failure);
        }
    }

    /// A reduce on this tracker could not fetch a map's output.
    fn take_fetch_failure(&mut self, id: TrackerId, failure: &FetchFailure) {
        let number = failure.map.task.job.number;
        let Some(job) = self.jobs.get_mut(&number) else { return };
        let ours = failure.reduce.task.job == job.id && failure.map.task.job == job.id;
        if ours && job.complaint(failure, id, &self.config, self.clock) {
            self.news.jobs.insert(number);
        }
    }
}

impl Tracker {
    /// A message of this epoch is of its present registration.
    pub(super) fn is(&self, epoch: TrackerEpoch) -> bool {
        self.epoch == epoch && self.is_live()
    }
}

fn has_ended(phase: &AttemptPhase) -> bool {
    match phase {
        AttemptPhase::Starting | AttemptPhase::Running | AttemptPhase::CommitPending => false,
        AttemptPhase::Succeeded { .. } | AttemptPhase::Failed { .. } | AttemptPhase::Killed { .. } => true,
    }
}
