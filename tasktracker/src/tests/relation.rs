//! The relation to the jobtracker: orders, news, registrations, silence, the end.

use super::fake::{Cluster, DONE, JOB, attempt, map, running, seconds, until};
use mammoth_protocol::Uuid;
use mammoth_protocol::jobs::TaskKind;
use mammoth_protocol::jobs::tracker::{AttemptPhase, FetchFailure, Order, OutputEvent};
use std::os::unix::process::CommandExt;
use std::process::Command;

fn ready(index: u32) -> OutputEvent {
    OutputEvent::Ready { attempt: map(index), server: "127.0.0.1:1".to_owned(), generation: Uuid(7) }
}

#[test]
fn reduces_are_told_of_outputs_once_and_in_order() {
    let cluster = Cluster::start();
    let reduce = attempt(TaskKind::Reduce, 0);
    cluster.run(reduce, &format!("read -r first; for i in 1 2 3; do read -r line; echo \"$line\"; done; {DONE}"));
    let wanted = || cluster.jobtracker.last()?.wants_outputs.first().copied();
    let path = cluster.root().join("logs/job_5_0001/attempt_5_0001_r_000000_0/stdout");
    let told = |lines: usize| {
        until("it was told", || (std::fs::read_to_string(&path).ok()?.lines().count() == lines).then_some(()));
    };
    until("it wants all", || wanted().filter(|wanted| (wanted.job, wanted.from) == (JOB, 0)));
    cluster.jobtracker.order(Order::Outputs { job: JOB, from: 0, events: vec![ready(0)] });
    until("it wants the next", || wanted().filter(|wanted| wanted.from == 1));
    told(1);
    let lost = OutputEvent::Lost { attempt: map(0) };
    cluster.jobtracker.order(Order::Outputs { job: JOB, from: 1, events: vec![lost] });
    until("it wants the next", || wanted().filter(|wanted| wanted.from == 2));
    told(2);
    // The jobtracker starts anew; what was said before is not said again.
    cluster.jobtracker.forget();
    until("it wants all", || wanted().filter(|wanted| wanted.from == 0));
    let lost = OutputEvent::Lost { attempt: map(0) };
    cluster.jobtracker.order(Order::Outputs { job: JOB, from: 100, events: vec![lost, ready(1)] });
    assert!(matches!(cluster.jobtracker.end_of(reduce), AttemptPhase::Succeeded { .. }));
    let log = cluster.text("/logs/attempt_5_0001_r_000000_0/stdout");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 3);
    for (line, part) in lines.iter().zip(["m_000000_0\",\"server", "\"lost\"", "m_000001_0\",\"server"]) {
        assert!(line.starts_with(r#"{"to":"outputs","events":[{"event":"#) && line.contains(part), "{line}");
        assert_eq!(line.matches("attempt_").count(), 1, "{line}");
    }
    assert!(cluster.jobtracker.last().unwrap().wants_outputs.is_empty());
}

#[test]
fn complaints_reach_the_jobtracker_once() {
    let cluster = Cluster::start();
    let reduce = attempt(TaskKind::Reduce, 0);
    let script = format!(
        "echo '{{\"from\":\"fetch_failed\",\"map\":\"attempt_5_0001_m_000002_0\",\"reason\":\"gone\"}}' >&0; read -r a; read -r b; {DONE}"
    );
    cluster.run(reduce, &script);
    until("it complains", || {
        let polls = &cluster.jobtracker.said.lock().unwrap().polls;
        polls.iter().any(|poll| !poll.fetch_failures.is_empty()).then_some(())
    });
    until("that was heard", || cluster.jobtracker.last()?.fetch_failures.is_empty().then_some(()));
    let said = cluster.jobtracker.said.lock().unwrap();
    let complaints: Vec<&FetchFailure> = said.polls.iter().flat_map(|poll| &poll.fetch_failures).collect();
    assert_eq!(complaints, [&FetchFailure { reduce, map: map(2), reason: "gone".to_owned() }]);
}

#[test]
fn a_jobtracker_that_forgot_is_registered_with_again_and_told_everything() {
    let cluster = Cluster::start();
    let sleep = seconds();
    cluster.run(map(0), &format!("sleep {sleep}"));
    until("it runs", || (cluster.jobtracker.phase(map(0))? == AttemptPhase::Running).then_some(()));
    let seq = cluster.jobtracker.last().unwrap().seq;
    assert!(seq >= 2);
    cluster.jobtracker.forget();
    let again =
        until("it polls under the new registration", || cluster.jobtracker.last().filter(|poll| poll.epoch.0 == 2));
    assert_eq!(again.attempts.iter().map(|report| report.attempt).collect::<Vec<_>>(), [map(0)]);
    let said = cluster.jobtracker.said.lock().unwrap();
    let first = said.polls.iter().find(|poll| poll.epoch.0 == 2).unwrap();
    assert_eq!(first.seq, 1);
    assert_eq!(said.registrations.len(), 2);
    assert_eq!(said.registrations[0], said.registrations[1]);
    let mut numbers: Vec<u64> = said.polls.iter().filter(|poll| poll.epoch.0 == 1).map(|poll| poll.seq).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "in steps of one");
}

