use super::*;
use crate::files::{BlockHosts, MemoryFiles, Sink, Source};
use crate::output::{TextOutput, part_name};
use mammoth_client::ClientError;
use std::sync::atomic::{AtomicU32, Ordering};

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

/// Fails every change after the first `left`, as if the process had died there.
struct Dying<'a> {
    files: &'a MemoryFiles,
    left: AtomicU32,
}

impl Dying<'_> {
    fn step(&self) -> Result<(), ClientError> {
        let alive = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if alive { Ok(()) } else { Err(ClientError::Invalid("died".to_owned())) }
    }
}

impl FileSystem for Dying<'_> {
    fn uri(&self) -> String {
        self.files.uri()
    }
    fn home(&self) -> Result<DfsPath, ClientError> {
        self.files.home()
    }
    fn stat(&self, path: &DfsPath) -> Result<Option<FileInfo>, ClientError> {
        self.files.stat(path)
    }
    fn list(&self, path: &DfsPath) -> Result<Vec<FileInfo>, ClientError> {
        self.files.list(path)
    }
    fn blocks(&self, path: &DfsPath, len: u64) -> Result<Vec<BlockHosts>, ClientError> {
        self.files.blocks(path, len)
    }
    fn mkdirs(&self, path: &DfsPath) -> Result<(), ClientError> {
        self.step().and_then(|()| self.files.mkdirs(path))
    }
    fn create(&self, path: &DfsPath, overwrite: bool) -> Result<Box<dyn Sink>, ClientError> {
        self.step().and_then(|()| self.files.create(path, overwrite))
    }
    fn open(&self, path: &DfsPath) -> Result<Box<dyn Source>, ClientError> {
        self.files.open(path)
    }
    fn rename(&self, from: &DfsPath, to: &DfsPath) -> Result<(), ClientError> {
        self.step().and_then(|()| self.files.rename(from, to))
    }
    fn delete(&self, path: &DfsPath, recursive: bool) -> Result<bool, ClientError> {
        self.step().and_then(|()| self.files.delete(path, recursive))
    }
}

#[test]
fn a_commit_that_died_anywhere_is_finished_by_the_next() {
    for steps in 0..12 {
        let files = MemoryFiles::default();
        let committer = Committer::new(&files, out());
        committer.setup_job("job").unwrap();
        for (n, output) in expected(3).iter().enumerate() {
            let attempt = format!("attempt_{n}");
            write(&files, &committer, &attempt, u32::try_from(n).unwrap(), "x");
            committer.commit_task(&attempt, &output.task).unwrap();
        }
        let dying = Dying { files: &files, left: AtomicU32::new(steps) };
        let first = Committer::new(&dying, out()).commit_job(&expected(3), true);
        assert_eq!(first.is_err(), steps < 5, "three renames, a deletion, a mark");
        committer.commit_job(&expected(3), true).unwrap();
        assert_eq!(names(&files, &out()), ["_SUCCESS", "part-r-00000", "part-r-00001", "part-r-00002"]);
    }
}
