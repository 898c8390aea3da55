use super::*;
use crate::files::{BlockHosts, MemoryFiles, Sink, Source};
use crate::output::{TextOutput, part_name};
use mammoth_client::ClientError;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;

const ATTEMPT: &str = "attempt_1_0001_r_000000_0";
const TASK: &str = "task_1_0001_r_000000";

fn out() -> DfsPath {
    DfsPath::parse("/out").unwrap()
}

fn expected(count: u32) -> Vec<TaskOutput> {
    (0..count).map(|n| TaskOutput { task: format!("task_1_0001_r_{n:06}"), file: part_name('r', n) }).collect()
}

fn write(files: &dyn FileSystem, committer: &Committer<'_>, attempt: &str, index: u32, text: &str) {
    let path = committer.attempt_folder(attempt).unwrap().join(&part_name('r', index)).unwrap();
    let mut output = TextOutput::create(files, &path).unwrap();
    output.record(text, index);
    assert_eq!(output.close().unwrap().records, 1);
}

fn names(files: &MemoryFiles, folder: &DfsPath) -> Vec<String> {
    files.list(folder).unwrap().iter().map(|entry| entry.path.name().to_owned()).collect()
}

#[test]
fn output_is_invisible_until_the_job_commits() {
    let files = MemoryFiles::default();
    let committer = Committer::new(&files, out());
    committer.check_absent().unwrap();
    committer.setup_job("job_1_0001").unwrap();
    write(&files, &committer, ATTEMPT, 0, "a");
    write(&files, &committer, "attempt_1_0001_r_000000_1", 0, "slow twin");
    assert_eq!(names(&files, &out()), ["_temporary"]);
    committer.commit_task(ATTEMPT, TASK).unwrap();
    assert_eq!(names(&files, &out()), ["_temporary"]);
    committer.commit_job(&expected(1), true).unwrap();
    assert_eq!(names(&files, &out()), ["_SUCCESS", "part-r-00000"]);
    assert_eq!(&*files.get(&out().join("part-r-00000").unwrap()).unwrap(), b"a\t0\n");
}

#[test]
fn only_one_of_two_jobs_gets_an_output() {
    let files = MemoryFiles::default();
    Committer::new(&files, out()).setup_job("job_1_0001").unwrap();
    let error = Committer::new(&files, out()).setup_job("job_1_0002").unwrap_err().to_string();
    assert_eq!(error, "Output directory memory://local/out already exists");
}

#[test]
fn commits_may_be_repeated_and_later_attempts_win() {
    let files = MemoryFiles::default();
    let committer = Committer::new(&files, out());
    committer.setup_job("job").unwrap();
    write(&files, &committer, ATTEMPT, 0, "first");
    committer.commit_task(ATTEMPT, TASK).unwrap();
    committer.commit_task(ATTEMPT, TASK).unwrap();
    write(&files, &committer, "attempt_1_0001_r_000000_1", 0, "second");
    committer.commit_task("attempt_1_0001_r_000000_1", TASK).unwrap();
    committer.commit_job(&expected(1), true).unwrap();
    committer.commit_job(&expected(1), true).unwrap();
    assert_eq!(&*files.get(&out().join("part-r-00000").unwrap()).unwrap(), b"second\t0\n");
    let error = committer.commit_task("attempt_1_0001_r_000001_0", "task_1_0001_r_000001").unwrap_err().to_string();
    assert!(error.contains("attempt_1_0001_r_000001_0 is gone"), "{error}");
}

#[test]
fn a_job_without_all_outputs_does_not_commit() {
    let files = MemoryFiles::default();
    let committer = Committer::new(&files, out());
    committer.setup_job("job").unwrap();
    write(&files, &committer, ATTEMPT, 0, "a");
    committer.commit_task(ATTEMPT, TASK).unwrap();
    let error = committer.commit_job(&expected(2), true).unwrap_err().to_string();
    assert_eq!(error, "the output of task_1_0001_r_000001 is missing in memory://local/out");
    assert_eq!(names(&files, &out()), ["_temporary"], "nothing became visible");
}

