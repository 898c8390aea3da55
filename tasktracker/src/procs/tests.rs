use super::belonging::{Own, belonging};
use super::*;
use mammoth_platform::SystemClock;
use std::sync::Arc;

const OWN: Own = Own { pid: 10, group: 10, session: 1 };

fn proc(pid: i32, parent: i32, group: i32, session: i32) -> Proc {
    Proc { pid, parent, group, session, started: 100, zombie: false }
}

fn marks() -> Marks {
    Marks {
        what: "test".to_owned(),
        leader: Some(20),
        since: 50,
        environment: Vec::new(),
        folder: None,
        below_us: true,
    }
}

fn found(procs: &[Proc], marked: &[i32]) -> Vec<i32> {
    let mut pids: Vec<i32> =
        belonging(&marks(), OWN, procs, |pid| marked.contains(&pid)).iter().map(|proc| proc.pid).collect();
    pids.sort_unstable();
    pids
}

#[test]
fn names_of_programs_cannot_confuse() {
    let stat = "7 (a) S 1) R 3 4 5 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 777 1 2";
    let expected = Proc { pid: 7, parent: 3, group: 4, session: 5, started: 777, zombie: false };
    assert_eq!(parse(7, stat), Some(expected));
    assert_eq!(parse(7, "7 (a) Z 3"), None);
    assert_eq!(find(own_pid()).map(|proc| proc.pid), Some(own_pid()));
}

#[test]
fn descendants_groups_and_sessions_belong_and_others_do_not() {
    let procs = [
        proc(10, 1, 10, 1),
        proc(20, 10, 20, 1),
        // Children and grandchildren, and an orphan of the group.
        proc(21, 20, 20, 1),
        proc(22, 21, 22, 22),
        proc(23, 10, 20, 1),
        // An orphan in the session that process 22 made.
        proc(24, 10, 24, 22),
        // Another attempt, another child of this process, somebody else's.
        proc(30, 10, 30, 1),
        proc(31, 10, 10, 1),
        proc(40, 1, 40, 40),
    ];
    assert_eq!(found(&procs, &[]), [20, 21, 22, 23, 24]);
}

#[test]
fn what_a_former_tracker_left_takes_nobody_of_its_login_along() {
    // The former tracker was started from a shell that is gone, as were a namenode and a datanode; one of its tasks is left.
    let left = proc(25, 1, 25, 7);
    let procs = [proc(10, 1, 10, 1), left, proc(26, 25, 25, 7), proc(50, 1, 50, 7), proc(51, 1, 51, 7)];
    let marks = Marks { leader: None, below_us: false, ..marks() };
    let pids: Vec<i32> = belonging(&marks, OWN, &procs, |pid| pid == 25).iter().map(|proc| proc.pid).collect();
    assert_eq!(pids, [25, 26]);
    // An orphan whose session nobody else shares belongs, also when the session's maker has ended.
    let procs = [proc(10, 1, 10, 1), proc(20, 10, 20, 1), proc(22, 20, 22, 9), proc(23, 10, 23, 9)];
    assert_eq!(found(&procs, &[]), [20, 22, 23]);
}

#[test]
fn a_mark_finds_what_left_everything_else() {
    let daemon = proc(25, 10, 25, 25);
    let its_child = proc(26, 10, 26, 25);
    let outside = proc(27, 1, 27, 27);
    let procs = [proc(10, 1, 10, 1), daemon, its_child, outside];
    assert_eq!(found(&procs, &[25, 27]), [25, 26], "27 does not descend from this process");
    let older = Proc { started: 49, ..daemon };
    assert!(found(&[proc(10, 1, 10, 1), older], &[25]).is_empty(), "numbers are used again");
}

#[test]
fn a_group_made_outside_of_the_container_takes_nobody_along() {
    // The tracker has a session of its own; its child works in one that the kernel calls 0, as do the container's other processes.
    let own = Own { session: 10, ..OWN };
    let procs = [proc(10, 1, 10, 10), proc(20, 10, 20, 10), proc(21, 20, 0, 0), proc(40, 1, 0, 0), proc(41, 40, 41, 0)];
    let pids: Vec<i32> = belonging(&marks(), own, &procs, |_| false).iter().map(|proc| proc.pid).collect();
    assert_eq!(pids, [20, 21]);
}

#[test]
fn only_what_nobody_owns_is_reaped() {
    let leaders = Arc::new(Leaders::default());
    leaders.add(20);
    let mut reaper = Reaper::new(leaders, Arc::new(SystemClock));
    let zombie = |proc: Proc| Proc { zombie: true, ..proc };
    let procs = [
        zombie(proc(20, 10, 20, 1)),
        zombie(proc(21, 10, 20, 1)),
        zombie(proc(22, 10, 22, 22)),
        // A child of somebody else in this process, one that may be another tracker's, and one that runs.
        zombie(proc(30, 10, 10, 1)),
        zombie(proc(31, 10, 31, 1)),
        proc(32, 10, 20, 1),
    ];
    assert_eq!(reaper.choose(OWN, &procs, 0), [21, 22]);
    assert_eq!(reaper.choose(OWN, &procs, 59_999), [21, 22]);
    assert_eq!(reaper.choose(OWN, &procs, 60_000), [21, 22, 31]);
}
