//! The invariants, by name. Tests and the simulator check them after every step; nothing else calls them, as they look at
//! everything.

use crate::Scheduler;
use crate::api::{DatasetId, Determinism, StageId, TaskKey};
use crate::scheduler::{Active, Shuffle, Stage};
use mammoth_protocol::jobs::ExecutorId;
use std::collections::{BTreeMap, BTreeSet};

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invariant {invariant} does not hold: {what}")]
pub struct Violation {
    /// Its name: the function of this module.
    pub invariant: &'static str,
    /// Where.
    pub what: String,
}

type Invariant = fn(&Scheduler) -> Result<(), String>;

/// All invariants, by name.
const INVARIANTS: [(&str, Invariant); 15] = [
    ("cores_are_not_over_committed", cores_are_not_over_committed),
    ("tasks_are_where_executors_run_them", tasks_are_where_executors_run_them),
    ("suspects_run_alone", suspects_run_alone),
    ("one_attempt_brings_a_partition_on", one_attempt_brings_a_partition_on),
    ("one_attempt_may_commit", one_attempt_may_commit),
    ("blocks_are_indexed", blocks_are_indexed),
    ("hosts_are_counted", hosts_are_counted),
    ("waiting_partitions_are_indexed", waiting_partitions_are_indexed),
    ("nothing_waits_that_could_run", nothing_waits_that_could_run),
    ("missing_outputs_are_counted", missing_outputs_are_counted),
    ("every_job_can_go_on", every_job_can_go_on),
    ("results_are_accepted_once", results_are_accepted_once),
    ("only_what_lacks_is_computed", only_what_lacks_is_computed),
    ("indeterminate_outputs_are_of_one_generation", indeterminate_outputs_are_of_one_generation),
    ("nothing_is_kept_without_need", nothing_is_kept_without_need),
];

/// Checks every invariant of the scheduler.
///
/// # Errors
/// The first that does not hold.
pub fn check(scheduler: &Scheduler) -> Result<(), Violation> {
    for (invariant, holds) in INVARIANTS {
        holds(scheduler).map_err(|what| Violation { invariant, what })?;
    }
    Ok(())
}

