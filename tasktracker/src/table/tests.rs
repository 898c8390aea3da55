use super::*;
use mammoth_protocol::jobs::spec::ProgramRef;
use mammoth_protocol::jobs::{AttemptId, TaskId, TrackerEpoch, TrackerId};
use mammoth_protocol::limits::INTERNAL_JSON_MAX;

const JOB: JobId = JobId { cluster_ms: 5, number: 1 };

fn attempt(kind: TaskKind, index: u32) -> AttemptId {
    AttemptId { task: TaskId { job: JOB, kind, index }, number: 0 }
}

fn launch(attempt: AttemptId) -> LaunchAttempt {
    LaunchAttempt {
        attempt,
        fs: "hdfs://h:1".to_owned(),
        spec: "/s".to_owned(),
        spec_sha256: String::new(),
        program: ProgramRef::default(),
        user: "me".to_owned(),
        resources: Resources { cores: 1, memory_mib: 64 },
        maps: 1,
        reduces: 1,
        timeout_ms: 0,
    }
}

fn poll(table: &Table) -> (mammoth_protocol::jobs::tracker::PollRequest, Sent) {
    table.poll(TrackerId::default(), TrackerEpoch(1), 1, 0)
}

#[test]
fn an_attempt_is_held_from_its_order_until_its_end_is_known() {
    let table = Table::new();
    let id = attempt(TaskKind::Map, 0);
    let child = ChildId::Attempt(id);
    assert!(table.launch(&launch(id), 7).is_some());
    assert!(table.launch(&launch(id), 8).is_none(), "the order came twice");
    table.forget(child);
    assert!(!table.may_drop(Owner::Job(JOB)));
    let (request, _) = poll(&table);
    assert_eq!(request.attempts.len(), 1);
    assert_eq!((request.attempts[0].state.clone(), request.jobs), (AttemptPhase::Starting, vec![JOB]));
    let mut news = table.news();
    news.mark_unchanged();
    table.attempt_ended(child, AttemptPhase::Killed { reason: "r".to_owned() }, None);
    assert!(news.has_changed().unwrap());
    assert_eq!(*table.live().borrow(), 0);
    assert_eq!(poll(&table).0.attempts.len(), 1);
    table.forget(child);
    assert!(poll(&table).0.attempts.is_empty());
    assert!(table.launch(&launch(id), 9).is_none(), "the order was late");
    assert!(table.may_drop(Owner::Job(JOB)));
    table.dropped(Owner::Job(JOB));
    assert!(poll(&table).0.jobs.is_empty());
}

#[test]
fn complaints_stay_until_a_poll_with_them_was_answered() {
    let table = Table::new();
    let failure = |index| FetchFailure {
        reduce: attempt(TaskKind::Reduce, 0),
        map: attempt(TaskKind::Map, index),
        reason: "gone".to_owned(),
    };
    table.fetch_failed(failure(0));
    table.fetch_failed(failure(0));
    let (request, sent) = poll(&table);
    assert_eq!(request.fetch_failures, [failure(0)]);
    table.fetch_failed(failure(1));
    let (again, _) = poll(&table);
    assert_eq!(
        (again.fetch_failures, again.fetch_failures_before),
        (vec![failure(0), failure(1)], 0),
        "none is known yet"
    );
    table.answered(&sent);
    let (rest, _) = poll(&table);
    assert_eq!((rest.fetch_failures, rest.fetch_failures_before), (vec![failure(1)], 1));
}

#[test]
fn outputs_are_wanted_while_a_reduce_runs() {
    let table = Table::new();
    let id = attempt(TaskKind::Reduce, 0);
    let wish = table.launch(&launch(id), 0).unwrap();
    let (request, sent) = poll(&table);
    assert_eq!(request.wants_outputs.iter().map(|wanted| wanted.from).collect::<Vec<_>>(), [0]);
    let lost = OutputEvent::Lost { attempt: attempt(TaskKind::Map, 0) };
    table.take_outputs(JOB, sent.asked[&JOB], 0, vec![lost.clone()]);
    assert!(wish.has_changed().unwrap());
    let mut cursor = table.outputs_start(ChildId::Attempt(id)).unwrap();
    assert_eq!(table.outputs_after(JOB, &mut cursor, 9), [lost]);
    assert_eq!(poll(&table).0.wants_outputs[0].from, 1);
    table.attempt_ended(ChildId::Attempt(id), AttemptPhase::Failed { reason: String::new() }, None);
    assert!(poll(&table).0.wants_outputs.is_empty());
}

#[test]
fn a_poll_is_never_larger_than_the_jobtracker_takes() {
    let table = Table::new();
    for index in 0..40 {
        let id = attempt(TaskKind::Map, index);
        table.launch(&launch(id), 0).unwrap();
        let partitions = vec![u64::MAX; 20_000];
        table.attempt_ended(ChildId::Attempt(id), AttemptPhase::Succeeded { partitions }, None);
    }
    let huge = attempt(TaskKind::Map, 99);
    table.launch(&launch(huge), 0).unwrap();
    let mut said = 0;
    for round in 1.. {
        assert!(round < 40, "every report is said at last");
        let (request, _) = poll(&table);
        assert!(serde_json::to_vec(&request).unwrap().len() < INTERNAL_JSON_MAX);
        let ended: Vec<AttemptId> = request
            .attempts
            .iter()
            .filter(
                |report| matches!(&report.state, AttemptPhase::Succeeded { partitions } if partitions.len() == 20_000),
            )
            .map(|report| report.attempt)
            .collect();
        assert_eq!(request.attempts.len(), 41 - said);
        if ended.is_empty() {
            break;
        }
        said += ended.len();
        for attempt in ended {
            table.forget(ChildId::Attempt(attempt));
        }
    }
    assert_eq!(said, 40);
    let asks = attempt(TaskKind::Reduce, 0);
    table.launch(&launch(asks), 0).unwrap();
    for index in 0..40 {
        let id = attempt(TaskKind::Map, 100 + index);
        table.launch(&launch(id), 0).unwrap();
        let partitions = vec![u64::MAX; 20_000];
        table.attempt_ended(ChildId::Attempt(id), AttemptPhase::Succeeded { partitions }, None);
    }
    for index in 200..3200 {
        table.launch(&launch(attempt(TaskKind::Map, index)), 0).unwrap();
    }
    table.commit_pending(ChildId::Attempt(asks), true);
    let asked = poll(&table).0.attempts.iter().any(|report| report.state == AttemptPhase::CommitPending);
    assert!(asked, "leave to commit is asked for however much else there is to say");
    let partitions = vec![u64::MAX; 1_000_000];
    table.attempt_ended(ChildId::Attempt(huge), AttemptPhase::Succeeded { partitions }, None);
    assert_eq!(poll(&table).0.attempts[0].state, AttemptPhase::Succeeded { partitions: Vec::new() });
}

#[test]
fn counters_are_bounded() {
    let mut counters = Counters::default();
    counters.add("g", &"x".repeat(COUNTER_NAME_BYTES_MAX + 1), 1);
    for n in 0..=COUNTERS_PER_JOB_MAX {
        counters.add("g", &n.to_string(), 1);
    }
    let bounded = bounded(counters);
    assert_eq!(bounded.len(), COUNTERS_PER_JOB_MAX);
}
