//! Properties of the small state machines.

use super::attempt::Turn;
use super::tally::Sums;
use super::{Attempt, AttemptState, Input, Outputs};
use crate::apps::{Executor, ExecutorInput, ExecutorState};
use crate::text::{clip, first_line};
use mammoth_protocol::Uuid;
use mammoth_protocol::jobs::tracker::{AttemptPhase, OutputEvent};
use mammoth_protocol::jobs::{AttemptId, Counters, JobId, Resources, TaskId, TaskKind, TrackerId};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn attempt() -> Attempt {
    Attempt {
        number: 0,
        tracker: TrackerId(Uuid(1)),
        generation: Uuid(1),
        host: "h".into(),
        http: "h:1".into(),
        resources: Resources::default(),
        state: AttemptState::Assigned { offered: false },
        started_ms: 0,
        finished_ms: 0,
        progress: 0.0,
        phase: "".into(),
        counters: Vec::new(),
    }
}

fn phase(number: u8) -> AttemptPhase {
    match number % 6 {
        0 => AttemptPhase::Starting,
        1 => AttemptPhase::Running,
        2 => AttemptPhase::CommitPending,
        3 => AttemptPhase::Succeeded { partitions: Vec::new() },
        4 => AttemptPhase::Failed { reason: "f".to_owned() },
        _ => AttemptPhase::Killed { reason: "k".to_owned() },
    }
}

proptest! {
    #[test]
    fn an_attempt_ends_once_and_one_told_to_end_never_succeeds(steps in prop::collection::vec((0_u8..6, 0_u8..6), 0..40)) {
        let mut attempt = attempt();
        let (mut ends, mut told) = (0, false);
        for (input, number) in steps {
            let phase = phase(number);
            let input = match input {
                0 => Input::Offered,
                1 => Input::Seen(&phase),
                2 => Input::Absent,
                3 => Input::Grant,
                4 => Input::End("no"),
                _ => Input::Lost("gone"),
            };
            told |= attempt.is_live() && matches!(input, Input::End(_));
            let (before, was_wanted) = (attempt.state.clone(), attempt.is_wanted());
            let turn = attempt.step(&input);
            ends += usize::from(turn == Turn::Ended);
            prop_assert_eq!(ends, usize::from(!attempt.is_live()));
            prop_assert!(was_wanted || !attempt.is_wanted(), "{:?} came back", before);
            prop_assert_eq!(turn == Turn::Given, was_wanted && !attempt.is_wanted() && attempt.is_live());
            if told {
                prop_assert!(attempt.state != AttemptState::Ended(super::End::Succeeded));
            }
        }
    }

    #[test]
    fn an_executor_ends_once_and_takes_its_share_until_then(steps in prop::collection::vec((0_u8..6, any::<bool>()), 0..40)) {
        let mut executor = Executor {
            tracker: TrackerId(Uuid(1)),
            host: "h".into(),
            resources: Resources::default(),
            granted_ms: 0,
            state: ExecutorState::Assigned { offered: false },
        };
        let mut wanted = true;
        for (input, ended) in steps {
            let live = executor.is_live();
            executor.step(&match input {
                0 => ExecutorInput::Offered,
                1 | 2 => ExecutorInput::Seen(ended.then_some("out of memory")),
                3 => ExecutorInput::Absent,
                4 => ExecutorInput::End("no"),
                _ => ExecutorInput::Lost("gone"),
            });
            prop_assert!(live || !executor.is_live());
            prop_assert!(wanted || !executor.is_wanted());
            wanted = executor.is_wanted();
        }
    }

    #[test]
    fn outputs_read_from_anywhere_give_the_whole(
        events in prop::collection::vec((0_u32..5, any::<bool>()), 0..60),
        life in 0_u64..3,
        from in any::<u64>(),
        max in 1_usize..7,
    ) {
        let mut outputs = Outputs::new(life << 32);
        let mut right = BTreeMap::new();
        for (number, (map, lost)) in events.into_iter().enumerate() {
            let task = TaskId { job: JobId::default(), kind: TaskKind::Map, index: map };
            let id = AttemptId { task, number: number as u32 };
            if lost {
                outputs.lost(id);
                right.remove(&map);
            } else {
                outputs.ready(id, "h:1", Uuid(1));
                right.insert(map, id);
            }
        }
        // A tracker that starts at any position, its own of another life perhaps, ends with what is right.
        let (mut next, mut known) = (from, BTreeMap::new());
        let inside = next.checked_sub(life << 32).is_some_and(|at| at > 0 && at as usize <= outputs.events().len());
        prop_assume!(!inside);
        while let Some((at, list)) = outputs.after(next, max) {
            if at != next {
                known.clear();
            }
            prop_assert!(list.len() <= max);
            next = at + list.len() as u64;
            for event in list {
                match event {
                    OutputEvent::Ready { attempt, .. } => drop(known.insert(attempt.task.index, attempt)),
                    OutputEvent::Lost { attempt } => drop(known.remove(&attempt.task.index)),
                }
            }
        }
        prop_assert_eq!(known, right);
    }

    #[test]
    fn sums_are_of_the_attempts_that_count(values in prop::collection::vec((0_u8..4, -5_i64..5), 0..30)) {
        let mut sums = Sums::default();
        let mut right = Counters::default();
        for (number, (name, value)) in values.into_iter().enumerate() {
            let mut counters = Counters::default();
            counters.add("g", &name.to_string(), value);
            let tally = sums.tally(&counters);
            prop_assert_eq!(sums.of(&tally), counters.clone());
            sums.add(&tally);
            if number % 3 == 0 {
                sums.take_off(&tally);
            } else {
                right.merge(&counters);
            }
        }
        let counted = sums.counters(std::iter::empty());
        for name in 0..4 {
            prop_assert_eq!(counted.get("g", &name.to_string()), right.get("g", &name.to_string()));
        }
    }

    #[test]
    fn texts_are_cut_between_characters(text in "\\PC{0,40}", max in 0_usize..60) {
        let cut = clip(&text, max);
        prop_assert!(cut.len() <= max && text.starts_with(&cut));
        prop_assert!(cut == text || text.len() > max);
        prop_assert!(text.starts_with(first_line(&text)));
    }
}

#[test]
fn counters_beyond_the_limits_are_left_out() {
    let mut sums = Sums::default();
    let mut counters = Counters::default();
    counters.add("g", &"n".repeat(1000), 1);
    for number in 0..2000 {
        counters.add("g", &format!("{number:04}"), 1);
    }
    let tally = sums.tally(&counters);
    assert_eq!(tally.len(), mammoth_protocol::limits::COUNTERS_PER_JOB_MAX);
}
