use super::*;
use mammoth_platform::SystemEntropy;
use mammoth_protocol::jobs::{AppId, AttemptId, ExecutorId, TaskId, TaskKind};
use std::os::unix::fs::PermissionsExt;

fn attempt(number: u32) -> ChildId {
    let job = JobId { cluster_ms: 5, number: 1 };
    ChildId::Attempt(AttemptId { task: TaskId { job, kind: TaskKind::Map, index: 0 }, number })
}

fn open(root: &Path) -> Folder {
    Folder::open(root, &SystemEntropy, |_| ()).unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_start_keeps_identity_programs_and_logs_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("local");
    let first = open(&root);
    first.prepare(attempt(0)).unwrap();
    first.prepare(ChildId::Executor(AppId { cluster_ms: 5, number: 2 }, ExecutorId(3))).unwrap();
    fs::write(first.programs().join("abc"), "program").unwrap();
    fs::write(first.logs(attempt(0)).join("stderr"), "text").unwrap();
    let (tracker, generation) = (first.tracker, first.generation);
    assert!(Folder::open(&root, &SystemEntropy, |_| ()).unwrap_err().to_string().contains("in use"));
    drop(first);

    let second = open(&root);
    assert_eq!(second.tracker, tracker);
    assert_ne!(second.generation, generation);
    assert!(names(&root.join("jobs")).is_empty() && names(&root.join("apps")).is_empty());
    assert_eq!(names(&second.programs()), ["abc"]);
    assert!(second.logs(attempt(0)).join("stderr").exists());
    second.trash.empty();
    assert!(names(&root.join("trash")).is_empty());
}

#[test]
fn what_an_attempt_leaves_goes_with_it_and_a_good_output_stays() {
    let dir = tempfile::tempdir().unwrap();
    let folder = open(dir.path());
    let (good, bad) = (attempt(1), attempt(10));
    for child in [good, bad] {
        folder.prepare(child).unwrap();
        let shuffle = folder.shuffle(child.owner());
        fs::write(shuffle.join(format!("{child}.data")), "data").unwrap();
        fs::write(shuffle.join(format!("{child}.index.tmp")), "data").unwrap();
        let closed = folder.work(child).join("closed");
        fs::create_dir_all(closed.join("inner")).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    }
    folder.clean_up(good, true);
    folder.clean_up(bad, false);
    assert_eq!(names(&folder.shuffle(good.owner())), [format!("{good}.data"), format!("{good}.index.tmp")]);
    assert!(names(&folder.owned(good.owner()).join("work")).is_empty());
    folder.trash.empty();
    assert!(names(&folder.root().join("trash")).is_empty());
}

#[test]
fn old_logs_go_but_not_those_of_what_runs() {
    let dir = tempfile::tempdir().unwrap();
    let folder = open(dir.path());
    let owner = |number| Owner::Job(JobId { cluster_ms: 5, number });
    for number in 0..110 {
        let path = folder.root().join("logs").join(owner(number).to_string());
        fs::create_dir(&path).unwrap();
        let when = std::time::UNIX_EPOCH + std::time::Duration::from_secs(u64::from(number) + 1);
        fs::File::open(&path).unwrap().set_modified(when).unwrap();
    }
    folder.prune_logs(&[owner(0)]);
    let left = names(&folder.root().join("logs"));
    assert_eq!(left.len(), LOGS_KEPT);
    assert!(left.contains(&owner(0).to_string()) && left.contains(&owner(11).to_string()));
    assert!(!left.contains(&owner(10).to_string()));
}
