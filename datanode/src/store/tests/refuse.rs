//! Folders that are not ours are refused, by the name of the folder, the value found and the value expected.

use crate::store::testing::{block, finished, identity, open, open_dirs, rules};
use mammoth_protocol::internal::ClusterIdentity;
use std::fs;
use std::path::Path;

fn refusal(dir: &Path, identity: &ClusterIdentity) -> String {
    open_dirs(&[dir.to_owned()], identity, rules(), 2).expect_err("refused").to_string()
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn another_file_system_is_refused_by_field_and_values() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let version = dir.path().join("current/VERSION");
    let other = ClusterIdentity { cluster_id: "CID-2".to_owned(), ..identity() };
    let expected = format!("{}: clusterID is CID-1, expected CID-2", version.display());
    assert_eq!(refusal(dir.path(), &other), expected);
    let other = ClusterIdentity { namespace_id: 8, ..identity() };
    assert_eq!(refusal(dir.path(), &other), format!("{}: namespaceID is 7, expected 8", version.display()));
    let other = ClusterIdentity { pool_id: "BP-8-127.0.0.1-1".to_owned(), ..identity() };
    let expected = format!("{}: blockpoolID is BP-7-127.0.0.1-1, expected BP-8-127.0.0.1-1", version.display());
    assert_eq!(refusal(dir.path(), &other), expected);
    drop(open(dir.path()));
}

#[test]
fn newer_layouts_and_damaged_version_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let version = dir.path().join("current/VERSION");
    let good = fs::read(&version).unwrap();
    for (from, to, refused) in [
        ("layoutVersion=-57", "layoutVersion=-58", "layoutVersion is -58 (of a newer version), expected -57"),
        ("layoutVersion=-57", "layoutVersion=-56", "layoutVersion is -56, expected -57"),
        ("storageType=DATA_NODE", "storageType=NAME_NODE", "storageType is NAME_NODE, expected DATA_NODE"),
        ("storageID=DS-", "storageID=", "expected DS-<uuid>"),
        ("clusterID=", "cluster=", "clusterID is missing"),
    ] {
        fs::write(&version, &good).unwrap();
        edit(&version, from, to);
        let text = refusal(dir.path(), &identity());
        assert!(text.contains(refused) && text.contains("current/VERSION"), "{text}");
    }
    fs::write(&version, &good).unwrap();
    let pool_version = dir.path().join("current/BP-7-127.0.0.1-1/current/VERSION");
    edit(&pool_version, "namespaceID=7", "namespaceID=x");
    assert!(refusal(dir.path(), &identity()).contains("namespaceID is x"));
}

#[test]
fn volumes_of_two_datanodes_or_two_copies_of_one_are_refused() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dirs = [a.path().to_owned(), b.path().to_owned()];
    drop(open_dirs(&dirs[..1], &identity(), rules(), 1).unwrap());
    drop(open_dirs(&dirs[1..], &identity(), rules(), 2).unwrap());
    let text = open_dirs(&dirs, &identity(), rules(), 3).unwrap_err().to_string();
    assert!(text.contains("datanodeUuid is ") && text.contains(&*b.path().to_string_lossy()), "{text}");
    fs::copy(a.path().join("current/VERSION"), b.path().join("current/VERSION")).unwrap();
    let text = open_dirs(&dirs, &identity(), rules(), 3).unwrap_err().to_string();
    assert!(text.contains("is a copy of"), "{text}");
}

#[test]
fn a_folder_with_blocks_but_no_version_is_not_formatted_over() {
    let dir = tempfile::tempdir().unwrap();
    finished(&open(dir.path()), block(1, 1001), 10);
    fs::remove_file(dir.path().join("current/VERSION")).unwrap();
    let text = refusal(dir.path(), &identity());
    assert!(text.contains("its VERSION file is missing"), "{text}");
}

#[test]
fn interrupted_formatting_is_done_again_and_a_new_volume_joins_old_ones() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir_all(a.path().join("current/BP-1-1.1.1.1-1/current/finalized")).unwrap();
    let store = open(a.path());
    let datanode = store.datanode;
    finished(&store, block(1, 1001), 10);
    drop(store);
    let dirs = [a.path().to_owned(), b.path().to_owned()];
    let store = open_dirs(&dirs, &identity(), rules(), 9).unwrap();
    assert_eq!((store.datanode, store.usage().len(), store.replica_count()), (datanode, 2, 1));
    assert_ne!(store.usage()[0].storage, store.usage()[1].storage);
}

#[test]
fn a_folder_in_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _store = open(dir.path());
    let text = refusal(dir.path(), &identity());
    assert!(text.contains("is in use by process"), "{text}");
}
