use super::*;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

const SOON: Duration = Duration::from_secs(10);

struct Step<F>(F);

impl<F: FnMut() -> Result<WorkerState, String> + Send> Worker for Step<F> {
    fn name(&self) -> &str {
        "step"
    }

    fn work(&mut self) -> Result<WorkerState, String> {
        (self.0)()
    }
}

/// Polls until `ready`, failing after ten seconds.
fn eventually(what: &str, mut ready: impl FnMut() -> bool) {
    let deadline = crate::Deadline::after(&SystemClock, SOON);
    while !ready() {
        assert!(!deadline.is_over(&SystemClock), "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_thread_is_listed_while_it_runs_and_joined_at_the_end() {
    let shutdown = Shutdown::new();
    let workers = Workers::new(shutdown.clone());
    let token = shutdown.clone();
    workers
        .thread("waiter", move || -> Result<(), String> {
            token.wait_forever();
            Ok(())
        })
        .unwrap();
    assert_eq!(workers.statuses()[0].name, "waiter");
    assert_eq!(workers.join(Duration::from_millis(1)).unwrap_err(), ["waiter: still running after 1ms"]);
    shutdown.trigger();
    workers.join(SOON).unwrap();
    assert!(workers.statuses().is_empty());
}

#[test]
fn a_failed_or_panicked_thread_is_fatal_and_drops_what_it_owns_first() {
    let shutdown = Shutdown::new();
    let workers = Workers::new(shutdown.clone());
    workers.thread("log", || Err("no space left")).unwrap();
    eventually("the failure ends the daemon", || shutdown.is_triggered());
    let owned = Arc::new(());
    let held = owned.clone();
    workers
        .thread("panics", move || -> Result<(), String> {
            let _held = held;
            panic!("number {}", 7)
        })
        .unwrap();
    let mut lines = workers.join(SOON).unwrap_err();
    lines.sort();
    assert_eq!(lines, ["log: no space left", "panics panicked: number 7"]);
    assert_eq!(shutdown.fatal_reason().as_deref(), Some("log: no space left"));
    assert_eq!(Arc::strong_count(&owned), 1);
}

#[test]
fn a_worker_idles_until_woken_and_ends_with_the_daemon() {
    let shutdown = Shutdown::new();
    let workers = Workers::new(shutdown.clone());
    let (send, receive) = mpsc::sync_channel(8);
    let waker = workers
        .worker(Step(move || {
            send.send(()).map_err(|e| e.to_string())?;
            Ok(WorkerState::Idle(3_600_000))
        }))
        .unwrap();
    receive.recv_timeout(SOON).unwrap();
    waker.wake();
    receive.recv_timeout(SOON).unwrap();
    eventually("it idles again", || workers.statuses()[0].activity == Activity::Idle);
    shutdown.trigger();
    workers.join(SOON).unwrap();
}

#[test]
fn a_failing_worker_shows_its_error_and_is_tried_again() {
    let shutdown = Shutdown::new();
    let workers = Workers::new(shutdown.clone());
    let calls = Arc::new(AtomicU64::new(0));
    let counter = calls.clone();
    let waker = workers
        .worker(Step(move || match counter.fetch_add(1, Ordering::SeqCst) {
            0 => Err("no route".to_owned()),
            1 => Ok(WorkerState::Busy),
            _ => Ok(WorkerState::Done),
        }))
        .unwrap();
    eventually("the error is shown", || {
        workers.statuses().first().is_some_and(|s| {
            s.activity == Activity::Failing && s.last_error.as_ref().is_some_and(|(e, _)| e == "no route")
        })
    });
    waker.wake();
    workers.join(SOON).unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    assert!(!shutdown.is_triggered(), "a worker's failure is not fatal");
}
