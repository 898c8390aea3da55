//! The invariants, by name. Tests and the simulator check them after every step; nothing else calls them, as they look at
//! everything.

use crate::jobs::{Attempt, AttemptState, Job, TaskState, Work};
use crate::state::{Queued, State};
use crate::trackers::Liveness;
use mammoth_protocol::Uuid;
use mammoth_protocol::invariant::{Invariant, Violation, check_all, ensure};
use mammoth_protocol::jobs::tracker::OutputEvent;
use mammoth_protocol::jobs::{AttemptId, Resources, TrackerEpoch, TrackerId};
use mammoth_protocol::limits::{JOBS_ENDED_MAX, JOBS_PREPARED_MAX};
use std::collections::{BTreeMap, BTreeSet};

/// All invariants, by name.
const INVARIANTS: &[Invariant<State>] = &[
    ("soft_state_is_of_rows", soft_state_is_of_rows),
    ("grants_fit_trackers", grants_fit_trackers),
    ("live_attempts_are_held", live_attempts_are_held),
    ("live_executors_are_held", live_executors_are_held),
    ("attempts_are_numbered_once", attempts_are_numbered_once),
    ("one_attempt_brings_a_task_on", one_attempt_brings_a_task_on),
    ("one_attempt_may_commit", one_attempt_may_commit),
    ("waiting_tasks_are_listed", waiting_tasks_are_listed),
    ("outputs_are_of_done_maps", outputs_are_of_done_maps),
    ("reduces_end_after_maps", reduces_end_after_maps),
    ("gone_trackers_hold_nothing", gone_trackers_hold_nothing),
    ("memory_is_bounded", memory_is_bounded),
];

/// Checks every invariant of the state.
///
/// # Errors
/// The first that does not hold.
pub fn check(state: &State) -> Result<(), Violation> {
    check_all(state, INVARIANTS)
}

/// The whole hard state as the checkpoint would have it, in key order: for audits that compare two states.
#[must_use]
pub fn rows(state: &State) -> Vec<(Vec<u8>, Vec<u8>)> {
    let encoded = state.rows.all_keys().into_iter().map(|key| {
        let mut value = Vec::new();
        state.rows.encode_row(&key, &mut value);
        (key, value)
    });
    encoded.collect()
}

/// Jobs and applications that have not ended: for audits of I11.
#[must_use]
pub fn unfinished(state: &State) -> (usize, usize) {
    let jobs = state.rows.jobs.values().filter(|row| row.stage.is_active()).count();
    (jobs, state.rows.apps.values().filter(|row| row.end.is_none()).count())
}

/// Outputs of maps that reduces may still need, with the tracker, the folder and the tracker's registration: for audits that
/// compare with what is really on disks.
#[must_use]
pub fn outputs(state: &State) -> Vec<(AttemptId, TrackerId, Uuid, TrackerEpoch)> {
    let needed = works(state).filter(|(job, work)| job.is_running() && !work.reduces.is_empty() && !work.is_complete());
    let done = needed.flat_map(|(job, work)| work.maps.iter().map(move |task| (job, task)));
    let outputs = done.filter_map(|(job, task)| match &task.state {
        TaskState::Done { attempt, output } => {
            let id = AttemptId { task: job.task_id(task.kind, task.index), number: *attempt };
            let epoch = state.trackers.get(&output.tracker)?.epoch;
            Some((id, output.tracker, output.generation, epoch))
        }
        TaskState::Pending { .. } | TaskState::Running { .. } | TaskState::Failed => None,
    });
    outputs.collect()
}

fn works(state: &State) -> impl Iterator<Item = (&Job, &Work)> {
    state.jobs.values().filter_map(|job| Some((job, job.work.as_deref()?)))
}

/// Every submitted job and every application of the rows is there, no other is, and the queue is of those that go on.
fn soft_state_is_of_rows(state: &State) -> Result<(), String> {
    if !state.started {
        return Ok(());
    }
    let submitted = state.rows.jobs.iter().filter(|(_, row)| row.stage.submission().is_some());
    let submitted: BTreeSet<u32> = submitted.map(|(number, _)| *number).collect();
    ensure(submitted.iter().eq(state.jobs.keys()), || "the jobs are not those of the rows".to_owned())?;
    ensure(state.rows.apps.keys().eq(state.apps.keys()), || "the applications are not those of the rows".to_owned())?;
    let jobs = state.rows.jobs.iter().filter(|(_, row)| row.stage.is_active()).map(|(number, _)| Queued::Job(*number));
    let apps = state.rows.apps.iter().filter(|(_, row)| row.end.is_none()).map(|(number, _)| Queued::App(*number));
    let wanted: Vec<Queued> = jobs.chain(apps).collect();
    let same = wanted.len() == state.queue.len() && state.queue.values().all(|entry| wanted.contains(entry));
    ensure(same, || format!("the queue {:?} is not of those that go on", state.queue))
}

