//! What a tracker shall do, given what its last poll held.

use super::{ExecutorKey, Liveness, REPEAT_MS, Told, Tracker};
use crate::apps::ExecutorInput;
use crate::jobs::{AttemptState, Input};
use crate::state::State;
use mammoth_protocol::jobs::tracker::{LaunchAttempt, LaunchExecutor, Order, PollReply};
use mammoth_protocol::jobs::{AppId, AttemptId, JobId, TrackerId};
use mammoth_protocol::limits::{LAUNCH_BYTES_PER_ANSWER, LAUNCHES_PER_ANSWER, OUTPUT_EVENTS_PER_ANSWER};

/// Bytes of a launch besides its texts.
const LAUNCH_BYTES: usize = 256;

/// Room for launches in one answer.
struct LaunchRoom {
    launches: usize,
    bytes: usize,
}

impl LaunchRoom {
    /// Takes a launch with such texts in; `false` if it has to wait for the next answer. The first one always fits.
    fn take<'a>(&mut self, texts: impl Iterator<Item = &'a String>) -> bool {
        let bytes = LAUNCH_BYTES + texts.map(String::len).sum::<usize>();
        let fits = self.launches == LAUNCHES_PER_ANSWER || (self.launches > 0 && bytes <= self.bytes);
        if fits {
            self.launches -= 1;
            self.bytes = self.bytes.saturating_sub(bytes);
        }
        fits
    }
}

impl State {
    /// There is something to order.
    pub(crate) fn has_orders(&self, id: TrackerId, now_ms: u64) -> bool {
        !self.orders(id, now_ms, 1).is_empty()
    }

    /// Takes the orders for a poll, which are then taken to be said.
    pub(crate) fn take_orders(&mut self, id: TrackerId, seq: u64) -> PollReply {
        let now_ms = self.clock.monotonic_ms;
        let reply = PollReply { seq, orders: self.orders(id, now_ms, usize::MAX) };
        for order in &reply.orders {
            match order {
                Order::Launch(launch) => self.feed(launch.attempt, &Input::Offered),
                Order::LaunchExecutor(launch) => {
                    self.feed_executor((launch.app, launch.executor), &ExecutorInput::Offered);
                }
                Order::Kill { attempt, .. } => self.tell(id, Told::Kill(*attempt), now_ms),
                Order::GrantCommit { attempt } => self.tell(id, Told::Grant(*attempt), now_ms),
                Order::KillExecutor { app, executor, .. } => {
                    self.tell(id, Told::KillExecutor((*app, *executor)), now_ms);
                }
                Order::DropJob { job } => self.tell(id, Told::DropJob(*job), now_ms),
                Order::DropApp { app } => self.tell(id, Told::DropApp(*app), now_ms),
                Order::Forget { .. } | Order::Outputs { .. } | Order::ForgetExecutor { .. } => {}
            }
        }
        if let Some(tracker) = self.trackers.get_mut(&id) {
            tracker.waits = false;
            tracker.answered = Some(reply.clone());
        }
        reply
    }

    fn tell(&mut self, id: TrackerId, told: Told, now_ms: u64) {
        if let Some(tracker) = self.trackers.get_mut(&id) {
            tracker.told.insert(told, now_ms);
        }
    }

    /// At most about `max` orders.
    fn orders(&self, id: TrackerId, now_ms: u64, max: usize) -> Vec<Order> {
        let Some(tracker) = self.trackers.get(&id).filter(|tracker| tracker.state == Liveness::Live) else {
            return Vec::new();
        };
        let mut orders = Vec::new();
        let mut room = LaunchRoom { launches: LAUNCHES_PER_ANSWER, bytes: LAUNCH_BYTES_PER_ANSWER };
        self.of_strays(tracker, now_ms, &mut orders);
        if orders.len() < max {
            self.of_attempts(tracker, now_ms, &mut room, &mut orders);
        }
        if orders.len() < max {
            self.of_executors(tracker, now_ms, &mut room, &mut orders);
        }
        if orders.len() < max {
            self.of_outputs(tracker, max, &mut orders);
        }
        if orders.len() < max {
            self.of_ended(tracker, now_ms, &mut orders);
        }
        orders
    }

    fn of_strays(&self, tracker: &Tracker, now_ms: u64, orders: &mut Vec<Order>) {
        for (attempt, stray) in &tracker.strays {
            let attempt = *attempt;
            if stray.ended {
                orders.push(Order::Forget { attempt });
            } else if tracker.may_tell(Told::Kill(attempt), now_ms) {
                orders.push(Order::Kill { attempt, reason: "it is not wanted any more".to_owned() });
            }
        }
        for ((app, executor), stray) in &tracker.stray_executors {
            let (app, executor) = (*app, *executor);
            if stray.ended {
                orders.push(Order::ForgetExecutor { app, executor });
            } else if tracker.may_tell(Told::KillExecutor((app, executor)), now_ms) {
                let reason = "its application does not want it any more".to_owned();
                orders.push(Order::KillExecutor { app, executor, reason });
            }
        }
    }

