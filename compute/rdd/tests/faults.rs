//! What users' values and closures do where nobody expects it: the executor and the driver live on, and the action says why it
//! failed.

use mammoth_engine::task::TaskContext;
use mammoth_platform::{Deadline, SystemClock};
use mammoth_protocol::jobs::event::AppEvent;
use mammoth_rdd::{Context, Error, Options, Rdd};
use serde::{Deserialize, Deserializer, Serialize};
use std::ops::AddAssign;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// More than enough on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs what might wait for ever.
fn in_time<R: Send + 'static>(what: &str, work: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, result) = channel();
    thread::spawn(move || drop(done.send(work())));
    result.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{what} does not end"))
}

fn count(context: &Context, is_such: impl Fn(&AppEvent) -> bool) -> usize {
    context.events().iter().filter(|event| is_such(&event.event)).count()
}

fn small(memory: u64) -> Context {
    let mut options = Options::of_environment("small").expect("options");
    options.memory = memory;
    Context::with_options("local[2]", &options).expect("a local context")
}

/// Whether the next mine that is dropped goes off.
static ARMED: AtomicBool = AtomicBool::new(false);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Mine(u64);

impl Drop for Mine {
    fn drop(&mut self) {
        assert!(!ARMED.swap(false, Ordering::SeqCst), "stepped on");
    }
}

#[test]
fn a_cached_value_that_panics_when_it_is_dropped_stops_nothing() {
    let context = Context::local("local[1]").unwrap();
    let mines = context.range(0..1, 1).map(Mine).cache();
    assert_eq!(mines.count().unwrap(), 1);
    ARMED.store(true, Ordering::SeqCst);
    mines.unpersist();
    let after = context.clone();
    assert_eq!(in_time("what comes after", move || after.range(0..10, 2).count().unwrap()), 10);
    assert!(!ARMED.load(Ordering::SeqCst), "the block was dropped");
}

/// A sum that panics where it is added to on the driver, or dropped after its task.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Touchy {
    on_driver: u64,
    after_task: u64,
}

impl AddAssign for Touchy {
    fn add_assign(&mut self, other: Self) {
        assert!(other.on_driver == 0 || thread::current().name() != Some("rdd-driver"), "not on my thread");
        self.on_driver += other.on_driver;
        self.after_task += other.after_task;
    }
}

impl Drop for Touchy {
    fn drop(&mut self) {
        let in_executor = thread::current().name().is_some_and(|name| name.starts_with("task-"));
        assert!(self.after_task == 0 || !in_executor || TaskContext::current().is_some(), "left over");
    }
}

impl std::fmt::Display for Touchy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.on_driver, self.after_task)
    }
}

#[test]
fn an_accumulator_that_panics_on_the_driver_fails_the_action_by_its_name() {
    let context = Context::local("local[2]").unwrap();
    let touchy = context.accumulator("touchy sum", Touchy::default());
    let numbers = context.range(0..10, 2).map_with(touchy, |touchy, x| {
        touchy.add(Touchy { on_driver: 1, after_task: 0 });
        x
    });
    let shuffled = numbers.map(|x| (x, x)).reduce_by_key(|a, b| a + b, 2);
    for failing in [in_time("the action", move || numbers.count()), in_time("the shuffle", move || shuffled.count())] {
        let error = failing.unwrap_err().to_string();
        assert!(error.contains("`touchy sum`") && error.contains("not on my thread"), "{error}");
    }
    let after = context.clone();
    assert_eq!(in_time("what comes after", move || after.range(0..10, 2).count().unwrap()), 10);
}

#[test]
fn an_accumulator_that_panics_when_its_task_is_over_costs_nothing() {
    let context = Context::local("local[1]").unwrap();
    let touchy = context.accumulator("touchy", Touchy::default());
    let numbers = context.range(0..10, 5).map_with(touchy.clone(), |touchy, x| {
        touchy.add(Touchy { on_driver: 0, after_task: 1 });
        x
    });
    assert_eq!(in_time("the action", move || numbers.count().unwrap()), 10);
    assert_eq!(touchy.value().after_task, 10);
}

#[test]
fn one_partition_that_is_too_large_fails_its_action_at_once() {
    let mut options = Options::of_environment("small").unwrap();
    options.results_max = 100_000;
    let context = Context::with_options("local[1]", &options).unwrap();
    let seen = context.accumulator("seen", 0_u64);
    let large = context.range(0..1000, 1).map(|_| vec![7_u8; 1000]);
    let error = large.collect().unwrap_err().to_string();
    assert!(error.contains("collect") && error.contains("100000 bytes") && error.contains("1 time(s)"), "{error}");
    let folded =
        context.range(0..1000, 1).aggregate(String::new(), |text, x| text + &format!("{x:200}"), |a, b| a + &b);
    assert!(folded.unwrap_err().to_string().contains("100000 bytes"));
    assert_eq!(seen.value(), 0);
}