#[test]
fn an_aborted_job_leaves_nothing_of_its_own() {
    let files = MemoryFiles::default();
    let committer = Committer::new(&files, out());
    committer.setup_job("job").unwrap();
    write(&files, &committer, ATTEMPT, 0, "a");
    committer.abort_task(ATTEMPT).unwrap();
    assert!(files.stat(&committer.attempt_folder(ATTEMPT).unwrap()).unwrap().is_none());
    committer.abort_job(&expected(1)).unwrap();
    committer.abort_job(&expected(1)).unwrap();
    assert!(files.stat(&out()).unwrap().is_none());
    files.put(&out().join("foreign").unwrap(), *b"x");
    committer.abort_job(&expected(1)).unwrap();
    assert_eq!(names(&files, &out()), ["foreign"]);
}

/// Tells of every operation before it happens, and whether it is a change; it fails if that does.
struct Watched<'a> {
    files: &'a MemoryFiles,
    before: &'a (dyn Fn(bool) -> Result<(), ClientError> + Sync),
}

impl FileSystem for Watched<'_> {
    fn uri(&self) -> String {
        self.files.uri()
    }
    fn home(&self) -> Result<DfsPath, ClientError> {
        self.files.home()
    }
    fn stat(&self, path: &DfsPath) -> Result<Option<FileInfo>, ClientError> {
        (self.before)(false).and_then(|()| self.files.stat(path))
    }
    fn list(&self, path: &DfsPath) -> Result<Vec<FileInfo>, ClientError> {
        (self.before)(false).and_then(|()| self.files.list(path))
    }
    fn blocks(&self, path: &DfsPath, len: u64) -> Result<Vec<BlockHosts>, ClientError> {
        self.files.blocks(path, len)
    }
    fn mkdirs(&self, path: &DfsPath) -> Result<(), ClientError> {
        (self.before)(true).and_then(|()| self.files.mkdirs(path))
    }
    fn mkdir(&self, path: &DfsPath) -> Result<(), ClientError> {
        (self.before)(true).and_then(|()| self.files.mkdir(path))
    }
    fn create_in(&self, path: &DfsPath) -> Result<Box<dyn Sink>, ClientError> {
        (self.before)(true).and_then(|()| self.files.create_in(path))
    }
    fn create(&self, path: &DfsPath, overwrite: bool) -> Result<Box<dyn Sink>, ClientError> {
        (self.before)(true).and_then(|()| self.files.create(path, overwrite))
    }
    fn open(&self, path: &DfsPath) -> Result<Box<dyn Source>, ClientError> {
        self.files.open(path)
    }
    fn rename(&self, from: &DfsPath, to: &DfsPath) -> Result<(), ClientError> {
        (self.before)(true).and_then(|()| self.files.rename(from, to))
    }
    fn replace(&self, from: &DfsPath, to: &DfsPath) -> Result<(), ClientError> {
        (self.before)(true).and_then(|()| self.files.replace(from, to))
    }
    fn delete(&self, path: &DfsPath, recursive: bool) -> Result<bool, ClientError> {
        (self.before)(true).and_then(|()| self.files.delete(path, recursive))
    }
}