/// Resources are never over-granted.
fn grants_fit_trackers(state: &State) -> Result<(), String> {
    for (id, tracker) in &state.trackers {
        let granted = tracker.attempts.values().chain(tracker.executors.values());
        let granted = granted.fold(Resources::default(), |sum, taken| sum.plus(*taken));
        ensure(tracker.capacity.fits(granted), || format!("{id} has {} and granted {granted}", tracker.capacity))?;
    }
    Ok(())
}

/// An attempt that has not ended takes its share of exactly one tracker, and nothing else does.
fn live_attempts_are_held(state: &State) -> Result<(), String> {
    let mut live: BTreeMap<AttemptId, _> = BTreeMap::new();
    for (job, work) in works(state) {
        for task in work.tasks() {
            for attempt in task.attempts.iter().filter(|attempt| attempt.is_live()) {
                live.insert(AttemptId { task: job.task_id(task.kind, task.index), number: attempt.number }, attempt);
            }
        }
        let listed = work.live.keys().all(|id| live.contains_key(id));
        ensure(listed, || format!("{} lists attempts that have ended", job.id))?;
    }
    for (id, attempt) in &live {
        let listed =
            works(state).any(|(job, work)| job.id == id.task.job && work.live.get(id) == Some(&attempt.tracker));
        ensure(listed, || format!("{id} lives and its job does not list it"))?;
        let held = state.trackers.get(&attempt.tracker).and_then(|tracker| tracker.attempts.get(id));
        ensure(held == Some(&attempt.resources), || format!("{id} lives and {} does not hold it", attempt.tracker))?;
    }
    let held: usize = state.trackers.values().map(|tracker| tracker.attempts.len()).sum();
    ensure(held == live.len(), || format!("trackers hold {held} attempts, and {} live", live.len()))
}

/// The same for executors; those of an application that has ended are ending.
fn live_executors_are_held(state: &State) -> Result<(), String> {
    let mut live = 0;
    for app in state.apps.values() {
        for (id, executor) in app.executors.iter().filter(|(_, executor)| executor.is_live()) {
            live += 1;
            let held = state.trackers.get(&executor.tracker).and_then(|tracker| tracker.executors.get(&(app.id, *id)));
            ensure(held == Some(&executor.resources), || format!("executor {id} of {} is not held", app.id))?;
            ensure(!(app.ended && executor.is_wanted()), || {
                format!("executor {id} of {} goes on, and the application has ended", app.id)
            })?;
        }
    }
    let held: usize = state.trackers.values().map(|tracker| tracker.executors.len()).sum();
    ensure(held == live, || format!("trackers hold {held} executors, and {live} live"))
}

/// No attempt number is used twice, and all are below the next one.
fn attempts_are_numbered_once(state: &State) -> Result<(), String> {
    for (job, work) in works(state) {
        for task in work.tasks() {
            let numbers: Vec<u32> = task.attempts.iter().map(|attempt| attempt.number).collect();
            let rise = numbers.windows(2).all(|pair| pair[0] < pair[1]);
            let below = numbers.last().is_none_or(|last| *last < task.next);
            ensure(rise && below, || format!("{} has attempts {numbers:?}", job.task_id(task.kind, task.index)))?;
        }
    }
    Ok(())
}

/// The attempt that a task runs by is wanted, and no other is.
fn one_attempt_brings_a_task_on(state: &State) -> Result<(), String> {
    for (job, work) in works(state) {
        for task in work.tasks() {
            let wanted = task.attempts.iter().filter(|attempt| attempt.is_wanted()).map(|attempt| attempt.number);
            let wanted: Vec<u32> = wanted.collect();
            let by: Vec<u32> = match task.state {
                TaskState::Running { attempt } => vec![attempt],
                TaskState::Pending { .. } | TaskState::Done { .. } | TaskState::Failed => Vec::new(),
            };
            ensure(by == wanted, || format!("{} runs by {by:?}: {wanted:?}", job.task_id(task.kind, task.index)))?;
        }
    }
    Ok(())
}

