//! The threads of an executor: one takes orders, one sends reports, one gives signs of life, and as many as there are cores run
//! tasks.

use super::link::{Gone, Link};
use super::{Env, Site, lock};
use crate::task::panic;
use crate::task::run::run_task;
use crate::wire::{HEARD_EVERY_MS, ORDERS_WAIT_MS, Order, Report, TaskOrder};
use mammoth_engine_core::api::TaskKey;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// Reports that may wait for the driver.
const REPORTS_WAITING: usize = 64;
/// Tasks that may wait for a thread; the driver sends no more than there are cores, but cancelled ones may still be ending.
const TASKS_WAITING: usize = 1024;
/// How often the thread that reports looks for changes of blocks.
const REPORT_EVERY: Duration = Duration::from_millis(500);
/// The same at the end, when nobody listens any more.
const END_STEP: Duration = Duration::from_millis(5);

/// Runs an executor until its driver is gone or says stop, or one of its threads panics; returns why.
pub(crate) fn serve(site: Site, link: Arc<dyn Link>) -> String {
    let (reports, queue) = sync_channel(REPORTS_WAITING);
    let env = Env::new(site, Arc::clone(&link), reports);
    let threads = AssertUnwindSafe(|| run_threads(&env, &link, queue));
    if catch_unwind(threads).is_err() {
        env.end(PANICKED);
    }
    let reason = env.ended().unwrap_or_default();
    panic::discard("what an executor kept", env);
    reason
}

/// Why an executor ends in which the engine itself is wrong.
const PANICKED: &str = "a thread of the executor panicked";

fn run_threads(env: &Arc<Env>, link: &Arc<dyn Link>, queue: Receiver<Report>) {
    let (tasks, todo) = sync_channel::<Box<TaskOrder>>(TASKS_WAITING);
    let todo = Mutex::new(todo);
    let stopped = Stopped::default();
    thread::scope(|scope| {
        let name = |what: &str| thread::Builder::new().name(format!("{what}-{}", env.site.executor));
        // However this thread goes on: the others end with it.
        let _stopping = Stopping { env, stopped: &stopped };
        let (todo, stopped) = (&todo, &stopped);
        let mut started = Vec::new();
        for _ in 0..env.site.cores.max(1) {
            started.push(name("task").spawn_scoped(scope, move || watched(env, || work(env, todo))));
        }
        started.push(name("heard").spawn_scoped(scope, move || watched(env, || heard(env, &**link, stopped))));
        started.push(name("report").spawn_scoped(scope, move || watched(env, || report(env, &**link, &queue))));
        if let Some(Err(error)) = started.iter().find(|thread| thread.is_err()) {
            env.end(&format!("a thread could not be started: {error}"));
        }
        take_orders(env, &**link, &tasks);
        drop(tasks);
    });
}

/// Runs a thread's work. If that panics the executor ends, so that another one takes its place: one that only looks alive would
/// be waited for.
fn watched(env: &Env, work: impl FnOnce()) {
    struct Watch<'a>(&'a Env);
    impl Drop for Watch<'_> {
        fn drop(&mut self) {
            if thread::panicking() {
                self.0.end(PANICKED);
            }
        }
    }
    let _watch = Watch(env);
    work();
}

/// Ends the other threads with the one that takes orders.
struct Stopping<'a> {
    env: &'a Env,
    stopped: &'a Stopped,
}

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.env.end(PANICKED);
        }
        self.stopped.set();
    }
}

/// Lets the thread of the signs of life end without waiting for its pause.
#[derive(Default)]
struct Stopped {
    flag: Mutex<bool>,
    changed: Condvar,
}

impl Stopped {
    fn set(&self) {
        *lock(&self.flag) = true;
        self.changed.notify_all();
    }

    fn wait(&self, pause: Duration) -> bool {
        let flag = lock(&self.flag);
        let waited = self.changed.wait_timeout_while(flag, pause, |stopped| !*stopped);
        *waited.unwrap_or_else(std::sync::PoisonError::into_inner).0
    }
}