/// Does something with files of which every change after the first `left` fails, as if the process had died there.
fn dying<T>(files: &MemoryFiles, left: u32, act: impl FnOnce(&Committer<'_>) -> T) -> T {
    let left = AtomicU32::new(left);
    let before = |change: bool| {
        let alive = !change || left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        if alive { Ok(()) } else { Err(ClientError::Invalid("died".to_owned())) }
    };
    act(&Committer::new(&Watched { files, before: &before }, out()))
}

/// Does something with files, and something else at one go before operation `at` of it; whether it came that far.
fn interrupted(files: &MemoryFiles, at: u32, act: impl FnOnce(&Committer<'_>), other: impl Fn() + Sync) -> bool {
    let done = AtomicU32::new(0);
    let before = |_: bool| {
        if done.fetch_add(1, SeqCst) == at {
            other();
        }
        Ok(())
    };
    act(&Committer::new(&Watched { files, before: &before }, out()));
    done.load(SeqCst) > at
}

const PARTS: u32 = 3;

/// A job whose tasks have committed.
fn ready_to_commit() -> MemoryFiles {
    let files = MemoryFiles::default();
    let committer = Committer::new(&files, out());
    committer.setup_job("job").unwrap();
    for (n, output) in (0..).zip(expected(PARTS)) {
        let attempt = format!("attempt_{n}");
        write(&files, &committer, &attempt, n, "x");
        committer.commit_task(&attempt, &output.task).unwrap();
    }
    files
}

#[track_caller]
fn assert_complete(files: &MemoryFiles) {
    assert_eq!(names(files, &out()), ["_SUCCESS", "part-r-00000", "part-r-00001", "part-r-00002"]);
    for n in 0..PARTS {
        let part = files.get(&out().join(&part_name('r', n)).unwrap()).unwrap();
        assert_eq!(*part, *format!("x\t{n}\n").as_bytes());
    }
}

#[test]
fn a_commit_that_died_anywhere_is_finished_by_the_next() {
    for steps in 0..12 {
        let files = ready_to_commit();
        let first = dying(&files, steps, |committer| committer.commit_job(&expected(PARTS), true));
        assert_eq!(first.is_err(), steps < 6, "three renames, a mark and its rename, a deletion");
        Committer::new(&files, out()).commit_job(&expected(PARTS), true).unwrap();
        assert_complete(&files);
    }
}

/// A tracker that was given up may still commit while another one does, and either may die on the way.
#[test]
fn commits_at_the_same_time_lose_nothing() {
    let mut interruptions = 0;
    for at in 0..40 {
        for steps in 0..8 {
            let files = ready_to_commit();
            let late = || {
                let _dies = dying(&files, steps, |committer| committer.commit_job(&expected(PARTS), true));
            };
            let act = |committer: &Committer<'_>| committer.commit_job(&expected(PARTS), true).unwrap();
            interruptions += u32::from(interrupted(&files, at, act, late));
            assert_complete(&files);
        }
    }
    assert!(interruptions > 80, "{interruptions}");
}

/// The job is killed while a process that nobody listens to any more commits it, and the other way round.
#[test]
fn an_abort_wins_over_a_commit_that_is_late() {
    let commit = |committer: &Committer<'_>| drop(committer.commit_job(&expected(PARTS), true));
    let abort = |committer: &Committer<'_>| committer.abort_job(&expected(PARTS)).unwrap();
    let mut interruptions = 0;
    for at in 0..40 {
        let files = ready_to_commit();
        if interrupted(&files, at, commit, || abort(&Committer::new(&files, out()))) {
            interruptions += 1;
            assert!(files.stat(&out()).unwrap().is_none(), "aborted before step {at} of a commit");
        }
        for steps in 0..8 {
            let files = ready_to_commit();
            dying(&files, steps, commit);
            interrupted(&files, at, abort, || commit(&Committer::new(&files, out())));
            assert!(files.stat(&out()).unwrap().is_none(), "committed before step {at} of an abort");
        }
    }
    assert!(interruptions > 10, "{interruptions}");
}

#[test]
fn a_part_that_is_lost_fails_the_commit() {
    let files = ready_to_commit();
    let committer = Committer::new(&files, out());
    let emptied = committer.task_folder(TASK).unwrap().join("part-r-00000").unwrap();
    files.delete(&emptied, false).unwrap();
    let error = committer.commit_job(&expected(PARTS), true).unwrap_err().to_string();
    assert_eq!(error, format!("the output of {TASK} is missing in memory://local/out"));
    assert_eq!(names(&files, &out()), ["_temporary"], "nothing became visible");
}
