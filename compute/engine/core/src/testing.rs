//! A scheduler on a bench: executors that do as the test says, short names for tasks, and a look at every invariant after every
//! event. A task's short name is `stage.partition`.

use crate::Scheduler;
use crate::api::{
    Command, Config, Event, JobNumber, JobSpec, Locality, OutputId, Parent, PlaceId, ShuffleId, StageId, StageSpec,
    TaskEnd, TaskKey,
};
use crate::check::check;
use mammoth_protocol::Now;
use mammoth_protocol::jobs::ExecutorId;
use std::collections::BTreeMap;

/// A stage that writes the shuffle of its own number and reads those of `parents`.
pub(crate) fn map(stage: u32, partitions: u32, parents: &[u32]) -> StageSpec {
    StageSpec { writes: Some(ShuffleId(stage)), ..last(stage, partitions, parents) }
}

/// The last stage of a job.
pub(crate) fn last(stage: u32, partitions: u32, parents: &[u32]) -> StageSpec {
    let parents = parents.iter().map(|parent| Parent { shuffle: ShuffleId(*parent), ..Parent::default() });
    let (stage, name) = (StageId(stage), format!("stage {stage}"));
    StageSpec { stage, name, partitions, parents: parents.collect(), ..StageSpec::default() }
}

/// A job whose last stage is the last one given; all of its partitions are wanted.
pub(crate) fn job(number: u32, stages: &[StageSpec]) -> JobSpec {
    let last = stages.last().expect("a job has stages");
    let partitions = (0..last.partitions).collect();
    JobSpec { job: JobNumber(number), stages: stages.to_vec(), result: last.stage, partitions }
}

pub(crate) struct Bench {
    pub(crate) scheduler: Scheduler,
    pub(crate) now_ms: u64,
    /// Everything that was ever said.
    pub(crate) said: Vec<Command>,
    /// Launched and not settled, with those that were told to stop.
    pub(crate) running: BTreeMap<TaskKey, ExecutorId>,
}

impl Bench {
    /// Executors 0… on hosts `h0`…, each with so many cores and a place of its number.
    pub(crate) fn new(cores: &[u32]) -> Self {
        Self::with(Config::default(), cores)
    }

    pub(crate) fn with(config: Config, cores: &[u32]) -> Self {
        let mut bench =
            Self { scheduler: Scheduler::new(config), now_ms: 1, said: Vec::new(), running: BTreeMap::new() };
        for (id, cores) in (0..).zip(cores) {
            bench.add(id, *cores);
        }
        bench
    }

    pub(crate) fn add(&mut self, id: u32, cores: u32) -> Vec<Command> {
        self.event(Event::ExecutorAdded { executor: ExecutorId(id), host: format!("h{id}"), cores })
    }

    pub(crate) fn event(&mut self, event: Event) -> Vec<Command> {
        let shown = format!("{event:?}");
        let commands = self.scheduler.handle(Now { monotonic_ms: self.now_ms, wall_ms: 0 }, event);
        for command in &commands {
            match command {
                Command::Launch { task, executor, .. } => {
                    assert_eq!(self.running.insert(*task, *executor), None, "{task} was launched before");
                }
                Command::Settled { task, executor, .. } => {
                    assert_eq!(self.running.remove(task), Some(*executor), "{task} does not run");
                }
                _ => {}
            }
        }
        if let Err(violation) = check(&self.scheduler) {
            panic!("after {shown}: {violation}\n{:?}", self.scheduler);
        }
        self.said.extend(commands.iter().cloned());
        commands
    }

    pub(crate) fn submit(&mut self, spec: JobSpec) -> Vec<Command> {
        self.event(Event::JobSubmitted(spec))
    }

    pub(crate) fn tick(&mut self, later_ms: u64) -> Vec<Command> {
        self.now_ms += later_ms;
        self.event(Event::Tick)
    }

    pub(crate) fn lose(&mut self, executor: u32, charge: bool) -> Vec<Command> {
        self.event(Event::ExecutorLost { executor: ExecutorId(executor), reason: "it died".to_owned(), charge })
    }

    pub(crate) fn lose_place(&mut self, place: u32) -> Vec<Command> {
        self.event(Event::PlaceLost { place: PlaceId(place) })
    }

    pub(crate) fn cancel(&mut self, job: u32) -> Vec<Command> {
        self.event(Event::JobCancelled { job: JobNumber(job), reason: "no more".to_owned() })
    }