/// I8: at most one attempt of a task has leave to commit, and none of a task that is done.
fn one_attempt_may_commit(state: &State) -> Result<(), String> {
    let may = |attempt: &&Attempt| {
        matches!(attempt.state, AttemptState::Granted { .. } | AttemptState::Ending { granted: true, .. })
    };
    for (job, work) in works(state) {
        for task in work.tasks() {
            let count = task.attempts.iter().filter(may).count();
            ensure(count <= usize::from(!task.is_done()), || {
                format!("{count} attempts of {} may commit", job.task_id(task.kind, task.index))
            })?;
        }
    }
    Ok(())
}

/// The lists of waiting tasks and the numbers of done ones are what the tasks say.
fn waiting_tasks_are_listed(state: &State) -> Result<(), String> {
    for (job, work) in works(state) {
        let waiting = |tasks: &[crate::jobs::Task]| -> BTreeSet<u32> {
            tasks.iter().filter(|task| task.is_pending()).map(|task| task.index).collect()
        };
        let done = |tasks: &[crate::jobs::Task]| tasks.iter().filter(|task| task.is_done()).count();
        let same = waiting(&work.maps) == work.pending_maps
            && waiting(&work.reduces) == work.pending_reduces
            && done(&work.maps) == work.maps_done as usize
            && done(&work.reduces) == work.reduces_done as usize
            && work.near.values().flatten().all(|map| work.pending_maps.contains(map))
            && work.pending_maps.iter().all(|map| work.is_listed_near(*map));
        ensure(same, || format!("{}: the lists of waiting tasks are wrong", job.id))?;
    }
    Ok(())
}

/// I9, first half: what reduces are told is where the outputs of exactly those maps are that are done.
fn outputs_are_of_done_maps(state: &State) -> Result<(), String> {
    for (job, work) in works(state).filter(|(_, work)| !work.reduces.is_empty()) {
        let mut told: BTreeMap<u32, u32> = BTreeMap::new();
        for event in work.outputs.events() {
            match event {
                OutputEvent::Ready { attempt, .. } => drop(told.insert(attempt.task.index, attempt.number)),
                OutputEvent::Lost { attempt } => drop(told.remove(&attempt.task.index)),
            }
        }
        let done = work.maps.iter().filter_map(|task| match task.state {
            TaskState::Done { attempt, .. } => Some((task.index, attempt)),
            TaskState::Pending { .. } | TaskState::Running { .. } | TaskState::Failed => None,
        });
        let done: BTreeMap<u32, u32> = done.collect();
        ensure(told == done, || format!("{}: told {told:?}, done {done:?}", job.id))?;
    }
    Ok(())
}

/// I9, second half: a reduce is done only after every map was.
fn reduces_end_after_maps(state: &State) -> Result<(), String> {
    for (job, work) in works(state) {
        let ever = work.maps.iter().filter(|task| task.counted.is_some()).count();
        ensure(ever == work.maps_ever as usize, || format!("{}: {ever} maps were done", job.id))?;
        ensure(work.reduces_done == 0 || ever == work.maps.len(), || {
            format!("{}: {} reduces are done, and {ever} maps ever were", job.id, work.reduces_done)
        })?;
    }
    Ok(())
}

/// A tracker that is gone holds nothing, and no output lies there, or in a folder that is gone, that a reduce may need.
fn gone_trackers_hold_nothing(state: &State) -> Result<(), String> {
    for (id, tracker) in state.trackers.iter().filter(|(_, tracker)| tracker.state == Liveness::Gone) {
        let holds = tracker.attempts.len() + tracker.executors.len();
        ensure(holds == 0 && !tracker.waits, || format!("{id} is gone and holds {holds}"))?;
    }
    for (job, work) in works(state) {
        if work.reduces.is_empty() || work.is_complete() || !job.is_running() {
            continue;
        }
        let there = |at: &crate::jobs::Output| {
            state.trackers.get(&at.tracker).is_some_and(|t| t.is_live() && t.place.generation == at.generation)
        };
        let gone = work.outputs_where(|output| !there(output));
        ensure(gone.is_empty(), || format!("{}: outputs of maps {gone:?} are gone", job.id))?;
    }
    Ok(())
}

/// Lists that could grow for ever do not.
fn memory_is_bounded(state: &State) -> Result<(), String> {
    let count =
        |stage: fn(&crate::rows::Stage) -> bool| state.rows.jobs.values().filter(|row| stage(&row.stage)).count();
    let ended = count(crate::rows::Stage::is_ended);
    let prepared = count(|stage| stage.submission().is_none());
    let apps = state.rows.apps.values().filter(|row| row.end.is_some()).count();
    let few = ended <= JOBS_ENDED_MAX && apps <= JOBS_ENDED_MAX && prepared <= JOBS_PREPARED_MAX;
    ensure(few, || format!("{ended} ended jobs, {prepared} prepared ones, {apps} ended applications"))
}
