use super::*;
use crate::names::Owner;
use mammoth_platform::SystemEntropy;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

/// Files of a cluster; each opening waits until it may go on.
struct Files {
    contents: BTreeMap<String, Vec<u8>>,
    opened: AtomicUsize,
    gate: Mutex<Option<mpsc::Receiver<()>>>,
}

impl Fetch for Files {
    fn open(&self, _: &str, _: &str, path: &str) -> Result<Box<dyn Read + Send>, String> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        if let Some(gate) = self.gate.lock().unwrap().as_ref() {
            gate.recv().unwrap();
        }
        let bytes = self.contents.get(path).cloned().ok_or_else(|| format!("{path}: no such file"))?;
        Ok(Box::new(std::io::Cursor::new(bytes)))
    }
}

struct Set {
    _dir: tempfile::TempDir,
    files: Arc<Files>,
    localizer: Arc<Localizer>,
    folder: Arc<Folder>,
}

fn set(contents: &[(&str, &[u8])], gate: Option<mpsc::Receiver<()>>) -> Set {
    let dir = tempfile::tempdir().unwrap();
    let folder = Arc::new(Folder::open(dir.path(), &SystemEntropy, |_| ()).unwrap());
    let contents = contents.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).collect();
    let files = Arc::new(Files { contents, opened: AtomicUsize::new(0), gate: Mutex::new(gate) });
    let localizer = Arc::new(Localizer::new(Arc::clone(&files) as Arc<dyn Fetch>, Arc::clone(&folder)));
    Set { _dir: dir, files, localizer, folder }
}

fn program(path: &str, bytes: &[u8]) -> ProgramRef {
    ProgramRef { sha256: hex(&Sha256::digest(bytes)), path: path.to_owned(), len: bytes.len() as u64 }
}

fn leftovers(set: &Set) -> Vec<String> {
    let entries = fs::read_dir(set.folder.programs()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn ten_attempts_fetch_a_program_once() {
    let (open, gate) = mpsc::channel();
    let set = set(&[("/p", b"#!/bin/sh\n")], Some(gate));
    let wanted = program("/p", b"#!/bin/sh\n");
    let threads: Vec<_> = (0..10)
        .map(|_| {
            let (localizer, wanted) = (Arc::clone(&set.localizer), wanted.clone());
            std::thread::spawn(move || localizer.program("hdfs://x", "me", &wanted).map(|program| program.path.clone()))
        })
        .collect();
    open.send(()).unwrap();
    for thread in threads {
        let path = thread.join().unwrap().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"#!/bin/sh\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
    }
    assert_eq!(set.files.opened.load(Ordering::SeqCst), 1);
}

#[test]
fn wrong_bytes_never_get_the_name() {
    let set = set(&[("/p", b"other"), ("/long", b"right and more")], None);
    let error = set.localizer.program("hdfs://x", "me", &program("/p", b"right")).err().unwrap();
    assert!(error.contains("SHA-256") && error.contains("/p"), "{error}");
    let error = set.localizer.program("hdfs://x", "me", &program("/long", b"right")).err().unwrap();
    assert!(error.contains("longer than 5 bytes"), "{error}");
    let error = set.localizer.program("hdfs://x", "me", &program("/absent", b"right")).err().unwrap();
    assert!(error.contains("no such file"), "{error}");
    let outside = ProgramRef { sha256: "../../x".to_owned(), path: "/p".to_owned(), len: 5 };
    assert!(set.localizer.program("hdfs://x", "me", &outside).err().unwrap().contains("not a SHA-256"));
    assert!(leftovers(&set).is_empty());
}

#[test]
fn a_failure_is_tried_again_by_the_next_who_asks() {
    let set = set(&[("/p", b"x")], None);
    let mut wanted = program("/absent", b"x");
    assert!(set.localizer.program("hdfs://x", "me", &wanted).is_err());
    wanted.path = "/p".to_owned();
    assert!(set.localizer.program("hdfs://x", "me", &wanted).is_ok());
}

#[test]
fn specifications_are_compared_with_their_digest() {
    let set = set(&[("/s", b"spec")], None);
    let job = JobId { cluster_ms: 5, number: 1 };
    let good = hex(&Sha256::digest(b"spec"));
    assert!(set.localizer.spec(job, "hdfs://x", "me", "/s", &good).is_err(), "the job was dropped");
    set.folder.adopt(Owner::Job(job)).unwrap();
    for _ in 0..2 {
        let path = set.localizer.spec(job, "hdfs://x", "me", "/s", &good).unwrap();
        assert_eq!(fs::read(path).unwrap(), b"spec");
    }
    assert_eq!(set.files.opened.load(Ordering::SeqCst), 2);
    let other = hex(&Sha256::digest(b"other"));
    assert!(set.localizer.spec(job, "hdfs://x", "me", "/s", &other).unwrap_err().contains("SHA-256"));
}

#[test]
fn programs_in_use_outlive_the_limit_and_others_do_not() {
    let bytes: Vec<Vec<u8>> = (0..20_u8).map(|n| vec![n]).collect();
    let paths: Vec<String> = (0..20).map(|n| format!("/{n}")).collect();
    let contents: Vec<(&str, &[u8])> =
        paths.iter().zip(&bytes).map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    let set = set(&contents, None);
    let first = set.localizer.program("hdfs://x", "me", &program("/0", &[0])).unwrap();
    for (path, bytes) in contents.iter().skip(1) {
        drop(set.localizer.program("hdfs://x", "me", &program(path, bytes)).unwrap());
    }
    assert!(first.path.exists(), "it is in use");
    assert_eq!(leftovers(&set).len(), PROGRAMS_KEPT);
    let last = program("/19", &[19]).sha256;
    assert!(leftovers(&set).contains(&last) && !leftovers(&set).contains(&program("/1", &[1]).sha256));
}
