//! What the tracker holds: attempts and executors from their order to the jobtracker's word that their end is known, and whose
//! files lie here. Everybody who changes it is brief; nothing here touches a disk or a socket.
//!
//! The rest of the tracker is level-triggered by it: a poll says all of it, and each child is told what is wished of it by a
//! value that it watches, never by a message that could be missed.

mod report;

pub(crate) use report::Sent;

use crate::names::{ChildId, Owner};
use crate::outputs::{Asked, Cursor, Outputs};
use mammoth_protocol::jobs::tracker::{AttemptPhase, FetchFailure, LaunchAttempt, LaunchExecutor, OutputEvent};
use mammoth_protocol::jobs::{Counters, JobId, Resources, TaskKind};
use mammoth_protocol::limits::{COUNTER_NAME_BYTES_MAX, COUNTERS_PER_JOB_MAX};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Complaints that wait for a poll; a reduce whose complaint found no room says it again.
const FETCH_FAILURES_MAX: usize = 1000;
/// Longest name of what a task is at.
const STEP_BYTES_MAX: usize = 100;

/// What is wished of a child.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    /// That it ends, and why.
    pub(crate) end: Option<String>,
    /// That it makes its output visible.
    pub(crate) commit: bool,
    /// Grows when there is news of maps' outputs.
    pub(crate) outputs: u64,
}

/// One attempt or executor.
#[derive(Debug)]
struct Held {
    resources: Resources,
    state: State,
    pid: Option<u32>,
    started_ms: u64,
    wish: watch::Sender<Wish>,
}

#[derive(Debug)]
enum State {
    Attempt {
        phase: AttemptPhase,
        progress: f32,
        step: String,
        counters: Counters,
    },
    /// Why it has ended, if it has.
    Executor(Option<String>),
}

impl State {
    fn has_ended(&self) -> bool {
        match self {
            Self::Attempt { phase, .. } => match phase {
                AttemptPhase::Starting | AttemptPhase::Running | AttemptPhase::CommitPending => false,
                AttemptPhase::Succeeded { .. } | AttemptPhase::Failed { .. } | AttemptPhase::Killed { .. } => true,
            },
            Self::Executor(ended) => ended.is_some(),
        }
    }
}

/// One attempt or executor, as pages show it.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) child: ChildId,
    pub(crate) resources: Resources,
    pub(crate) pid: Option<u32>,
    pub(crate) started_ms: u64,
    pub(crate) state: &'static str,
    pub(crate) step: String,
    pub(crate) progress: f32,
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Default)]
struct Inner {
    children: BTreeMap<ChildId, Held>,
    owners: BTreeSet<Owner>,
    /// What was held before; an order to start it is one that was late.
    over: BTreeSet<ChildId>,
    outputs: BTreeMap<JobId, Outputs>,
    fetch_failures: Vec<FetchFailure>,
    /// How many complaints were there before these.
    fetch_failures_known: u64,
    tally: Tally,
}

/// What happened since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) launched: u64,
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    pub(crate) killed: u64,
}

