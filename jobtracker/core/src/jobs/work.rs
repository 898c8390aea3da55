//! The tasks of a job, and what scheduling looks up.

use super::attempt::Attempt;
use super::outputs::Outputs;
use super::tally::Sums;
use super::task::{Output, Task, TaskInput, TaskState};
use mammoth_protocol::Now;
use mammoth_protocol::jobs::spec::JobSpec;
use mammoth_protocol::jobs::{AttemptId, Counters, TaskId, TaskKind, TrackerId, counters::names};
use std::collections::{BTreeMap, BTreeSet};

/// Hosts of a split that are remembered.
const HOSTS_MAX: usize = 16;

/// The tasks of a job.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) maps: Vec<Task>,
    pub(crate) reduces: Vec<Task>,
    pub(crate) commit: Task,
    pub(crate) abort: Task,
    /// Indices of maps that wait.
    pub(crate) pending_maps: BTreeSet<u32>,
    /// Indices of reduces that wait.
    pub(crate) pending_reduces: BTreeSet<u32>,
    /// Waiting maps by the hosts of their data.
    pub(crate) near: BTreeMap<Box<str>, BTreeSet<u32>>,
    hosts: Vec<Box<[Box<str>]>>,
    /// Attempts that have not ended, and where.
    pub(crate) live: BTreeMap<AttemptId, TrackerId>,
    pub(crate) maps_done: u32,
    /// Maps that were done at some time in this life.
    pub(crate) maps_ever: u32,
    pub(crate) reduces_done: u32,
    pub(crate) sums: Sums,
    pub(crate) outputs: Outputs,
    /// Failures of attempts by tracker.
    pub(crate) failures_on: BTreeMap<TrackerId, u32>,
    pub(crate) map_runs: Runs,
    pub(crate) reduce_runs: Runs,
    /// Wall milliseconds; 0 = not yet.
    pub(crate) started_ms: u64,
    /// Why the job fails.
    pub(crate) failure: Option<String>,
}

/// Numbers of attempts of one kind.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Runs {
    pub(crate) launched: u32,
    pub(crate) failed: u32,
    pub(crate) killed: u32,
    /// On the host of its data.
    pub(crate) local: u32,
}

impl Work {
    /// Everything still to be done. Without `tasks`, only the job's commit or abort.
    pub(crate) fn new(spec: &JobSpec, tasks: bool, first: u32, base: u64, now: Now) -> Self {
        let now_ms = now.monotonic_ms;
        let some =
            |kind, count: u32| (0..if tasks { count } else { 0 }).map(move |i| Task::new(kind, i, first, now_ms));
        let maps: Vec<Task> = some(TaskKind::Map, spec.splits.len() as u32).collect();
        let reduces: Vec<Task> = some(TaskKind::Reduce, spec.reduces).collect();
        let hosts = |at: usize| {
            let split = spec.splits.get(at).map(|split| split.hosts.as_slice()).unwrap_or_default();
            split.iter().take(HOSTS_MAX).map(|host| host.as_str().into()).collect()
        };
        let mut work = Self {
            pending_maps: BTreeSet::new(),
            pending_reduces: (0..reduces.len() as u32).collect(),
            near: BTreeMap::new(),
            hosts: (0..maps.len()).map(hosts).collect(),
            commit: Task::new(TaskKind::Commit, 0, first, now_ms),
            abort: Task::new(TaskKind::Abort, 0, first, now_ms),
            live: BTreeMap::new(),
            maps_done: 0,
            maps_ever: 0,
            reduces_done: 0,
            sums: Sums::default(),
            outputs: Outputs::new(base),
            failures_on: BTreeMap::new(),
            map_runs: Runs::default(),
            reduce_runs: Runs::default(),
            started_ms: 0,
            failure: None,
            maps,
            reduces,
        };
        for index in 0..work.maps.len() as u32 {
            work.map_waits(index);
        }
        work
    }

    pub(crate) fn task(&self, id: TaskId) -> Option<&Task> {
        let index = id.index as usize;
        match id.kind {
            TaskKind::Map => self.maps.get(index),
            TaskKind::Reduce => self.reduces.get(index),
            TaskKind::Commit => (index == 0).then_some(&self.commit),
            TaskKind::Abort => (index == 0).then_some(&self.abort),
        }
    }

    pub(crate) fn task_mut(&mut self, id: TaskId) -> Option<&mut Task> {
        let index = id.index as usize;
        match id.kind {
            TaskKind::Map => self.maps.get_mut(index),
            TaskKind::Reduce => self.reduces.get_mut(index),
            TaskKind::Commit => (index == 0).then_some(&mut self.commit),
            TaskKind::Abort => (index == 0).then_some(&mut self.abort),
        }
    }

    pub(crate) fn attempt(&self, id: AttemptId) -> Option<&Attempt> {
        self.task(id.task)?.attempt(id.number)
    }

