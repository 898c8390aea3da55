use super::*;
use crate::files::MemoryFiles;
use std::cell::Cell;

const SHA: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[test]
fn an_image_is_stored_once_under_its_digest() {
    assert_eq!(sha256_hex(b"abc"), SHA);
    let files = MemoryFiles::default();
    let opened = Cell::new(0);
    let open = || {
        opened.set(opened.get() + 1);
        Ok(&b"abc"[..])
    };
    let shared = Cell::new(0);
    let share = |_: &DfsPath| shared.set(shared.get() + 1);
    let program = store_image(&files, SHA, 3, &open, &share).unwrap();
    assert_eq!(program.path, format!("{STAGING}/programs/{SHA}"));
    assert_eq!(&*files.get(&DfsPath::parse(&program.path).unwrap()).unwrap(), b"abc");
    assert_eq!(store_image(&files, SHA, 3, &open, &share).unwrap(), program);
    assert_eq!((opened.get(), shared.get()), (1, 2), "staging and programs are everybody's");
    let folder = DfsPath::parse(&format!("{STAGING}/programs")).unwrap();
    assert_eq!(files.list(&folder).unwrap().len(), 1, "nothing unfinished is left");
}

#[test]
fn half_an_image_is_never_taken_for_one() {
    let files = MemoryFiles::default();
    let path = DfsPath::parse(&format!("{STAGING}/programs/{SHA}")).unwrap();
    let error = store_image(&files, SHA, 4, &|| Ok(&b"abc"[..]), &|_| ()).unwrap_err().to_string();
    assert!(error.contains("3 bytes were written of 4"), "{error}");
    assert!(files.get(&path).is_none());
    assert!(files.list(&path.parent().unwrap()).unwrap().is_empty());
}

#[test]
fn the_own_image_has_one_digest() {
    let first = own_digest().unwrap();
    assert_eq!(first.1, std::fs::metadata(OWN_IMAGE).unwrap().len());
    assert_eq!(first, own_digest().unwrap());
}
