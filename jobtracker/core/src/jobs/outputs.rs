//! Where the outputs of a job's maps are, as its reduces are told, and what reduces complain of.

use super::task::TaskState;
use super::{Job, Phase, Work};
use crate::api::CoreConfig;
use mammoth_protocol::jobs::tracker::{FetchFailure, OutputEvent};
use mammoth_protocol::jobs::{AttemptId, TaskKind, TrackerId};
use mammoth_protocol::{Now, Uuid};
use std::collections::BTreeMap;

/// Complaints about one output after which it is lost, if half of the reduces that fetch complain.
const COMPLAINTS: u32 = 3;
/// So many from one reduce are enough if few reduces fetch.
const COMPLAINTS_OF_ONE: u32 = 2;
/// That few.
const FEW_REDUCES: usize = 4;
/// So many from one reduce are enough in any case: it would give up soon.
const COMPLAINTS_AT_MOST: u32 = 5;

/// The events, by position, and complaints.
#[derive(Clone, Debug)]
pub(crate) struct Outputs {
    /// Position of the first event: differs between lives, so that a tracker's position of an earlier life is noticed.
    base: u64,
    events: Vec<OutputEvent>,
    /// By map: how often each reduce complained of its present output.
    complaints: BTreeMap<u32, BTreeMap<AttemptId, u32>>,
}

impl Outputs {
    pub(crate) fn new(base: u64) -> Self {
        Self { base, events: Vec::new(), complaints: BTreeMap::new() }
    }

    /// A map's output can be fetched.
    pub(crate) fn ready(&mut self, attempt: AttemptId, server: &str, generation: Uuid) {
        self.complaints.remove(&attempt.task.index);
        self.events.push(OutputEvent::Ready { attempt, server: server.to_owned(), generation });
    }

    /// It is gone.
    pub(crate) fn lost(&mut self, attempt: AttemptId) {
        self.complaints.remove(&attempt.task.index);
        self.events.push(OutputEvent::Lost { attempt });
    }

    /// What a tracker lacks that knows everything before `from`: the first position and events, at most `max`. Nothing if it
    /// lacks nothing.
    pub(crate) fn after(&self, from: u64, max: usize) -> Option<(u64, Vec<OutputEvent>)> {
        let known = from.checked_sub(self.base).and_then(|known| usize::try_from(known).ok());
        let known = known.filter(|known| *known <= self.events.len());
        let skip = known.unwrap_or(0);
        let events: Vec<_> = self.events.iter().skip(skip).take(max).cloned().collect();
        if known.is_some() && events.is_empty() { None } else { Some((self.base + skip as u64, events)) }
    }

    /// All events, for the invariants.
    pub(crate) fn events(&self) -> &[OutputEvent] {
        &self.events
    }

    /// A reduce could not fetch a map's present output; whether that is enough to call it lost, with `fetching` reduces that
    /// fetch at the moment.
    pub(crate) fn complain(&mut self, map: u32, reduce: AttemptId, fetching: usize) -> bool {
        let complaints = self.complaints.entry(map).or_default();
        let own = complaints.entry(reduce).or_default();
        *own = own.saturating_add(1);
        let own = *own;
        let all = complaints.values().fold(0_u32, |sum, count| sum.saturating_add(*count));
        let many = all >= COMPLAINTS && complaints.len() * 2 >= fetching;
        let few = fetching <= FEW_REDUCES && own >= COMPLAINTS_OF_ONE;
        many || few || own >= COMPLAINTS_AT_MOST
    }

    /// A reduce has ended: what it complained of no longer counts.
    pub(crate) fn reduce_ended(&mut self, reduce: AttemptId) {
        self.complaints.retain(|_, by| {
            by.remove(&reduce);
            !by.is_empty()
        });
    }
}

impl Job {
    /// The tasks, if reduces may still have to fetch.
    pub(crate) fn work_for_reduces(&mut self) -> Option<&mut Work> {
        let work = self.work.as_deref_mut().filter(|work| !work.reduces.is_empty() && !work.is_complete());
        work.filter(|_| self.phase == Phase::Running)
    }

    /// A reduce that runs on this tracker could not fetch a map's output. Whether it is lost now.
    pub(crate) fn complaint(&mut self, failure: &FetchFailure, on: TrackerId, config: &CoreConfig, now: Now) -> bool {
        let FetchFailure { reduce, map, reason } = failure;
        let Some(work) = self.work_for_reduces() else { return false };
        let runs =
            work.live.get(reduce) == Some(&on) && work.attempt(*reduce).is_some_and(|attempt| attempt.is_wanted());
        let task = work.task(map.task).filter(|_| map.task.kind == TaskKind::Map);
        let stands = |state: &TaskState| matches!(state, TaskState::Done { attempt, .. } if *attempt == map.number);
        if !runs || reduce.task.kind != TaskKind::Reduce || !task.is_some_and(|task| stands(&task.state)) {
            return false;
        }
        let fetching = work.fetching();
        let lost = work.outputs.complain(map.task.index, *reduce, fetching);
        if lost {
            let why = format!("reduces could not fetch its output: {reason}");
            self.output_lost(map.task.index, map.number, Some(&why), config, now);
        }
        lost
    }
}
