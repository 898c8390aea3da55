//! Every target over its seeds, its committed inputs, and a few thousand changes of both: what runs with all other tests.

use mammoth_fuzz::mutate::Mutator;
use mammoth_fuzz::{TARGETS, Target};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Changed inputs of one target. Far more come from `mammoth-fuzz TARGET`.
const CHANGES: usize = 200;

fn folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name)
}

/// The committed inputs of a target: what once failed, and what reached far.
fn committed(target: &Target) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = std::fs::read_dir(folder(target)) else { return Vec::new() };
    let mut inputs: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("an entry").path();
            (path.display().to_string(), std::fs::read(&path).expect("an input"))
        })
        .collect();
    inputs.sort();
    inputs
}

/// Runs a target on an input; false, after telling which one, if it fails.
fn run(target: &Target, what: &str, bytes: &[u8]) -> bool {
    let passed = catch_unwind(AssertUnwindSafe(|| target.check(bytes))).is_ok();
    if !passed {
        eprintln!("{}: {what} fails: {bytes:02x?}", target.name);
    }
    passed
}

/// Runs a target on everything, up to the first input that fails.
fn passes(target: &Target) -> bool {
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty(), "{} has no seeds", target.name);
    let seeds = seeds.into_iter().enumerate().map(|(nth, seed)| (format!("seed {nth}"), seed));
    let mut inputs = Vec::new();
    for (what, bytes) in seeds.chain(committed(target)).chain([("nothing".to_owned(), Vec::new())]) {
        if !run(target, &what, &bytes) {
            return false;
        }
        inputs.push(bytes);
    }
    let mutator = Mutator::new(1);
    (0..CHANGES).all(|nth| run(target, &format!("change {nth}"), &mutator.change(&inputs)))
}

#[test]
fn every_target_takes_its_inputs_and_changes_of_them() {
    let failed: Vec<_> = TARGETS.iter().filter(|target| !passes(target)).map(|target| target.name).collect();
    assert!(failed.is_empty(), "failed: {failed:?}");
}

#[test]
fn names_are_unique_and_every_folder_is_of_a_target() {
    for target in TARGETS {
        assert_eq!(TARGETS.iter().filter(|other| other.name == target.name).count(), 1, "{}", target.name);
    }
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for entry in std::fs::read_dir(corpus).expect("the corpus") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        assert!(mammoth_fuzz::find(&name).is_some(), "{name} is of no target");
    }
}

#[test]
fn a_target_that_takes_too_much_memory_is_noticed() {
    fn greedy(bytes: &[u8]) {
        std::hint::black_box(vec![0_u8; bytes.len() << 20]);
    }
    let target = Target { name: "greedy", run: greedy, seeds: Vec::new, memory_per_byte: 10 };
    target.check(&[0; 3]);
    assert!(catch_unwind(|| target.check(&[0; 30])).is_err());
}
