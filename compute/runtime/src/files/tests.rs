use super::*;
use mammoth_protocol::ErrorCode;

fn path(text: &str) -> DfsPath {
    DfsPath::parse(text).unwrap()
}

#[test]
fn memory_answers_as_a_cluster_would() {
    let files = MemoryFiles::with_block_size(4);
    files.put(&path("/a/b/c"), *b"0123456789");
    assert!(files.stat(&path("/a/b")).unwrap().unwrap().is_dir);
    assert_eq!(files.stat(&path("/a/b/c")).unwrap().unwrap().len, 10);
    assert!(files.stat(&path("/x")).unwrap().is_none());
    assert_eq!(files.list(&path("/a")).unwrap().len(), 1);
    let lens: Vec<u64> = files.blocks(&path("/a/b/c"), 10).unwrap().iter().map(|block| block.len).collect();
    assert_eq!(lens, [4, 4, 2]);
    assert_eq!(files.delete(&path("/a"), false).unwrap_err().code(), ErrorCode::PathIsNotEmptyDirectory);
    files.rename(&path("/a/b"), &path("/d")).unwrap();
    assert!(files.get(&path("/d/c")).is_some() && files.get(&path("/a/b/c")).is_none());
    assert_eq!(files.rename(&path("/nope"), &path("/e")).unwrap_err().code(), ErrorCode::FileNotFound);
    assert_eq!(files.rename(&path("/a"), &path("/d")).unwrap_err().code(), ErrorCode::FileAlreadyExists);
    assert!(files.create(&path("/d/c"), false).is_err());
    assert!(files.delete(&path("/d"), true).unwrap());
    assert!(!files.delete(&path("/d"), true).unwrap());
}

#[test]
fn users_paths_are_absolute_relative_or_of_this_file_system() {
    let files = MemoryFiles::default();
    let of = |text: &str| resolve(&files, text).map(|path| path.to_string()).map_err(|error| error.to_string());
    assert_eq!(of("/a/b").unwrap(), "/a/b");
    assert_eq!(of("a/b").unwrap(), "/user/local/a/b");
    assert_eq!(of(".").unwrap(), "/user/local");
    assert_eq!(of("memory://local/x").unwrap(), "/x");
    assert_eq!(of("memory:///x").unwrap(), "/x");
    assert_eq!(of("hdfs://other/x").unwrap_err(), "Wrong FS: hdfs://other/x, expected: memory://local");
    assert!(of("").is_err() && of("/a//b").is_err() && of("/a/../b").is_err());
}