/// The table; see above.
#[derive(Debug)]
pub(crate) struct Table {
    inner: Mutex<Inner>,
    /// Grows with every change that the jobtracker should know at once.
    news: watch::Sender<u64>,
    /// How many children run.
    live: watch::Sender<usize>,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self { inner: Mutex::default(), news: watch::Sender::new(0), live: watch::Sender::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes with everything that the jobtracker should know at once.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// How many children run.
    pub(crate) fn live(&self) -> watch::Receiver<usize> {
        self.live.subscribe()
    }

    fn tell(&self) {
        self.news.send_modify(|news| *news += 1);
    }

    /// Takes an attempt in; `None` if it is held already, or was.
    pub(crate) fn launch(&self, launch: &LaunchAttempt, now_ms: u64) -> Option<watch::Receiver<Wish>> {
        let state = State::Attempt {
            phase: AttemptPhase::Starting,
            progress: 0.0,
            step: "localize".to_owned(),
            counters: Counters::default(),
        };
        let child = ChildId::Attempt(launch.attempt);
        let wish = self.take_in(child, launch.resources, state, now_ms)?;
        if launch.attempt.task.kind == TaskKind::Reduce {
            self.lock().outputs.entry(launch.attempt.task.job).or_default();
        }
        Some(wish)
    }

    /// Takes an executor in; `None` if it is held already, or was.
    pub(crate) fn launch_executor(&self, launch: &LaunchExecutor, now_ms: u64) -> Option<watch::Receiver<Wish>> {
        let child = ChildId::Executor(launch.app, launch.executor);
        self.take_in(child, launch.resources, State::Executor(None), now_ms)
    }

    fn take_in(
        &self,
        child: ChildId,
        resources: Resources,
        state: State,
        started_ms: u64,
    ) -> Option<watch::Receiver<Wish>> {
        let mut inner = self.lock();
        if inner.children.contains_key(&child) || inner.over.contains(&child) {
            return None;
        }
        let (wish, watching) = watch::channel(Wish::default());
        inner.children.insert(child, Held { resources, state, pid: None, started_ms, wish });
        inner.owners.insert(child.owner());
        inner.tally.launched += 1;
        self.count_live(&inner);
        Some(watching)
    }

    fn count_live(&self, inner: &Inner) {
        let live = inner.children.values().filter(|held| !held.state.has_ended()).count();
        self.live.send_if_modified(|before| std::mem::replace(before, live) != live);
    }

    fn change<T>(&self, child: ChildId, change: impl FnOnce(&mut Held) -> T) -> Option<T> {
        self.lock().children.get_mut(&child).map(change)
    }

    /// Wishes that a child ends. The first reason is kept.
    pub(crate) fn end(&self, child: ChildId, reason: &str) {
        self.change(child, |held| held.end(reason));
    }

    /// Wishes that all children end.
    pub(crate) fn end_all(&self, reason: &str) {
        for held in self.lock().children.values_mut() {
            held.end(reason);
        }
    }

    /// Lets an attempt make its output visible.
    pub(crate) fn grant(&self, child: ChildId) {
        self.change(child, |held| held.wish.send_if_modified(|wish| !std::mem::replace(&mut wish.commit, true)));
    }

    /// Drops a child that has ended.
    pub(crate) fn forget(&self, child: ChildId) {
        let mut inner = self.lock();
        if inner.children.get(&child).is_some_and(|held| held.state.has_ended()) {
            inner.children.remove(&child);
            inner.over.insert(child);
        }
    }

    /// Whether the files of a job or application can go: nothing of it runs. What runs is wished to end.
    pub(crate) fn may_drop(&self, owner: Owner) -> bool {
        let mut inner = self.lock();
        let mut live = 0;
        for (_, held) in inner.children.iter_mut().filter(|(child, _)| child.owner() == owner) {
            if !held.state.has_ended() {
                live += 1;
                held.end("nothing of it is needed any more");
            }
        }
        live == 0 && inner.owners.contains(&owner)
    }

    /// The files of a job or application are gone.
    pub(crate) fn dropped(&self, owner: Owner) {
        let mut inner = self.lock();
        inner.children.retain(|child, held| child.owner() != owner || !held.state.has_ended());
        if inner.children.keys().all(|child| child.owner() != owner) {
            inner.owners.remove(&owner);
            inner.over.retain(|child| child.owner() != owner);
            if let Owner::Job(job) = owner {
                inner.outputs.remove(&job);
            }
        }
        drop(inner);
        self.tell();
    }

    /// Jobs and applications whose files lie here.
    pub(crate) fn owners(&self) -> Vec<Owner> {
        self.lock().owners.iter().copied().collect()
    }

    /// A child has a process.
    pub(crate) fn started(&self, child: ChildId, pid: u32) {
        let urgent = self.change(child, |held| {
            held.pid = Some(pid);
            match &mut held.state {
                State::Attempt { phase: phase @ AttemptPhase::Starting, step, .. } => {
                    *phase = AttemptPhase::Running;
                    "start".clone_into(step);
                    false
                }
                State::Attempt { .. } => false,
                State::Executor(_) => true,
            }
        });
        if urgent == Some(true) {
            self.tell();
        }
    }

    /// What an attempt says of its progress.
    pub(crate) fn progress(&self, child: ChildId, share: f32, at: &str, counted: Counters) {
        self.change(child, |held| {
            if let State::Attempt { progress, step, counters, .. } = &mut held.state {
                *progress = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
                *step = at.chars().filter(|c| !c.is_control()).take(STEP_BYTES_MAX).collect();
                *counters = bounded(counted);
            }
        });
    }

    /// An attempt asks whether it may commit, or has been told so.
    pub(crate) fn commit_pending(&self, child: ChildId, pending: bool) {
        self.change(child, |held| {
            if let State::Attempt { phase, .. } = &mut held.state {
                *phase = if pending { AttemptPhase::CommitPending } else { AttemptPhase::Running };
            }
        });
        self.tell();
    }

    /// A reduce could not fetch a map's output.
    pub(crate) fn fetch_failed(&self, failure: FetchFailure) {
        let mut inner = self.lock();
        let same = |other: &FetchFailure| other.reduce == failure.reduce && other.map == failure.map;
        if inner.fetch_failures.len() < FETCH_FAILURES_MAX && !inner.fetch_failures.iter().any(same) {
            inner.fetch_failures.push(failure);
        }
        drop(inner);
        self.tell();
    }

    /// An attempt has ended, and nothing of it is left.
    pub(crate) fn attempt_ended(&self, child: ChildId, end: AttemptPhase, counted: Option<Counters>) {
        let mut inner = self.lock();
        let tally = &mut inner.tally;
        match &end {
            AttemptPhase::Succeeded { .. } => tally.succeeded += 1,
            AttemptPhase::Killed { .. } => tally.killed += 1,
            _ => tally.failed += 1,
        }
        if let Some(held) = inner.children.get_mut(&child) {
            held.pid = None;
            if let State::Attempt { phase, progress, counters, .. } = &mut held.state {
                if let Some(counted) = counted {
                    *counters = bounded(counted);
                }
                if matches!(end, AttemptPhase::Succeeded { .. }) {
                    *progress = 1.0;
                }
                *phase = end;
            }
        }
        self.count_live(&inner);
        drop(inner);
        self.tell();
    }

    /// An executor has ended, and nothing of it is left.
    pub(crate) fn executor_ended(&self, child: ChildId, reason: String) {
        let mut inner = self.lock();
        if let Some(held) = inner.children.get_mut(&child) {
            held.pid = None;
            held.state = State::Executor(Some(reason));
        }
        self.count_live(&inner);
        drop(inner);
        self.tell();
    }

    /// Takes news of maps' outputs that answer a poll which asked so, and wakes the reduces that want them.
    pub(crate) fn take_outputs(&self, job: JobId, asked: Asked, from: u64, events: Vec<OutputEvent>) {
        let mut inner = self.lock();
        let Some(outputs) = inner.outputs.get_mut(&job) else { return };
        if outputs.take(asked, from, events) {
            for (_, held) in inner.children.iter().filter(|(child, _)| wants_outputs(child, job)) {
                held.wish.send_modify(|wish| wish.outputs += 1);
            }
        }
    }

    /// Where a reduce begins to be told of outputs; `None` for what is no reduce.
    pub(crate) fn outputs_start(&self, child: ChildId) -> Option<Cursor> {
        match child {
            ChildId::Attempt(attempt) if attempt.task.kind == TaskKind::Reduce => {
                self.lock().outputs.get(&attempt.task.job).map(Outputs::start)
            }
            _ => None,
        }
    }

    /// The next news of maps' outputs for a reduce.
    pub(crate) fn outputs_after(&self, job: JobId, cursor: &mut Cursor, max: usize) -> Vec<OutputEvent> {
        self.lock().outputs.get(&job).map(|outputs| outputs.after(cursor, max)).unwrap_or_default()
    }

    /// The jobtracker counts outputs anew.
    pub(crate) fn void_outputs(&self) {
        for outputs in self.lock().outputs.values_mut() {
            outputs.void();
        }
    }

    /// What happened since the start.
    pub(crate) fn tally(&self) -> Tally {
        self.lock().tally
    }

    /// Everything that is held, for pages.
    pub(crate) fn shown(&self) -> Vec<Shown> {
        let show = |(child, held): (&ChildId, &Held)| {
            let (state, step, progress, reason) = held.state.shown();
            Shown {
                child: *child,
                resources: held.resources,
                pid: held.pid,
                started_ms: held.started_ms,
                state,
                step,
                progress,
                reason,
            }
        };
        self.lock().children.iter().map(show).collect()
    }
}

impl Held {
    fn end(&mut self, reason: &str) {
        self.wish.send_if_modified(|wish| match wish.end {
            Some(_) => false,
            None => {
                wish.end = Some(reason.to_owned());
                true
            }
        });
    }
}

impl State {
    fn shown(&self) -> (&'static str, String, f32, Option<String>) {
        match self {
            Self::Attempt { phase, progress, step, .. } => {
                let (name, reason) = match phase {
                    AttemptPhase::Starting => ("STARTING", None),
                    AttemptPhase::Running => ("RUNNING", None),
                    AttemptPhase::CommitPending => ("COMMIT_PENDING", None),
                    AttemptPhase::Succeeded { .. } => ("SUCCEEDED", None),
                    AttemptPhase::Failed { reason } => ("FAILED", Some(reason.clone())),
                    AttemptPhase::Killed { reason } => ("KILLED", Some(reason.clone())),
                };
                (name, step.clone(), *progress, reason)
            }
            Self::Executor(None) => ("RUNNING", String::new(), 0.0, None),
            Self::Executor(Some(reason)) => ("ENDED", String::new(), 0.0, Some(reason.clone())),
        }
    }
}

fn wants_outputs(child: &ChildId, job: JobId) -> bool {
    matches!(child, ChildId::Attempt(attempt) if attempt.task.kind == TaskKind::Reduce && attempt.task.job == job)
}

/// Counters within what the jobtracker takes, so that no task can make a poll that is too large.
fn bounded(mut counters: Counters) -> Counters {
    let fits = |name: &String| name.len() <= COUNTER_NAME_BYTES_MAX;
    if counters.len() <= COUNTERS_PER_JOB_MAX
        && counters.groups.iter().all(|(g, names)| fits(g) && names.keys().all(fits))
    {
        return counters;
    }
    let mut left = COUNTERS_PER_JOB_MAX;
    counters.groups.retain(|group, names| {
        names.retain(|name, _| {
            let keep = fits(group) && fits(name) && left > 0;
            left -= usize::from(keep);
            keep
        });
        !names.is_empty()
    });
    counters
}

#[cfg(test)]
mod tests;