    pub(crate) fn block(&mut self, executor: u32, dataset: u32, partition: u32, held: bool) -> Vec<Command> {
        let blocks = vec![(crate::api::DatasetId(dataset), partition, held)];
        self.event(Event::BlocksChanged { executor: ExecutorId(executor), blocks })
    }

    /// Short names of what runs, in order.
    pub(crate) fn runs(&self) -> Vec<String> {
        self.running.keys().map(|task| format!("{}.{}", task.stage, task.partition)).collect()
    }

    /// The newest task of that short name.
    pub(crate) fn task(&self, short: &str) -> TaskKey {
        let named = |task: &&TaskKey| format!("{}.{}", task.stage, task.partition) == short;
        *self.running.keys().rfind(named).unwrap_or_else(|| panic!("{short} does not run, but {:?}", self.runs()))
    }

    pub(crate) fn end(&mut self, task: TaskKey, end: TaskEnd) -> Vec<Command> {
        let executor = self.running.get(&task).copied().unwrap_or_default();
        self.event(Event::TaskEnded { task, executor, end })
    }

    pub(crate) fn succeed_task(&mut self, task: TaskKey) -> Vec<Command> {
        let writes = self.scheduler.stages.get(&task.stage).is_some_and(|stage| stage.spec.writes.is_some());
        let place = writes.then(|| PlaceId(self.running[&task].0));
        self.end(task, TaskEnd::Success { place })
    }

    pub(crate) fn succeed(&mut self, short: &str) -> Vec<Command> {
        self.succeed_task(self.task(short))
    }

    pub(crate) fn fail(&mut self, short: &str) -> Vec<Command> {
        self.end(self.task(short), TaskEnd::Failed { reason: "boom".to_owned(), fatal: false })
    }

    pub(crate) fn stopped(&mut self, short: &str) -> Vec<Command> {
        self.end(self.task(short), TaskEnd::Cancelled)
    }

    /// The task cannot fetch what it was told of a map.
    pub(crate) fn fetch_fails(&mut self, short: &str, shuffle: u32, map: u32) -> Vec<Command> {
        let output = self.output(shuffle, map);
        self.fetch_of(short, shuffle, map, output)
    }

    pub(crate) fn fetch_of(&mut self, short: &str, shuffle: u32, map: u32, output: Option<OutputId>) -> Vec<Command> {
        let end = TaskEnd::FetchFailed { shuffle: ShuffleId(shuffle), map, output, reason: "refused".to_owned() };
        self.end(self.task(short), end)
    }

    pub(crate) fn output(&self, shuffle: u32, map: u32) -> Option<OutputId> {
        self.scheduler.outputs(ShuffleId(shuffle))?.maps[map as usize]
    }

    /// Everything that runs ends well, one after the other, until nothing runs.
    pub(crate) fn run_out(&mut self) {
        while let Some((task, _)) = self.running.first_key_value() {
            self.succeed_task(*task);
        }
    }

    /// Everything of a stage that runs ends well.
    pub(crate) fn run_stage(&mut self, stage: u32) {
        while let Some(task) = self.running.keys().find(|task| task.stage == StageId(stage)).copied() {
            self.succeed_task(task);
        }
    }

    /// How a job ended: nothing yet, well (empty), or why not.
    pub(crate) fn ended(&self, job: u32) -> Option<String> {
        let mut ends = self.said.iter().filter_map(|command| match command {
            Command::JobEnded { job: ended, failure } if ended.0 == job => {
                Some(failure.as_ref().map(ToString::to_string).unwrap_or_default())
            }
            _ => None,
        });
        let end = ends.next();
        assert_eq!(ends.next(), None, "job {job} ended twice");
        end
    }

    /// How often a partition was launched.
    pub(crate) fn launches(&self, short: &str) -> usize {
        launches(&self.said).into_iter().filter(|launched| launched.starts_with(&format!("{short}@"))).count()
    }

    pub(crate) fn accepted(&self, short: &str) -> usize {
        let named = |task: &TaskKey| format!("{}.{}", task.stage, task.partition) == short;
        self.said.iter().filter(|command| matches!(command, Command::Accept { task, .. } if named(task))).count()
    }
}

/// Launches among commands: `stage.partition@executor`, with `*` for process and `+` for node locality.
pub(crate) fn launches(commands: &[Command]) -> Vec<String> {
    let launch = |command: &Command| match command {
        Command::Launch { task, executor, locality, .. } => {
            let near = match locality {
                Locality::Process => "*",
                Locality::Node => "+",
                Locality::Any => "",
            };
            Some(format!("{}.{}@{executor}{near}", task.stage, task.partition))
        }
        _ => None,
    };
    commands.iter().filter_map(launch).collect()
}