    fn of_attempts(&self, tracker: &Tracker, now_ms: u64, room: &mut LaunchRoom, orders: &mut Vec<Order>) {
        for id in tracker.attempts.keys() {
            let job = self.jobs.get(&id.task.job.number);
            let Some(attempt) = job.and_then(|job| job.work.as_ref()?.attempt(*id)) else { continue };
            match &attempt.state {
                AttemptState::Assigned { .. } if room.launches > 0 => {
                    let launch = self.launch(*id).filter(|launch| {
                        let LaunchAttempt { fs, spec, spec_sha256, program, user, .. } = launch;
                        room.take([fs, spec, spec_sha256, &program.path, &program.sha256, user].into_iter())
                    });
                    orders.extend(launch.map(Order::Launch));
                }
                AttemptState::Granted { heard: false } if tracker.may_tell(Told::Grant(*id), now_ms) => {
                    orders.push(Order::GrantCommit { attempt: *id });
                }
                AttemptState::Ending { reason, .. } if tracker.may_tell(Told::Kill(*id), now_ms) => {
                    orders.push(Order::Kill { attempt: *id, reason: reason.clone() });
                }
                AttemptState::Assigned { .. }
                | AttemptState::Running
                | AttemptState::Asking
                | AttemptState::Granted { .. }
                | AttemptState::Ending { .. }
                | AttemptState::Ended(_) => {}
            }
        }
    }

    fn launch(&self, id: AttemptId) -> Option<LaunchAttempt> {
        let number = id.task.job.number;
        let submission = self.rows.jobs.get(&number)?.stage.submission()?;
        let job = self.jobs.get(&number)?;
        let spec = job.spec()?;
        let resources = job.work.as_ref()?.attempt(id)?.resources;
        Some(LaunchAttempt {
            attempt: id,
            fs: spec.fs.clone(),
            spec: submission.spec.clone(),
            spec_sha256: submission.sha256.clone(),
            program: spec.program.clone(),
            user: spec.user.clone(),
            resources,
            maps: submission.maps,
            reduces: submission.reduces,
            timeout_ms: spec.task_timeout_ms,
        })
    }

    fn of_executors(&self, tracker: &Tracker, now_ms: u64, room: &mut LaunchRoom, orders: &mut Vec<Order>) {
        for key in tracker.executors.keys() {
            let Some(executor) = self.apps.get(&key.0.number).and_then(|app| app.executors.get(&key.1)) else {
                continue;
            };
            if executor.is_to_launch() {
                if room.launches == 0 {
                    continue;
                }
                let launch = self.launch_executor(*key).filter(|launch| {
                    let LaunchExecutor { fs, program, user, driver, secret, settings, .. } = launch;
                    let texts = [fs, &program.path, &program.sha256, user, driver, secret].into_iter();
                    room.take(texts.chain(settings.iter().flat_map(|(key, value)| [key, value])))
                });
                orders.extend(launch.map(Order::LaunchExecutor));
            } else if let Some(reason) = executor.is_to_end()
                && tracker.may_tell(Told::KillExecutor(*key), now_ms)
            {
                orders.push(Order::KillExecutor { app: key.0, executor: key.1, reason: reason.to_owned() });
            }
        }
    }

    fn launch_executor(&self, (app, executor): ExecutorKey) -> Option<LaunchExecutor> {
        let record = &self.rows.apps.get(&app.number)?.record;
        let resources = self.apps.get(&app.number)?.executors.get(&executor)?.resources;
        Some(LaunchExecutor {
            app,
            executor,
            fs: record.fs.clone(),
            program: record.program.clone(),
            user: record.user.clone(),
            resources,
            driver: record.driver.clone(),
            secret: record.secret.clone(),
            settings: record.settings.clone(),
        })
    }

    fn of_outputs(&self, tracker: &Tracker, max: usize, orders: &mut Vec<Order>) {
        let mut room = OUTPUT_EVENTS_PER_ANSWER.min(max);
        for (job, from) in &tracker.wants {
            let known = self.jobs.get(&job.number).filter(|known| known.id == *job);
            let after = known.and_then(|known| known.work.as_ref()?.outputs.after(*from, room));
            if let Some((from, events)) = after {
                room -= events.len();
                orders.push(Order::Outputs { job: *job, from, events });
            }
            if room == 0 {
                return;
            }
        }
    }

    fn of_ended(&self, tracker: &Tracker, now_ms: u64, orders: &mut Vec<Order>) {
        for job in &tracker.jobs {
            let holds = tracker.attempts.keys().chain(tracker.strays.keys()).any(|id| id.task.job == *job);
            if !holds && self.is_job_over(*job) && tracker.may_tell(Told::DropJob(*job), now_ms) {
                orders.push(Order::DropJob { job: *job });
            }
        }
        for app in &tracker.apps {
            let holds = tracker.executors.keys().chain(tracker.stray_executors.keys()).any(|(of, _)| of == app);
            if !holds && self.is_app_over(*app) && tracker.may_tell(Told::DropApp(*app), now_ms) {
                orders.push(Order::DropApp { app: *app });
            }
        }
    }

    /// Nothing of the job is needed any more: it is final, or not known.
    fn is_job_over(&self, job: JobId) -> bool {
        let known = self.rows.jobs.get(&job.number).filter(|_| job.cluster_ms == self.rows.meta.cluster_ms);
        known.is_none_or(|row| row.stage.is_ended())
    }

    fn is_app_over(&self, app: AppId) -> bool {
        let known = self.rows.apps.get(&app.number).filter(|_| app.cluster_ms == self.rows.meta.cluster_ms);
        known.is_none_or(|row| row.end.is_some())
    }
}

impl Tracker {
    /// An order that needs time was not said lately.
    fn may_tell(&self, told: Told, now_ms: u64) -> bool {
        self.told.get(&told).is_none_or(|at_ms| now_ms.saturating_sub(*at_ms) >= REPEAT_MS)
    }
}