static OUTER: OnceLock<Context> = OnceLock::new();

#[test]
fn an_action_inside_a_task_is_refused() {
    let context = OUTER.get_or_init(|| Context::local("local[1]").unwrap());
    let nested = context.range(0..1, 1).map(|_| {
        let inner = OUTER.get().map(|context| context.range(0..3, 1).count());
        inner.map_or_else(String::new, |inner| inner.unwrap_err().to_string())
    });
    let told = in_time("the action", move || nested.collect().unwrap());
    assert!(told[0].starts_with("an action cannot be run inside a task"), "{told:?}");
    context.stop();
}

#[test]
fn texts_that_are_joined_by_key_go_to_disk_when_memory_is_short() {
    let spilled = |memory: u64| {
        let context = small(memory);
        let texts = context.range(0..4000, 2).map(|x| (x % 400, format!("{x:10000}")));
        let joined = texts.reduce_by_key(|a, b| a + &b, 2);
        let lengths: Rdd<u64> = joined.map(|(_, text)| text.len() as u64);
        assert_eq!(lengths.reduce(|a, b| a + b).unwrap(), 40_000_000);
        let of_task = |event: AppEvent| match event {
            AppEvent::TaskEnded { metrics, .. } => metrics.spilled,
            _ => 0,
        };
        context.events().into_iter().map(|event| of_task(event.event)).sum::<u64>()
    };
    assert_eq!(spilled(1 << 30), 0);
    // The table itself would fit many times.
    assert!(spilled(16 << 20) > 10_000_000);
}

/// Lets the second partition's task begin only when it may.
#[derive(Debug, Serialize)]
struct Gate;

static IS_OPEN: AtomicBool = AtomicBool::new(false);
static IS_WAITING: AtomicBool = AtomicBool::new(false);

impl<'de> Deserialize<'de> for Gate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let () = Deserialize::deserialize(deserializer)?;
        if TaskContext::current().is_some_and(|task| task.key.partition == 1) {
            IS_WAITING.store(true, Ordering::SeqCst);
            wait_until("the gate opens", || IS_OPEN.load(Ordering::SeqCst));
        }
        Ok(Self)
    }
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Deadline::after(&SystemClock, PATIENCE);
    while !is_so() {
        assert!(!deadline.is_over(&SystemClock), "in vain: {what}");
        thread::yield_now();
    }
}

#[test]
fn a_task_that_begins_when_its_action_has_failed_leaves_no_folder() {
    let dir = tempfile::tempdir().unwrap();
    let out = format!("file://{}/out", dir.path().display());
    let context = Context::local("local[2]").unwrap();
    let failing = context.range(0..2, 2).map_with(Gate, |_, x| {
        if x == 0 {
            wait_until("the other task begins", || IS_WAITING.load(Ordering::SeqCst));
            panic!("no luck");
        }
        x
    });
    let to = out.clone();
    let failed: Result<(), Error> = in_time("the action", move || failing.save_as_text_file(&to));
    assert!(failed.unwrap_err().to_string().contains("no luck"));
    assert!(!Path::new(&out["file://".len()..]).exists());
    IS_OPEN.store(true, Ordering::SeqCst);
    let started = |event: &AppEvent| matches!(event, AppEvent::TaskStarted { .. });
    let ended = |event: &AppEvent| matches!(event, AppEvent::TaskEnded { .. });
    wait_until("all tasks end", || count(&context, ended) == count(&context, started));
    assert!(!Path::new(&out["file://".len()..]).exists(), "it was brought back");
    context.range(0..2, 2).save_as_text_file(&out).unwrap();
}

#[test]
fn commas_in_names_and_patterns_are_no_separators() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a,b", "c", "d"] {
        std::fs::write(dir.path().join(name), format!("{name}\n")).unwrap();
    }
    let context = Context::local("local[1]").unwrap();
    let uri = |name: &str| format!("file://{}/{name}", dir.path().display());
    let lines = |rdd: Result<Rdd<mammoth_rdd::Text>, Error>| -> Vec<String> {
        rdd.unwrap().map(|line| line.to_string()).collect().unwrap()
    };
    assert_eq!(lines(context.text_file(&uri("{c,d}"), 0)), ["c", "d"]);
    assert_eq!(lines(context.text_file(&format!("{},{}", uri("a\\,b"), uri("d")), 0)), ["a,b", "d"]);
    assert_eq!(lines(context.text_files(&[uri("a,b"), uri("c")], 0)), ["a,b", "c"]);
    assert!(context.text_files(&[], 0).is_err());
}
