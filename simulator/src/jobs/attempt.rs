//! Fake attempts: what the children of fake tasktrackers do.

use super::bugs::Bug;
use super::doors::is_over;
use super::event::{Event, Index};
use super::world::World;
use mammoth_protocol::jobs::spec::JobSpec;
use mammoth_protocol::jobs::tracker::{AttemptPhase, AttemptReport, FetchFailure, LaunchAttempt};
use mammoth_protocol::jobs::{AttemptId, Counters, TaskKind};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Failed fetches of one output after which a reduce gives up.
const FETCH_FAILURES_MAX: u32 = 10;

/// An attempt on a tracker.
#[derive(Clone, Debug)]
pub struct Held {
    /// As ordered.
    pub launch: LaunchAttempt,
    /// Where it stands.
    pub phase: AttemptPhase,
    /// A reduce has read these outputs, by map.
    pub reads: BTreeMap<u32, AttemptId>,
    /// It thinks that it needs no more of these: the planted mistake.
    skipped: BTreeSet<u32>,
    /// Steps of work left.
    work: u64,
    granted: bool,
    /// By map.
    failed_fetches: BTreeMap<u32, u32>,
    /// No message was lost since it started.
    undisturbed: bool,
    doing: &'static str,
}

impl Held {
    /// As its tracker reports it.
    #[must_use]
    pub fn report(&self, attempt: AttemptId) -> AttemptReport {
        let mut counters = Counters::default();
        if matches!(attempt.task.kind, TaskKind::Map | TaskKind::Reduce) {
            counters.add("sim", "tasks", 1);
        }
        AttemptReport {
            attempt,
            state: self.phase.clone(),
            progress: 0.5,
            phase: self.doing.to_owned(),
            counters,
            resources: self.launch.resources,
        }
    }

    /// It is ended, if it has not ended by itself; whether it was.
    pub(super) fn die(&mut self, reason: &str) -> bool {
        let alive = !is_over(&self.phase);
        if alive {
            self.phase = AttemptPhase::Killed { reason: reason.to_owned() };
        }
        alive
    }
}

/// What a step led to.
enum Moved {
    Goes,
    Waits,
    Over,
}

impl World {
    /// A tracker starts an attempt, unless it holds it already.
    pub(super) fn start_attempt(&mut self, index: Index, launch: LaunchAttempt) {
        let id = launch.attempt;
        let life = self.trackers[index].life;
        if self.trackers[index].held.contains_key(&id) {
            return self.sim.coverage.hit("launch of an attempt that is held");
        }
        if let Err(what) = self.truth.attempt_starts(id, index, life, self.jobtracker.lives) {
            return self.sim.violation(what);
        }
        let work = 1 + self.sim.rng.below(4);
        let held = Held {
            launch,
            phase: AttemptPhase::Starting,
            reads: BTreeMap::new(),
            skipped: BTreeSet::new(),
            work,
            granted: false,
            failed_fetches: BTreeMap::new(),
            undisturbed: self.sim.healing,
            doing: "localize",
        };
        let tracker = &mut self.trackers[index];
        tracker.held.insert(id, held);
        tracker.jobs.insert(id.task.job);
        let (used, capacity) = (tracker.used(), tracker.capacity);
        if !capacity.fits(used) {
            self.sim.violation(format!("tracker {index} has {capacity} and runs {used}"));
        }
        self.attempt_goes_on(index, life, id);
    }

    fn attempt_goes_on(&mut self, tracker: Index, life: u64, attempt: AttemptId) {
        let most = if self.sim.rng.chance(100) { 1_500 } else { 120 };
        let delay = 5 + self.sim.rng.below(most);
        self.sim.later(delay, Event::AttemptMoves { tracker, life, attempt });
    }

    /// An attempt may make its output visible.
    pub(super) fn may_commit(&mut self, index: Index, id: AttemptId) {
        let life = self.trackers[index].life;
        let Some(held) = self.trackers[index].held.get_mut(&id) else { return };
        if held.phase == AttemptPhase::CommitPending && !held.granted {
            held.granted = true;
            held.phase = AttemptPhase::Running;
            held.doing = "commit";
            self.attempt_goes_on(index, life, id);
        }
    }

    /// An attempt that was told to end does.
    pub(super) fn attempt_dies(&mut self, index: Index, life: u64, id: AttemptId) {
        let tracker = &mut self.trackers[index];
        if tracker.up
            && tracker.life == life
            && tracker.held.get_mut(&id).is_some_and(|held| held.die("ended by order"))
        {
            self.sim.coverage.hit("attempt ended by order");
            self.tracker_has_news(index);
        }
    }

