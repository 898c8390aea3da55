//! The driver's thread with a manager that only notes what it is told.

use super::*;
use crate::accumulators::Total;
use crate::wire::Hello;
use mammoth_protocol::jobs::{AppId, Resources};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::thread;

const SILENT: ExecutorId = ExecutorId(1);
/// More than enough on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Noting(Sender<ExecutorId>);

impl Manager for Noting {
    fn replace(&mut self, executor: ExecutorId, _reason: &str) {
        let _nobody_asks = self.0.send(executor);
    }

    fn lost(&mut self, _executor: ExecutorId, _reason: &str) -> Result<(), String> {
        Ok(())
    }

    fn stop(&mut self, _failure: Option<&str>) {}
}

fn hello() -> Hello {
    Hello {
        executor: SILENT,
        image: String::new(),
        host: "here".to_owned(),
        pid: 1,
        resources: Resources { cores: 1, memory_mib: 64 },
        place: PlaceAddress::Dir("/nowhere".to_owned()),
        nonce: [0; 16],
    }
}

#[test]
fn a_silent_executor_is_replaced_however_busy_the_others_keep_the_driver() {
    let (sender, inbox) = sync_channel(INBOX);
    let hub = Hub::new(sender);
    let (replace, replaced) = channel();
    let parts = Parts {
        hub: Arc::clone(&hub),
        inbox,
        config: Config { executor_silent_ms: 300, ..Config::default() },
        results_max: 1000,
        events: Arc::new(EventLog::new(None, false).unwrap()),
        accumulators: Arc::new(Registry::default()),
        manager: Box::new(Noting(replace)),
        app: AppEvent::AppStarted {
            app: AppId { cluster_ms: 0, number: 1 },
            name: "busy".to_owned(),
            user: "ann".to_owned(),
            master: "none".to_owned(),
        },
    };
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let driver = scope.spawn(|| Driver::run(parts));
        assert!(hub.send(Input::Added(hello())));
        let busy = || {
            // As fast as the driver takes them.
            let more = || !is_over.load(Ordering::Relaxed) && hub.send(Input::Heard(ExecutorId(2)));
            std::iter::repeat_with(more).take_while(|sent| *sent).for_each(drop);
        };
        let others = [scope.spawn(busy), scope.spawn(busy)];
        let found = replaced.recv_timeout(PATIENCE);
        is_over.store(true, Ordering::Relaxed);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert!(hub.send(Input::Stop { failure: None }));
        driver.join().unwrap();
        assert_eq!(found, Ok(SILENT));
    });
}

struct Moody(u64);

impl Total for Moody {
    fn add(&mut self, encoded: &[u8]) -> Result<(), String> {
        match encoded {
            [0] => panic!("no zeros"),
            [add] => self.0 += u64::from(*add),
            _ => return Err("no number".to_owned()),
        }
        Ok(())
    }

    fn show(&self) -> String {
        assert!(self.0 < 100, "too large to be shown");
        self.0.to_string()
    }

    fn as_any(&mut self) -> &mut dyn std::any::Any {
        self
    }
}

#[test]
fn accumulators_whose_code_panics_are_errors_by_name() {
    let registry = Registry::default();
    let (first, second) = (registry.add("first", Box::new(Moody(0))), registry.add("second", Box::new(Moody(0))));
    registry.merge(&[(first, vec![3]), (second, vec![4])]).unwrap();
    let failed = registry.merge(&[(first, vec![0]), (second, vec![5])]).unwrap_err();
    assert!(failed.name == "first" && failed.reason.ends_with(": no zeros"), "{failed:?}");
    assert_eq!(registry.merge(&[(second, vec![1, 2])]).unwrap_err().reason, "no number");
    registry.merge(&[(first, vec![200])]).unwrap();
    let shown = registry.show();
    assert_eq!(shown["second"], "9");
    assert!(shown["first"].contains("too large to be shown"), "{shown:?}");
}