/// Jobs that have not ended, and launched tasks that have not: for audits of I11.
#[must_use]
pub fn unfinished(scheduler: &Scheduler) -> (usize, usize) {
    (scheduler.jobs.len(), scheduler.tasks.len())
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

fn active(scheduler: &Scheduler) -> impl Iterator<Item = (StageId, &Stage, &Active)> {
    scheduler.stages.iter().filter_map(|(id, stage)| Some((*id, stage, stage.active.as_ref()?)))
}

/// No executor runs more tasks than it has cores, cancelled ones included.
fn cores_are_not_over_committed(scheduler: &Scheduler) -> Result<(), String> {
    for (id, executor) in &scheduler.executors {
        let (running, cores) = (executor.running.len(), executor.cores);
        ensure(running <= cores, || format!("executor {id} has {cores} cores and runs {running} tasks"))?;
        ensure(!scheduler.gone.contains(id), || format!("executor {id} is gone, and there"))?;
    }
    Ok(())
}

/// A launched task that has not ended runs in exactly one executor that is there.
fn tasks_are_where_executors_run_them(scheduler: &Scheduler) -> Result<(), String> {
    let mut found: BTreeMap<TaskKey, ExecutorId> = BTreeMap::new();
    for (id, executor) in &scheduler.executors {
        found.extend(executor.running.iter().map(|task| (*task, *id)));
    }
    let known: BTreeMap<TaskKey, ExecutorId> =
        scheduler.tasks.iter().map(|(task, running)| (*task, running.executor)).collect();
    ensure(found == known, || format!("executors run {found:?}, and known are {known:?}"))
}

/// A task that is tried alone shares its executor with no other.
fn suspects_run_alone(scheduler: &Scheduler) -> Result<(), String> {
    for (task, running) in scheduler.tasks.iter().filter(|(_, running)| running.alone) {
        let company = scheduler.executors.get(&running.executor).map_or(0, |executor| executor.running.len());
        ensure(company == 1, || format!("task {task} is a suspect and one of {company} in its executor"))?;
    }
    for (stage, known, active) in active(scheduler) {
        let in_company = |task: &&TaskKey| {
            let alone = scheduler.tasks.get(task).is_some_and(|running| running.alone);
            known.suspects.contains(&task.partition) && !alone
        };
        let found = active.running.values().find(in_company);
        ensure(found.is_none(), || format!("stage {stage}: suspect {found:?} is not alone"))?;
    }
    Ok(())
}

/// A partition waits or runs by one attempt of the present generation, and whatever else runs was told to stop.
fn one_attempt_brings_a_partition_on(scheduler: &Scheduler) -> Result<(), String> {
    let mut current = BTreeSet::new();
    for (stage, known, active) in active(scheduler) {
        let below = active.generation < known.next_generation;
        ensure(below, || format!("stage {stage} runs as generation {}, which is still to come", active.generation))?;
        for (partition, task) in &active.running {
            let right = task.stage == stage && task.generation == active.generation && task.partition == *partition;
            let numbered = active.attempts.get(partition).is_some_and(|next| task.attempt < *next);
            let waits = active.waiting.contains_key(partition);
            ensure(right && numbered && !waits, || format!("stage {stage}: partition {partition} runs as {task}"))?;
            current.insert(*task);
        }
        for (host, near) in &active.near {
            let right = near
                .iter()
                .all(|partition| active.waiting.contains_key(partition) && known.hosts(*partition).contains(host));
            ensure(right, || format!("stage {stage}: {near:?} are not those that wait for {host}"))?;
        }
    }
    let uncancelled = scheduler.tasks.iter().filter(|(_, running)| running.cancelled_ms.is_none());
    let uncancelled: BTreeSet<TaskKey> = uncancelled.map(|(task, _)| *task).collect();
    ensure(current == uncancelled, || format!("wanted are {current:?}, not told to stop are {uncancelled:?}"))
}

/// I8: the attempt that may commit is the one that runs.
fn one_attempt_may_commit(scheduler: &Scheduler) -> Result<(), String> {
    for (stage, _, active) in active(scheduler) {
        let found = active.committing.iter().find(|(partition, task)| active.running.get(partition) != Some(task));
        ensure(found.is_none(), || format!("stage {stage}: {found:?} may commit and does not run"))?;
    }
    Ok(())
}

/// Blocks by executor and executors by block are the same facts.
fn blocks_are_indexed(scheduler: &Scheduler) -> Result<(), String> {
    let mut found: BTreeMap<(DatasetId, u32), BTreeSet<ExecutorId>> = BTreeMap::new();
    for (id, executor) in &scheduler.executors {
        for block in &executor.blocks {
            found.entry(*block).or_default().insert(*id);
        }
    }
    ensure(found == scheduler.holders, || format!("executors hold {found:?}, indexed are {:?}", scheduler.holders))
}

fn hosts_are_counted(scheduler: &Scheduler) -> Result<(), String> {
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for executor in scheduler.executors.values().filter(|executor| !executor.condemned) {
        *found.entry(executor.host.clone()).or_default() += 1;
    }
    ensure(found == scheduler.hosts, || format!("hosts are {found:?}, known are {:?}", scheduler.hosts))
}

/// What placing finds is what is there, but for what it looks at again before it is asked.
fn waiting_partitions_are_indexed(scheduler: &Scheduler) -> Result<(), String> {
    for (stage, known, active) in active(scheduler) {
        let waiting: Vec<u32> = active.waiting.keys().copied().collect();
        let of = |partition| (scheduler.entry(known, partition), known.hosts(partition));
        let wrong = active.index.wrong(&waiting, of);
        ensure(wrong.is_none(), || format!("stage {stage}: {}", wrong.unwrap_or_default()))?;
    }
    Ok(())
}

/// When partitions were last placed, none was left waiting that an executor with room could have taken. Said without the index.
fn nothing_waits_that_could_run(scheduler: &Scheduler) -> Result<(), String> {
    let waits = |stage: &StageId| {
        let known = scheduler.stages.get(stage)?;
        Some((*stage, known, known.active.as_ref()?))
    };
    let stages: Vec<_> = scheduler.order.iter().filter_map(waits).collect();
    let suspect = |(_, known, active): &(StageId, &Stage, &Active)| {
        known.suspects.iter().any(|partition| active.waiting.contains_key(partition))
    };
    if stages.iter().any(suspect) {
        // Executors may be kept free for them.
        return Ok(());
    }
    let free: Vec<ExecutorId> =
        scheduler.executors.keys().copied().filter(|id| scheduler.room(*id).is_some()).collect();
    for (stage, known, active) in stages {
        for (partition, waiting) in &active.waiting {
            let may = |id: &&ExecutorId| match &waiting.bound {
                Some(bound) => bound.contains(id),
                None => {
                    let farthest = scheduler.farthest(known, *partition, waiting.since_ms, scheduler.placed_ms);
                    scheduler.nearness(stage, *partition, **id) <= farthest
                }
            };
            let found = free.iter().find(may);
            ensure(found.is_none(), || format!("stage {stage}: executor {found:?} could run partition {partition}"))?;
        }
    }
    Ok(())
}

fn missing_outputs_are_counted(scheduler: &Scheduler) -> Result<(), String> {
    for (id, shuffle) in &scheduler.shuffles {
        let missing = (0..).zip(&shuffle.maps).filter(|(_, output)| output.is_none()).map(|(map, _)| map);
        ensure(shuffle.missing.iter().copied().eq(missing), || {
            format!("shuffle {id} misses {:?}: {:?}", shuffle.missing, shuffle.maps)
        })?;
        let stage = scheduler.stages.get(&shuffle.stage).map(|stage| stage.spec.writes);
        ensure(stage == Some(Some(*id)), || format!("shuffle {id} is of stage {}, which is not", shuffle.stage))?;
    }
    Ok(())
}

/// I11, as far as one state shows it: of every job something runs, waits for an executor, or waits for tasks that were told to
/// stop.
fn every_job_can_go_on(scheduler: &Scheduler) -> Result<(), String> {
    for (id, job) in &scheduler.jobs {
        ensure(!job.remaining.is_empty(), || format!("job {id} has every result and goes on"))?;
        let goes_on = |stage: &StageId| {
            let active = scheduler.stages.get(stage).and_then(|known| known.active.as_ref());
            let runs = active.is_some_and(|active| !active.running.is_empty());
            let waits = active.is_some_and(|active| !active.waiting.is_empty()) && scheduler.order.contains(stage);
            runs || waits || scheduler.settling.contains_key(stage)
        };
        ensure(job.needed.iter().any(goes_on), || format!("nothing happens for job {id}: it needs {:?}", job.needed))?;
    }
    for (stage, settling) in &scheduler.settling {
        let waits = scheduler.tasks.keys().any(|task| settling.readers.contains(&task.stage));
        ensure(waits, || format!("stage {stage} waits for nothing"))?;
    }
    Ok(())
}

/// I12: a wanted partition is either accepted or still to come.
fn results_are_accepted_once(scheduler: &Scheduler) -> Result<(), String> {
    for (id, job) in &scheduler.jobs {
        let accepted = scheduler.stages.get(&job.spec.result).map(|stage| stage.accepted.clone()).unwrap_or_default();
        let wanted: BTreeSet<u32> = job.spec.partitions.iter().copied().collect();
        let apart = accepted.is_disjoint(&job.remaining);
        let whole = accepted.union(&job.remaining).copied().eq(wanted.iter().copied());
        ensure(apart && whole, || {
            format!("job {id} wants {wanted:?}: {accepted:?} came, {:?} are to come", job.remaining)
        })?;
    }
    Ok(())
}

/// I13, as far as one state shows it: no partition is computed whose output is there or whose result was accepted.
fn only_what_lacks_is_computed(scheduler: &Scheduler) -> Result<(), String> {
    for (stage, known, active) in active(scheduler) {
        let lacking = lacking(scheduler, stage, known);
        let mut computed = active.running.keys().chain(active.waiting.keys());
        let found = computed.find(|partition| !lacking.contains(partition));
        ensure(found.is_none(), || format!("stage {stage}: partition {found:?} is there and computed again"))?;
    }
    Ok(())
}

/// I14: outputs of an indeterminate stage are of one submission, and while it runs, of the present one.
fn indeterminate_outputs_are_of_one_generation(scheduler: &Scheduler) -> Result<(), String> {
    for (id, stage) in &scheduler.stages {
        let (Determinism::Indeterminate, Some(shuffle)) = (stage.spec.determinism, stage.spec.writes) else { continue };
        let outputs = scheduler.shuffles.get(&shuffle).map(|shuffle: &Shuffle| shuffle.maps.as_slice());
        let outputs = outputs.unwrap_or_default().iter().flatten();
        let mut generations: BTreeSet<u32> = outputs.map(|output| output.generation).collect();
        if !generations.is_empty() {
            generations.extend(stage.active.as_ref().map(|active| active.generation));
        }
        ensure(generations.len() <= 1, || format!("stage {id} has outputs of generations {generations:?}"))?;
        let settles = scheduler.settling.contains_key(id);
        ensure(!settles || generations.is_empty(), || format!("stage {id} begins anew and has outputs"))?;
    }
    Ok(())
}

/// Last stages go with their jobs, released shuffles with the last job that names them.
fn nothing_is_kept_without_need(scheduler: &Scheduler) -> Result<(), String> {
    for (id, stage) in &scheduler.stages {
        let owned = match stage.spec.writes {
            Some(shuffle) => scheduler.shuffles.contains_key(&shuffle),
            None => scheduler.jobs.values().any(|job| job.spec.result == *id),
        };
        ensure(owned, || format!("stage {id} is kept and belongs to nothing"))?;
        let named = scheduler.jobs.values().any(|job| job.names(*id));
        ensure(named || stage.active.is_none(), || format!("stage {id} runs for no job"))?;
    }
    for (id, shuffle) in scheduler.shuffles.iter().filter(|(_, shuffle)| shuffle.released) {
        let named = scheduler.jobs.values().any(|job| job.names(shuffle.stage));
        ensure(named, || format!("shuffle {id} was released and is kept"))?;
    }
    Ok(())
}

/// Partitions of a stage that are not there.
fn lacking(scheduler: &Scheduler, stage: StageId, known: &Stage) -> BTreeSet<u32> {
    match known.spec.writes {
        Some(shuffle) => scheduler.shuffles.get(&shuffle).map(|shuffle| shuffle.missing.clone()).unwrap_or_default(),
        None => {
            let job = scheduler.jobs.values().find(|job| job.spec.result == stage);
            job.map(|job| job.remaining.clone()).unwrap_or_default()
        }
    }
}