fn take_orders(env: &Env, link: &dyn Link, tasks: &SyncSender<Box<TaskOrder>>) {
    let mut after = 0;
    while env.ended().is_none() {
        match link.orders(after, ORDERS_WAIT_MS) {
            Ok(orders) => {
                for (number, order) in orders {
                    if number > after {
                        after = number;
                        // Whatever an order drops, the next ones are to be obeyed.
                        if let Err(text) = panic::catch(|| obey(env, order, tasks)) {
                            tracing::error!("an order could not be carried out: {text}");
                        }
                    }
                }
            }
            Err(Gone(reason)) => env.end(&reason),
        }
    }
}

fn obey(env: &Env, order: Order, tasks: &SyncSender<Box<TaskOrder>>) {
    match order {
        Order::Launch(order) => {
            let key = order.task;
            lock(&env.running).insert(key, Arc::new(AtomicBool::new(false)));
            if tasks.try_send(order).is_err() {
                env.end("more tasks were sent than an executor can hold");
            }
        }
        Order::Cancel(task) => {
            if let Some(cancelled) = lock(&env.running).get(&task) {
                cancelled.store(true, Ordering::Relaxed);
            }
        }
        Order::Commit { task, granted } => {
            lock(&env.commits).insert(task, granted);
            env.committed.notify_all();
        }
        Order::DropShuffle { shuffle, before } => drop_shuffle(&env.site.shuffle_dir, shuffle, before),
        Order::DropDataset(dataset) => env.blocks.drop_dataset(dataset),
        Order::DropBlobs(blobs) => env.blobs.drop_blobs(&blobs),
        Order::Stop { reason } => env.end(&reason),
    }
}

/// Deletes the files of a shuffle's outputs. Several executors may share the folder, and do the same.
fn drop_shuffle(dir: &Path, shuffle: mammoth_engine_core::api::ShuffleId, before: Option<u32>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let prefix = format!("shuffle-{shuffle}-map-");
    for entry in entries.flatten() {
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(&prefix));
        let generation = rest.and_then(|rest| rest.split('-').nth(1)?.parse::<u32>().ok());
        let old = generation.is_some_and(|generation| before.is_none_or(|before| generation < before));
        if old && let Err(error) = std::fs::remove_file(entry.path()) {
            tracing::debug!(%error, file = %entry.path().display(), "a shuffle file could not be removed");
        }
    }
}

fn work(env: &Arc<Env>, todo: &Mutex<Receiver<Box<TaskOrder>>>) {
    loop {
        let order = lock(todo).recv();
        let Ok(order) = order else { return };
        let key = order.task;
        let Some(cancelled) = lock(&env.running).get(&key).cloned() else { continue };
        if env.ended().is_some() {
            lock(&env.running).remove(&key);
            continue;
        }
        let running = Running { env, key };
        let report = run_task(env, &order, &cancelled);
        drop(running);
        let _gone = env.report(Report::TaskEnded(Box::new(report)));
    }
}

/// A task that runs, however it ends.
struct Running<'a> {
    env: &'a Env,
    key: TaskKey,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        lock(&self.env.running).remove(&self.key);
        lock(&self.env.commits).remove(&self.key);
    }
}

/// Sends reports in order, changes of blocks before what comes after them.
fn report(env: &Env, link: &dyn Link, queue: &Receiver<Report>) {
    let mut number = 0;
    let mut send = |report| {
        number += 1;
        if let Err(Gone(reason)) = link.report(number, report) {
            env.end(&reason);
        }
    };
    while env.ended().is_none() {
        let next = queue.recv_timeout(REPORT_EVERY);
        let changes = env.blocks.take_changes();
        if !changes.is_empty() {
            send(Report::Blocks(changes));
        }
        match next {
            Ok(report) => send(report),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
    // Tasks that still end must not wait for room in the queue.
    while queue.recv_timeout(END_STEP).is_ok() || !lock(&env.running).is_empty() {}
}

fn heard(env: &Env, link: &dyn Link, stopped: &Stopped) {
    while !stopped.wait(Duration::from_millis(HEARD_EVERY_MS)) {
        if let Err(Gone(reason)) = link.heard() {
            env.end(&reason);
        }
    }
}