    /// Every task, maps first.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.maps.iter().chain(&self.reduces).chain([&self.commit, &self.abort])
    }

    /// A map's split lies on this host.
    pub(crate) fn is_near(&self, map: u32, host: &str) -> bool {
        self.hosts.get(map as usize).is_some_and(|hosts| hosts.iter().any(|near| **near == *host))
    }

    /// A waiting map is found by every host of its data.
    pub(crate) fn is_listed_near(&self, map: u32) -> bool {
        let listed = |host: &str| self.near.get(host).is_some_and(|maps| maps.contains(&map));
        self.hosts.get(map as usize).is_none_or(|hosts| hosts.iter().all(|host| listed(host)))
    }

    /// Lets something happen to a task and keeps what is derived from its state.
    pub(crate) fn step(&mut self, id: TaskId, input: TaskInput, attempts_max: u32, now_ms: u64) -> bool {
        let Some(task) = self.task_mut(id) else { return false };
        let was_done = task.is_done();
        if !task.step(input, attempts_max, now_ms) {
            return false;
        }
        let (is_done, waits) = (task.is_done(), task.is_pending());
        match id.kind {
            TaskKind::Map => {
                self.maps_done = self.maps_done + u32::from(is_done) - u32::from(was_done);
                if waits { self.map_waits(id.index) } else { self.map_waits_no_more(id.index) }
            }
            TaskKind::Reduce => {
                self.reduces_done = self.reduces_done + u32::from(is_done) - u32::from(was_done);
                if waits {
                    self.pending_reduces.insert(id.index);
                } else {
                    self.pending_reduces.remove(&id.index);
                }
            }
            TaskKind::Commit | TaskKind::Abort => {}
        }
        true
    }

    fn map_waits(&mut self, index: u32) {
        self.pending_maps.insert(index);
        for host in self.hosts.get(index as usize).into_iter().flatten() {
            self.near.entry(host.clone()).or_default().insert(index);
        }
    }

    fn map_waits_no_more(&mut self, index: u32) {
        self.pending_maps.remove(&index);
        for host in self.hosts.get(index as usize).into_iter().flatten() {
            if let Some(maps) = self.near.get_mut(host) {
                maps.remove(&index);
                if maps.is_empty() {
                    self.near.remove(host);
                }
            }
        }
    }

    /// The output of a successful attempt counts from now on, in place of an earlier one's.
    pub(crate) fn count(&mut self, id: AttemptId) {
        let Some(task) = self.task_mut(id.task) else { return };
        let before = task.counted.replace(id.number);
        let tally_of = |number| task.attempt(number).map(|attempt| attempt.counters.clone()).unwrap_or_default();
        let (old, new) = (before.map(tally_of), tally_of(id.number));
        match old {
            Some(old) => self.sums.take_off(&old),
            None if id.task.kind == TaskKind::Map => self.maps_ever += 1,
            None => {}
        }
        self.sums.add(&new);
    }

    /// Outputs of maps that are done and that `gone` says are not there any more.
    pub(crate) fn outputs_where(&self, gone: impl Fn(&Output) -> bool) -> Vec<(u32, u32)> {
        let lost = |task: &Task| match &task.state {
            TaskState::Done { attempt, output } if gone(output) => Some((task.index, *attempt)),
            TaskState::Done { .. } | TaskState::Pending { .. } | TaskState::Running { .. } | TaskState::Failed => None,
        };
        self.maps.iter().filter_map(lost).collect()
    }

    /// Reduces that may have fetching before them.
    pub(crate) fn fetching(&self) -> usize {
        let fetches = |id: &&AttemptId| {
            let running = self.attempt(**id).filter(|attempt| attempt.is_wanted());
            id.task.kind == TaskKind::Reduce
                && running.is_some_and(|attempt| !matches!(&*attempt.phase, "merge" | "reduce" | "commit"))
        };
        self.live.keys().filter(fetches).count()
    }

    /// Every reduce is done, or there are none and every map is.
    pub(crate) fn is_complete(&self) -> bool {
        if self.reduces.is_empty() {
            self.maps_done as usize == self.maps.len()
        } else {
            self.reduces_done as usize == self.reduces.len()
        }
    }

    /// The sums so far, those of running attempts included, and the job's own counters.
    pub(crate) fn counters(&self) -> Counters {
        let running = self.live.keys().filter_map(|id| {
            let task = self.task(id.task).filter(|task| task.counted.is_none())?;
            task.attempt(id.number).filter(|attempt| attempt.is_wanted()).map(|attempt| &attempt.counters)
        });
        let mut counters = self.sums.counters(running);
        let (maps, reduces) = (&self.map_runs, &self.reduce_runs);
        let own = [
            (names::LAUNCHED_MAPS, maps.launched),
            (names::LAUNCHED_REDUCES, reduces.launched),
            (names::DATA_LOCAL_MAPS, maps.local),
            (names::OTHER_LOCAL_MAPS, maps.launched - maps.local),
            (names::FAILED_MAPS, maps.failed),
            (names::FAILED_REDUCES, reduces.failed),
            (names::KILLED_MAPS, maps.killed),
            (names::KILLED_REDUCES, reduces.killed),
        ];
        for (name, value) in own.into_iter().filter(|(_, value)| *value > 0) {
            counters.add(names::JOB, name, i64::from(value));
        }
        counters
    }
}
