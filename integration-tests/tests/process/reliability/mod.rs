//! The kill matrix: each process that takes part in something is killed, or stopped, at each moment of it, and what was
//! acknowledged before is compared with what is there afterwards. `docs/reliability.md` is what a run wrote; see there.

mod cells;
mod moments;
mod report;
mod scene;

use crate::harness::{Wired, poll};
use cells::{Cell, Outcome, cells};
use scene::Scene;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Clusters at a time. The cells mostly wait.
const LANES: usize = 6;

/// Runs all cells that make sense, a few clusters side by side.
fn run_all() -> Vec<Outcome> {
    let to_run: Vec<Cell> = cells().into_iter().filter(|cell| cell.reason().is_none()).collect();
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                let lane = Wired::start();
                // A namenode that restarts without a block waits for no datanode, and has none for the first block then.
                lane.cluster.put("/there-before", b"so that safe mode waits for datanodes");
                lane.heal();
                let mut kept = Vec::new();
                while let Some(cell) = to_run.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let number = kept.len();
                    let (outcome, file) = Scene::play(&lane, *cell, number);
                    outcomes.lock().expect("nobody panicked with it").push(outcome);
                    kept.push(file);
                    lane.heal();
                }
                // What the cells left must survive the harm of all later ones, too.
                let client = lane.onlooker();
                for file in &kept {
                    poll("the files of all cells", Duration::from_secs(60), || file.check(&client));
                }
            });
        }
    });
    outcomes.into_inner().expect("nobody panicked with it")
}

#[test]
fn the_kill_matrix_loses_nothing_that_was_acknowledged() {
    let outcomes = run_all();
    report::compare_or_write(&outcomes);
}