    /// An attempt makes its next step.
    pub(super) fn attempt_moves(&mut self, index: Index, life: u64, id: AttemptId) {
        if !self.trackers[index].up || self.trackers[index].life != life {
            return;
        }
        self.fence(index);
        let Some(mut held) = self.trackers[index].held.remove(&id) else { return };
        let moved = if is_over(&held.phase) || held.phase == AttemptPhase::CommitPending {
            Moved::Waits
        } else if self.sim.mishap(25) {
            self.sim.coverage.hit("attempt failed");
            held.phase = AttemptPhase::Failed { reason: "it panicked".to_owned() };
            Moved::Over
        } else {
            self.attempt_works(index, id, &mut held)
        };
        if matches!(held.phase, AttemptPhase::Succeeded { .. }) {
            self.truth.attempt_succeeds(id, &held.reads);
        }
        self.trackers[index].held.insert(id, held);
        match moved {
            Moved::Goes => self.attempt_goes_on(index, life, id),
            Moved::Waits => {}
            Moved::Over => self.tracker_has_news(index),
        }
    }

    fn attempt_works(&mut self, index: Index, id: AttemptId, held: &mut Held) -> Moved {
        let Some(spec) = self.truth.specs.get(&id.task.job).cloned() else { return Moved::Waits };
        if held.phase == AttemptPhase::Starting {
            held.phase = AttemptPhase::Running;
            held.doing = if id.task.kind == TaskKind::Reduce { "shuffle" } else { "map" };
            return Moved::Goes;
        }
        if id.task.kind == TaskKind::Reduce && !self.fetches(index, id, held) {
            return if is_over(&held.phase) { Moved::Over } else { Moved::Goes };
        }
        if held.work > 0 {
            held.work -= 1;
            return Moved::Goes;
        }
        self.attempt_ends(index, id, held, &spec)
    }

    fn attempt_ends(&mut self, index: Index, id: AttemptId, held: &mut Held, spec: &Arc<JobSpec>) -> Moved {
        let done = AttemptPhase::Succeeded { partitions: Vec::new() };
        let commits = match id.task.kind {
            TaskKind::Map if spec.reduces > 0 => {
                self.trackers[index].files.insert(id);
                false
            }
            TaskKind::Map | TaskKind::Reduce => spec.output.is_some(),
            TaskKind::Commit => {
                let told = self.truth.job_commits(id, spec, self.jobtracker.lives);
                told.unwrap_or_else(|what| self.sim.violation(what));
                false
            }
            TaskKind::Abort => {
                self.sim.coverage.hit("job tidied up");
                false
            }
        };
        if commits && !held.granted {
            held.phase = AttemptPhase::CommitPending;
            return Moved::Over;
        }
        if commits && let Err(what) = self.truth.task_commits(id, self.jobtracker.lives) {
            self.sim.violation(what);
        }
        held.phase = done;
        Moved::Over
    }

    /// A reduce fetches what it can; whether it has all.
    fn fetches(&mut self, index: Index, id: AttemptId, held: &mut Held) -> bool {
        if held.doing != "shuffle" {
            return true;
        }
        let known = self.trackers[index].known.get(&id.task.job).map(|known| known.maps.clone()).unwrap_or_default();
        for (map, (attempt, generation)) in known {
            if held.reads.contains_key(&map) || held.skipped.contains(&map) {
                continue;
            }
            let serves = self.trackers.iter().any(|tracker| {
                tracker.up
                    && tracker.generation == generation
                    && tracker.files.contains(&attempt)
                    && !tracker.broken.contains(&attempt)
                    && tracker.hung_until_ms <= self.sim.now_ms
                    && tracker.cut_off_until_ms <= self.sim.now_ms
            });
            if serves {
                held.reads.insert(map, attempt);
                continue;
            }
            self.sim.coverage.hit("fetch failed");
            if self.bug == Some(Bug::OutputSkipped) {
                held.skipped.insert(map);
                continue;
            }
            let times = held.failed_fetches.entry(map).or_default();
            *times += 1;
            let gives_up = *times > FETCH_FAILURES_MAX;
            let failure = FetchFailure { reduce: id, map: attempt, reason: "connection refused".to_owned() };
            self.trackers[index].failures.push(failure);
            self.tracker_has_news(index);
            if gives_up {
                if held.undisturbed {
                    self.sim.violation(format!("{id} complained of {attempt} in vain"));
                }
                held.phase = AttemptPhase::Failed { reason: "too many outputs could not be fetched".to_owned() };
            }
            break;
        }
        let all = held.reads.len() + held.skipped.len() == held.launch.maps as usize;
        if all {
            held.doing = "reduce";
        }
        all
    }
}
