use super::link::{Inbox, Outbox};
use super::log::{LOG_BYTES_MAX, Log};
use super::reason;
use super::verdict::{Cause, Said, Verdict, of_executor, of_task};
use mammoth_protocol::jobs::Counters;
use mammoth_protocol::jobs::link::{FromChild, LINE_MAX, ToChild};
use mammoth_protocol::limits::REASON_BYTES_MAX;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

#[test]
fn lines_come_in_any_pieces() {
    let text = "{\"from\":\"ask_commit\"}\n{\"from\":\"failed\",\"reason\":\"r\"}\n";
    let mut inbox = Inbox::default();
    let mut found = Vec::new();
    for byte in text.as_bytes() {
        inbox.push(&[*byte]);
        while let Some(message) = inbox.next().unwrap() {
            found.push(message);
        }
    }
    let expected = [FromChild::AskCommit, FromChild::Failed { reason: "r".to_owned() }];
    assert_eq!(found, expected);
    let mut inbox = Inbox::default();
    inbox.push(text.as_bytes());
    assert_eq!([inbox.next().unwrap().unwrap(), inbox.next().unwrap().unwrap()], expected);
    assert_eq!(inbox.next(), Ok(None));
}

#[test]
fn long_and_malformed_lines_are_errors() {
    let mut inbox = Inbox::default();
    inbox.push(&vec![b'x'; LINE_MAX - 1]);
    assert_eq!(inbox.next(), Ok(None));
    inbox.push(b"x");
    assert!(inbox.next().unwrap_err().contains("a line of over"));
    let mut inbox = Inbox::default();
    inbox.push(b"{}\n");
    assert!(inbox.next().unwrap_err().contains("malformed"));
}

#[test]
fn what_is_taken_is_not_sent_again() {
    let mut outbox = Outbox::default();
    outbox.push(&ToChild::CommitGranted);
    let line = b"{\"to\":\"commit_granted\"}\n";
    assert_eq!(outbox.rest(), line);
    outbox.taken(5);
    outbox.push(&ToChild::CommitGranted);
    assert_eq!(outbox.rest(), [&line[5..], line].concat());
    outbox.taken(outbox.rest().len());
    assert!(outbox.rest().is_empty());
}

#[test]
fn only_a_word_and_a_status_together_are_success() {
    let done = || Said::Done { counters: Counters::default(), partitions: vec![1] };
    let exit = |code: i32| ExitStatus::from_raw(code << 8);
    let kill = ExitStatus::from_raw(9);
    assert!(matches!(of_task(done(), Cause::Itself, exit(0)), Verdict::Succeeded { .. }));
    for (said, cause, status, part) in [
        (Said::Nothing, Cause::Itself, exit(0), "status 0 before it was done"),
        (Said::Nothing, Cause::Itself, kill, "signal 9 (SIGKILL)"),
        (done(), Cause::Itself, exit(1), "done and then exited with status 1"),
        (done(), Cause::Itself, kill, "done and then was killed"),
        (done(), Cause::Lingered(10_000), kill, "10 s later"),
        (done(), Cause::Broken("b".to_owned()), exit(0), "b"),
        (Said::Failed("f".to_owned()), Cause::Itself, exit(0), "f"),
        (Said::Nothing, Cause::Silent(2_500), kill, "no progress for 2500 ms"),
    ] {
        match of_task(said, cause, status) {
            Verdict::Failed(line) => assert!(line.contains(part), "{line}"),
            other => panic!("{part}: {other:?}"),
        }
    }
    let ordered = || Cause::Ordered("o".to_owned());
    assert_eq!(of_task(done(), ordered(), exit(0)), Verdict::Killed("o".to_owned()));
    assert_eq!(of_executor(Said::Nothing, ordered(), kill), "o");
    assert_eq!(of_executor(Said::Nothing, Cause::Itself, exit(0)), "exited with status 0");
}

#[test]
fn a_reason_fits_and_ends_with_the_log() {
    let lines: Vec<String> = (0..100).map(|n| format!("{n} {}\u{7}", "ä".repeat(100))).collect();
    let text = reason::full(&"first\nline".repeat(200), &lines, "http://h:1/logs/x");
    assert!(text.len() <= REASON_BYTES_MAX, "{}", text.len());
    let shown: Vec<&str> = text.lines().collect();
    assert!(shown[0].starts_with("first line") && shown.len() > 5);
    assert!(shown[shown.len() - 2].starts_with("99 ") && !text.contains('\u{7}'));
    assert_eq!(shown[shown.len() - 1], "Log: http://h:1/logs/x");
    assert_eq!(reason::full("a", &[], "u"), "a\nLog: u");
}

#[test]
fn a_log_keeps_its_beginning_and_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stderr");
    let log = Log::create(&path).unwrap();
    let mut log = log.lock().unwrap();
    log.put(b"begin\n");
    let middle = vec![b'm'; 1 << 20];
    for _ in 0..10 {
        log.put(&middle);
    }
    log.put(b"\nend\n");
    assert_eq!(log.last_lines(1), ["end"]);
    log.finish();
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.starts_with(b"begin\nmmm") && bytes.ends_with(b"mmm\nend\n"));
    let limit = usize::try_from(LOG_BYTES_MAX).unwrap();
    assert!((limit..limit + (128 << 10)).contains(&bytes.len()), "{}", bytes.len());
}
