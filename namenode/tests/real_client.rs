//! A client that is not ours (`hdfs-native`) against a whole namenode: everything that needs no datanode.

use hdfs_native::acl::AclEntry;
use hdfs_native::{Client, ClientBuilder, HdfsError, WriteOptions};
use mammoth_namenode::{Components, Handle, NamenodeConfig, start};
use mammoth_platform::{Settings, keys, process};
use std::path::Path;
use std::time::Duration;

fn running(dir: &Path) -> Handle {
    let mut settings = Settings::load(None, &[]).expect("no files");
    settings.set(keys::DFS_NAMENODE_NAME_DIR.name(), dir.display().to_string());
    for key in [
        keys::DFS_NAMENODE_RPC_ADDRESS.name(),
        keys::DFS_NAMENODE_HTTP_ADDRESS.name(),
        keys::MAMMOTH_NAMENODE_INTERNAL_ADDRESS.name(),
    ] {
        settings.set(key, "127.0.0.1:0");
    }
    let config = NamenodeConfig::from_settings(&settings).expect("good settings");
    start(config, Components::default()).expect("it starts")
}

fn client(handle: &Handle, user: &str) -> Client {
    let url = format!("hdfs://{}", handle.addrs().rpc);
    ClientBuilder::new().with_url(url).with_user(user).build().expect("a client")
}

fn class_of<T>(result: Result<T, HdfsError>) -> String {
    match result {
        Ok(_) => "no failure".to_owned(),
        Err(HdfsError::RPCError(class, _) | HdfsError::FatalRPCError(class, _)) => class,
        Err(other) => format!("{other:?}"),
    }
}

#[test]
fn names_and_attributes() {
    let dir = tempfile::tempdir().expect("a folder");
    let handle = running(dir.path());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let session = async {
        let superuser = client(&handle, &process::user_name());
        superuser.mkdirs("/user/ann/deep/er", 0o755, true).await.expect("made");
        assert!(class_of(superuser.mkdirs("/no/parent", 0o755, false).await).contains("FileNotFound"));
        superuser.set_owner("/user/ann", Some("ann"), Some("staff")).await.expect("given away");
        superuser.set_permission("/user/ann", 0o1775).await.expect("changed");
        superuser.set_times("/user/ann", 1_000_000, 2_000_000).await.expect("changed");
        let ann = superuser.get_file_info("/user/ann").await.expect("there");
        assert_eq!((ann.owner.as_str(), ann.group.as_str(), ann.permission), ("ann", "staff", 0o1775));
        assert_eq!((ann.isdir, ann.modification_time), (true, 1_000_000));
        assert!(matches!(superuser.get_file_info("/none").await, Err(HdfsError::FileNotFound(_))));

        let her = client(&handle, "ann");
        her.mkdirs("/user/ann/own", 0o700, true).await.expect("it is hers");
        assert!(class_of(her.mkdirs("/other", 0o755, true).await).contains("AccessControlException"));
        for name in ["z", "ä", "a", "B"] {
            her.create(&format!("/user/ann/own/{name}"), WriteOptions::default().replication(1))
                .await
                .expect("created")
                .close()
                .await
                .expect("an empty file closes without a datanode");
        }
        let listed = her.list_status("/user/ann/own", false).await.expect("listed");
        let names: Vec<_> = listed.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(names, ["B", "a", "z", "ä"].map(|name| format!("/user/ann/own/{name}")));
        assert!(listed.iter().all(|entry| !entry.isdir && entry.length == 0 && entry.replication == Some(1)));
        assert!(class_of(client(&handle, "bob").list_status("/user/ann/own", false).await).contains("AccessControl"));

        her.rename("/user/ann/own/a", "/user/ann/own/c", false).await.expect("renamed");
        assert!(class_of(her.rename("/user/ann/own/c", "/user/ann/own/z", false).await).contains("AlreadyExists"));
        her.rename("/user/ann/own/c", "/user/ann/own/z", true).await.expect("replaced");
        assert!(her.set_replication("/user/ann/own/z", 2).await.expect("changed"));
        let sum = her.get_content_summary("/user/ann").await.expect("counted");
        assert_eq!((sum.file_count, sum.directory_count, sum.length), (3, 4, 0));
        assert!(class_of(her.delete("/user/ann/own", false).await).contains("PathIsNotEmptyDirectory"));
        assert!(her.delete("/user/ann/own", true).await.expect("deleted"));
        assert!(!her.delete("/user/ann/own", true).await.expect("gone already"));
        let acl: Vec<AclEntry> = Vec::new();
        assert!(class_of(superuser.set_acl("/user", acl).await).contains("UnsupportedOperationException"));
    };
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), session).await.expect("in time") });
    handle.shutdown();
    handle.wait().expect("it ends in order");
}