#[test]
fn an_order_that_comes_twice_starts_one_process() {
    let cluster = Cluster::start();
    let sleep = seconds();
    let launch = cluster.launch(map(0), &format!("exec sleep {sleep}"));
    for _ in 0..3 {
        cluster.jobtracker.order(Order::Launch(launch.clone()));
    }
    until("it runs", || (running(&sleep).len() == 1).then_some(()));
    cluster.jobtracker.order(Order::Launch(launch));
    cluster.jobtracker.order(Order::Kill { attempt: map(0), reason: "enough".to_owned() });
    cluster.jobtracker.end_of(map(0));
    assert!(running(&sleep).is_empty());
    assert_eq!(cluster.jobtracker.last().unwrap().attempts.len(), 1);
}

#[test]
fn a_job_is_not_dropped_while_something_of_it_runs() {
    let cluster = Cluster::start();
    let sleep = seconds();
    cluster.run(map(0), &format!("exec sleep {sleep}"));
    until("it runs", || (running(&sleep).len() == 1).then_some(()));
    cluster.jobtracker.order(Order::DropJob { job: JOB });
    assert!(matches!(cluster.jobtracker.end_of(map(0)), AttemptPhase::Killed { .. }));
    assert_eq!(cluster.jobtracker.last().unwrap().jobs, [JOB]);
    cluster.jobtracker.order(Order::DropJob { job: JOB });
    until("it is dropped", || cluster.jobtracker.last().unwrap().jobs.is_empty().then_some(()));
    assert!(cluster.names("jobs").is_empty());
}

#[test]
fn attempts_end_when_the_jobtracker_is_silent_for_too_long() {
    let mut cluster = Cluster::with_expiry(1_500);
    let sleep = seconds();
    cluster.run(map(0), &format!("sleep {sleep}"));
    until("it runs", || (running(&sleep).len() == 1).then_some(()));
    cluster.stop_jobtracker();
    until("it is ended", || running(&sleep).is_empty().then_some(()));
    until("the page says why", || {
        cluster.text("/api/v1/status").contains("the jobtracker could not be reached for 1500 ms").then_some(())
    });
    assert!(!cluster.tracker().registered() || cluster.tracker().fatal().is_none());
}

#[test]
fn nothing_is_left_by_a_tracker_that_ends() {
    let mut cluster = Cluster::start();
    let sleep = seconds();
    cluster.run(map(0), &format!("setsid sleep {sleep} & sleep {sleep}"));
    cluster.run_executor(1, &format!("sleep {sleep}"));
    until("all run", || (running(&sleep).len() >= 3).then_some(()));
    let tracker = cluster.tracker().tracker();
    cluster.stop_tracker();
    assert!(running(&sleep).is_empty());
    assert!(cluster.names("trash").is_empty());
    // What escaped from a run that was killed is ended by the next one, before its folder is emptied.
    let mut escaped =
        Command::new("sleep").arg(&sleep).env("MAMMOTH_TRACKER", tracker.to_string()).process_group(0).spawn().unwrap();
    let generation = cluster.jobtracker.said.lock().unwrap().registrations[0].generation;
    cluster.start_tracker();
    assert!(!escaped.wait().unwrap().success());
    let said = cluster.jobtracker.said.lock().unwrap();
    let last = said.registrations.last().unwrap();
    assert_eq!(last.tracker, tracker);
    assert_ne!(last.generation, generation);
    drop(said);
    assert!(cluster.names("jobs").is_empty() && cluster.names("apps").is_empty());
    assert_eq!(cluster.names("programs").len(), 2, "programs are kept");
}

#[test]
fn many_ends_at_a_time_are_all_told_and_cost_few_polls() {
    let cluster = Cluster::start();
    for index in 0..40 {
        cluster.run(map(index), DONE);
    }
    for index in 0..40 {
        let end = cluster.jobtracker.end_of(map(index));
        assert!(matches!(end, AttemptPhase::Succeeded { .. }), "{end:?}");
    }
    assert_eq!(cluster.names("programs").len(), 1);
    let polls = cluster.jobtracker.said.lock().unwrap().polls.len();
    assert!(polls < 200, "{polls} polls: each news costs two at most, and those that come together less");
}
