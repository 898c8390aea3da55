use super::*;

#[test]
fn replace_leaves_the_new_bytes_and_no_temporary_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("VERSION");
    replace(&path, b"one").unwrap();
    replace(&path, b"two").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"two");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_failed_replace_keeps_the_old_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("VERSION");
    replace(&path, b"one").unwrap();
    // A folder where the temporary file should be makes the write fail.
    fs::create_dir(dir.path().join("VERSION.tmp")).unwrap();
    let error = replace(&path, b"two").unwrap_err();
    assert!(error.to_string().contains("VERSION.tmp"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"one");
}

#[test]
fn folders_are_created_all_the_way_and_a_file_in_the_way_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("a/b/c");
    create_dir_synced(&deep).unwrap();
    create_dir_synced(&deep).unwrap();
    assert!(deep.is_dir());
    fs::write(dir.path().join("file"), b"").unwrap();
    let error = create_dir_synced(&dir.path().join("file")).unwrap_err();
    assert!(error.to_string().starts_with("create folder"), "{error}");
}

#[test]
fn rename_moves_between_folders() {
    let dir = tempfile::tempdir().unwrap();
    create_dir_synced(&dir.path().join("to")).unwrap();
    fs::write(dir.path().join("x"), b"x").unwrap();
    rename_synced(&dir.path().join("x"), &dir.path().join("to/y")).unwrap();
    assert_eq!(fs::read(dir.path().join("to/y")).unwrap(), b"x");
    remove_synced(&dir.path().join("to/y")).unwrap();
    remove_synced(&dir.path().join("to/y")).unwrap();
    assert!(!dir.path().join("to/y").exists());
}

#[test]
fn private_files_are_private_even_over_a_leftover() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    fs::write(dir.path().join("secret.tmp"), b"leftover").unwrap();
    replace_private(&path, b"key").unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read(&path).unwrap(), b"key");
}

#[test]
fn a_lock_excludes_and_names_its_holder_and_is_free_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let lock = DirLock::acquire(dir.path()).unwrap();
    assert_eq!(lock.dir(), dir.path());
    let error = DirLock::acquire(dir.path()).unwrap_err();
    assert!(matches!(error, PlatformError::Locked { .. }));
    assert!(error.to_string().ends_with(&format!("in use by process {}", std::process::id())), "{error}");
    drop(lock);
    DirLock::acquire(dir.path()).unwrap();
}
