//! A tracker that is killed, as a process of its own: this test program, asked to be one.

use super::fake::{Cluster, map, running, seconds, tracker, until};
use std::path::Path;
use std::process::{Command, Stdio};

const DIR: &str = "TEST_TRACKER_DIR";
const JOBTRACKER: &str = "TEST_TRACKER_JOBTRACKER";

#[test]
#[ignore = "it is a tracker, for the test below"]
fn be_a_tracker() {
    let Ok(dir) = std::env::var(DIR) else { return };
    tracker(Path::new(&dir), &std::env::var(JOBTRACKER).unwrap()).wait().unwrap();
}

#[test]
fn children_see_that_their_tracker_was_killed_and_the_next_one_ends_the_others() {
    let mut cluster = Cluster::without_tracker(60_000);
    let (obedient, deaf) = (seconds(), seconds());
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "tests::killed::be_a_tracker"])
        .env(DIR, cluster.dir.path())
        .env(JOBTRACKER, &cluster.addr)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // One reads its link to the end, the other cares for nothing.
    cluster.run(map(0), &format!("(setsid sleep {obedient} & pid=$!; cat >&2; kill $pid)"));
    cluster.run(map(1), &format!("setsid sleep {deaf} & sleep {deaf}"));
    until("both run", || (running(&obedient).len() == 1 && running(&deaf).len() == 2).then_some(()));

    process.kill().unwrap();
    process.wait().unwrap();
    until("the end of the link was seen", || running(&obedient).is_empty().then_some(()));
    assert_eq!(running(&deaf).len(), 2, "they are nobody's now");
    cluster.start_tracker();
    assert!(running(&deaf).is_empty());
    assert!(cluster.names("jobs").is_empty());
    let said = cluster.jobtracker.said.lock().unwrap();
    let [first, second] = said.registrations.as_slice() else { panic!("two registrations") };
    assert_eq!(first.tracker, second.tracker);
    assert_ne!(first.generation, second.generation);
}
