//! How attempts end, and that nothing of them is left.

use super::fake::{Cluster, DONE, attempt, map, running, seconds, until};
use crate::procs;
use mammoth_platform::{Clock, SystemClock};
use mammoth_protocol::jobs::TaskKind;
use mammoth_protocol::jobs::tracker::{AttemptPhase, Order};
use std::fs;

#[test]
fn an_attempt_that_is_done_and_ends_well_has_succeeded() {
    let cluster = Cluster::start();
    let script = format!(
        "read -r line; echo \"$line\"; echo oops >&2; pwd; env\n\
         echo output > ../../shuffle/attempt_5_0001_m_000000_0.data; touch left\n{DONE}"
    );
    let began = SystemClock.now().monotonic_ms;
    cluster.run(map(0), &script);
    let end = cluster.jobtracker.end_of(map(0));
    let took = SystemClock.now().monotonic_ms - began;
    assert_eq!(end, AttemptPhase::Succeeded { partitions: vec![7] });
    assert!(took < 1000, "{took} ms");

    let log = cluster.text("/logs/attempt_5_0001_m_000000_0/stdout");
    let first = log.lines().next().unwrap();
    assert!(first.contains(r#""to":"task""#) && first.contains("attempt_5_0001_m_000000_0"), "{first}");
    let work = cluster.root().canonicalize().unwrap().join("jobs/job_5_0001/work/attempt_5_0001_m_000000_0");
    assert!(log.lines().any(|line| line == work.to_string_lossy()), "{log}");
    assert!(log.contains("MAMMOTH_ROLE=task") && log.contains("HADOOP_USER_NAME=me"), "{log}");
    assert!(!log.contains("CARGO"), "the environment is not handed down");
    assert_eq!(cluster.text("/logs/attempt_5_0001_m_000000_0/stderr?tail=5"), "oops\n");
    let both = cluster.text("/tasklog?plaintext=true&attemptid=attempt_5_0001_m_000000_0");
    assert!(both.contains("stdout logs") && both.contains("oops"), "{both}");

    assert!(cluster.names("jobs/job_5_0001/work").is_empty());
    assert_eq!(cluster.names("jobs/job_5_0001/shuffle"), ["attempt_5_0001_m_000000_0.data"]);
    cluster.jobtracker.order(Order::Forget { attempt: map(0) });
    until("it is forgotten", || cluster.jobtracker.phase(map(0)).is_none().then_some(()));
    cluster.jobtracker.order(Order::DropJob { job: super::fake::JOB });
    until("the job is dropped", || cluster.jobtracker.last().unwrap().jobs.is_empty().then_some(()));
    assert!(cluster.names("jobs").is_empty());
    assert_eq!(cluster.names("logs"), ["job_5_0001"], "logs are kept");
}

#[test]
fn ends_that_are_failures() {
    let cluster = Cluster::start();
    let table = [
        ("echo almost >&2; exit 0", "exited with status 0 before it was done\nalmost\nLog: http://127.0.0.1:"),
        ("echo a >&2; echo b >&2; exit 3", "exited with status 3\na\nb\nLog: "),
        ("kill -SEGV $$", "was killed by signal 11 (SIGSEGV"),
        (&format!("{DONE}; exit 4"), "it was done and then exited with status 4"),
        (r#"printf '%s\n' '{"from":"failed","reason":"no\nsuch input"}' >&0; exit 1"#, "no such input\nLog: "),
        ("echo rubbish >&0; sleep 100", "it sent a malformed line on its link"),
        ("echo x > ../../shuffle/attempt_5_0001_m_000006_0.data.tmp; exit 1", "exited with status 1"),
    ];
    for (index, (script, _)) in (0..).zip(&table) {
        cluster.run(map(index), script);
    }
    for (index, (script, expected)) in (0..).zip(&table) {
        let reason = cluster.jobtracker.failure_of(map(index));
        assert!(reason.starts_with(expected), "{script}: {reason}");
        assert!(reason.ends_with(&format!("/logs/{}/stderr", map(index))), "{reason}");
    }
    assert!(cluster.names("jobs/job_5_0001/work").is_empty());
    assert!(cluster.names("jobs/job_5_0001/shuffle").is_empty(), "what failed leaves no output");
}

#[test]
fn silence_is_a_failure_and_any_line_is_a_sign_of_life() {
    let cluster = Cluster::start();
    let sleep = seconds();
    let mut silent = cluster.launch(map(0), &format!("sleep {sleep}"));
    silent.timeout_ms = 300;
    let progress = r#"echo '{"from":"progress","progress":0.5,"phase":"map","counters":{"groups":{}}}' >&0"#;
    let mut lively =
        cluster.launch(map(1), &format!("for i in 1 2 3 4 5 6 7 8; do {progress}; sleep 0.2; done; {DONE}"));
    lively.timeout_ms = 1000;
    cluster.jobtracker.order(Order::Launch(silent));
    cluster.jobtracker.order(Order::Launch(lively));
    let reason = cluster.jobtracker.failure_of(map(0));
    assert!(reason.starts_with("no progress for 300 ms"), "{reason}");
    assert!(running(&sleep).is_empty());
    assert!(matches!(cluster.jobtracker.end_of(map(1)), AttemptPhase::Succeeded { .. }));
}

#[test]
fn no_descendant_outlives_its_attempt() {
    let cluster = Cluster::start();
    let sleep = seconds();
    let table = [
        // In the group; in a group of its own; in a session of its own, orphaned; with nothing of the environment left.
        format!("sleep {sleep} & {DONE}"),
        format!("setsid sleep {sleep} & {DONE}"),
        format!("(setsid sh -c 'sleep {sleep} & sleep {sleep}' &) ; {DONE}"),
        format!("(env -i setsid sh -c 'sleep {sleep} & sleep {sleep}' &) ; {DONE}"),
        format!("(setsid sh -c 'cd /; sleep {sleep} &' >/dev/null 2>&1 &) ; sleep 0.1; {DONE}"),
        // Those that end by themselves and are nobody's.
        format!("for i in 1 2 3; do (setsid sh -c 'sleep 0.01 &' &); (sh -c 'exit 0' &); done; {DONE}"),
    ];
    for (index, script) in (0..).zip(&table) {
        cluster.run(map(index), script);
    }
    for (index, script) in (0..).zip(&table) {
        let end = cluster.jobtracker.end_of(map(index));
        assert!(matches!(end, AttemptPhase::Succeeded { .. }), "{script}: {end:?}");
    }
    assert_eq!(running(&sleep), [0; 0]);
    assert!(cluster.names("jobs/job_5_0001/work").is_empty());
    let session = procs::find(procs::own_pid()).unwrap().session;
    until("nobody's zombies are reaped", || {
        let strange = |proc: &procs::Proc| proc.zombie && proc.parent == procs::own_pid() && proc.session != session;
        (!procs::all().iter().any(strange)).then_some(())
    });
}

#[test]
fn a_killed_attempt_is_gone_with_everything() {
    let cluster = Cluster::start();
    let sleep = seconds();
    cluster.run(map(0), &format!("trap '' TERM; setsid sleep {sleep} & sleep {sleep}"));
    until("both run", || (running(&sleep).len() >= 2).then_some(()));
    let reason = "the job was killed".to_owned();
    cluster.jobtracker.order(Order::Kill { attempt: map(0), reason: reason.clone() });
    assert_eq!(cluster.jobtracker.end_of(map(0)), AttemptPhase::Killed { reason });
    assert_eq!(running(&sleep), [0; 0]);
}

#[test]
fn a_task_that_moves_to_another_group_is_killed_all_the_same() {
    let cluster = Cluster::start();
    let sleep = seconds();
    // A group leader may leave its group for another one of its session.
    let script = format!(
        "exec perl -e 'my $other = fork // die; if (!$other) {{ sleep {sleep}; exit }} \
         setpgrp($other, $other) or die; setpgrp(0, $other) or die; print STDERR \"moved\\n\"; sleep {sleep}'"
    );
    let mut silent = cluster.launch(map(0), &script);
    silent.timeout_ms = 1500;
    cluster.jobtracker.order(Order::Launch(silent));
    let reason = cluster.jobtracker.failure_of(map(0));
    assert!(reason.starts_with("no progress for 1500 ms") && reason.contains("\nmoved\n"), "{reason}");
    assert_eq!(running(&sleep), [0; 0]);
}

#[test]
fn a_child_that_stops_when_told_is_not_waited_for() {
    let cluster = Cluster::start();
    cluster.run(map(0), "read -r first; read -r second; echo \"$second\"; exit 0");
    until("it runs", || (cluster.jobtracker.phase(map(0))? == AttemptPhase::Running).then_some(()));
    cluster.jobtracker.order(Order::Kill { attempt: map(0), reason: "enough".to_owned() });
    assert_eq!(cluster.jobtracker.end_of(map(0)), AttemptPhase::Killed { reason: "enough".to_owned() });
    let said = cluster.text("/logs/attempt_5_0001_m_000000_0/stdout");
    assert_eq!(said, "{\"to\":\"stop\",\"reason\":\"enough\"}\n");
}

#[test]
fn done_without_an_end_is_a_failure() {
    let cluster = Cluster::start();
    let sleep = seconds();
    cluster.run(map(0), &format!("{DONE}; sleep {sleep}"));
    cluster.run(map(1), &format!("exec 0</dev/null; sleep {sleep}"));
    let reason = cluster.jobtracker.failure_of(map(0));
    assert!(reason.starts_with("it was done but had not ended 10 s later"), "{reason}");
    let reason = cluster.jobtracker.failure_of(map(1));
    assert!(reason.starts_with("it closed its link before it was done"), "{reason}");
    assert!(running(&sleep).is_empty());
}

#[test]
fn one_commit_is_asked_for_and_granted() {
    let cluster = Cluster::start();
    let reduce = attempt(TaskKind::Reduce, 0);
    let script =
        format!("echo '{{\"from\":\"ask_commit\"}}' >&0; read -r first; read -r second; echo \"$second\"; {DONE}");
    let mut launch = cluster.launch(reduce, &script);
    // Waiting for the jobtracker is no silence.
    launch.timeout_ms = 500;
    cluster.jobtracker.order(Order::Launch(launch));
    let asked = until("it asks", || {
        (cluster.jobtracker.phase(reduce)? == AttemptPhase::CommitPending).then(|| SystemClock.now().monotonic_ms)
    });
    until("it has waited for longer than it may be silent", || {
        (SystemClock.now().monotonic_ms > asked + 700).then_some(())
    });
    assert_eq!(cluster.jobtracker.phase(reduce), Some(AttemptPhase::CommitPending));
    cluster.jobtracker.order(Order::GrantCommit { attempt: reduce });
    assert!(matches!(cluster.jobtracker.end_of(reduce), AttemptPhase::Succeeded { .. }));
    let said = cluster.text("/logs/attempt_5_0001_r_000000_0/stdout");
    assert_eq!(said, "{\"to\":\"commit_granted\"}\n");
}

#[test]
fn what_cannot_be_fetched_fails_the_attempt() {
    let cluster = Cluster::start();
    let mut wrong = cluster.launch(map(0), "exit 0");
    wrong.program.sha256 = super::fake::hex(b"something else");
    let mut absent = cluster.launch(map(1), "exit 0");
    absent.program.sha256 = super::fake::hex(b"nowhere");
    absent.program.path = "/nowhere".to_owned();
    let mut spec = cluster.launch(map(2), "exit 0");
    spec.spec_sha256 = super::fake::hex(b"another specification");
    for launch in [wrong, absent, spec] {
        cluster.jobtracker.order(Order::Launch(launch));
    }
    for (index, expected) in [
        (0, "cannot fetch the program"),
        (1, "/nowhere: no such file"),
        (2, "cannot fetch the specification /spec: its SHA-256"),
    ] {
        let reason = cluster.jobtracker.failure_of(map(index));
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn a_program_that_cannot_be_run_fails_the_attempt() {
    let cluster = Cluster::start();
    let mut launch = cluster.launch(map(0), "exit 0");
    let bytes = b"no program at all".to_vec();
    launch.program = cluster.store(bytes);
    cluster.jobtracker.order(Order::Launch(launch));
    let reason = cluster.jobtracker.failure_of(map(0));
    assert!(reason.starts_with("cannot start the program"), "{reason}");
}

#[test]
fn a_log_is_bounded_and_keeps_its_end() {
    let cluster = Cluster::start();
    cluster.run(map(0), "yes 0123456789abcdef | head -n 700000 >&2; echo the end >&2; exit 1");
    let reason = cluster.jobtracker.failure_of(map(0));
    assert!(reason.contains("\n0123456789abcdef\nthe end\nLog: "), "{reason}");
    assert!(reason.len() <= mammoth_protocol::limits::REASON_BYTES_MAX);
    let path = cluster.root().join("logs/job_5_0001/attempt_5_0001_m_000000_0/stderr");
    let log = fs::read(path).unwrap();
    assert!(log.len() < 9 << 20, "{}", log.len());
    assert!(log.ends_with(b"\nthe end\n"));
    assert!(String::from_utf8_lossy(&log).contains("bytes left out"));
}
