//! A whole namenode over real sockets and a real folder.

use mammoth_namenode::{Components, Handle, NamenodeConfig, StartError, start};
use mammoth_net::rpc::client::{RpcClient, RpcClientConfig, RpcClientError};
use mammoth_platform::{Settings, SystemClock, keys, process};
use mammoth_protocol::ErrorCode;
use mammoth_protocol::hadoop::CLIENT_PROTOCOL;
use mammoth_protocol::hadoop::hdfs::{
    CreateRequestProto, CreateResponseProto, FsPermissionProto, GetFileInfoRequestProto, GetFileInfoResponseProto,
    GetListingRequestProto, GetListingResponseProto, GetServerDefaultsRequestProto, GetServerDefaultsResponseProto,
    GetXAttrsRequestProto, MkdirsRequestProto, MkdirsResponseProto, SafeModeActionProto, SetSafeModeRequestProto,
    SetSafeModeResponseProto, SetXAttrRequestProto, SetXAttrResponseProto,
};
use mammoth_protocol::internal::{ClusterIdentity, InternalRefusal, RegisterRequest, routes};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn settings_in(dir: &Path) -> Settings {
    let mut settings = Settings::load(None, &[]).expect("no files");
    settings.set(keys::DFS_NAMENODE_NAME_DIR.name(), dir.display().to_string());
    for key in [
        keys::DFS_NAMENODE_RPC_ADDRESS.name(),
        keys::DFS_NAMENODE_HTTP_ADDRESS.name(),
        keys::MAMMOTH_NAMENODE_INTERNAL_ADDRESS.name(),
    ] {
        settings.set(key, "127.0.0.1:0");
    }
    settings
}

fn running(dir: &Path) -> Handle {
    let config = NamenodeConfig::from_settings(&settings_in(dir)).expect("good settings");
    start(config, Components::default()).expect("it starts")
}

fn stopped(handle: Handle) {
    handle.shutdown();
    handle.wait().expect("it ends in order");
}

fn client(handle: &Handle, user: &str) -> RpcClient {
    let config = RpcClientConfig::new(handle.addrs().rpc.to_string(), CLIENT_PROTOCOL, user, [7; 16]);
    RpcClient::new(config, Arc::new(SystemClock))
}

fn mkdirs(client: &RpcClient, src: &str) -> Result<bool, RpcClientError> {
    let masked = FsPermissionProto { perm: 0o750 };
    let request = MkdirsRequestProto { src: src.to_owned(), masked, create_parent: true, unmasked: None };
    client.call::<_, MkdirsResponseProto>("mkdirs", &request).map(|reply| reply.result)
}

fn file_info(client: &RpcClient, src: &str) -> GetFileInfoResponseProto {
    client.call("getFileInfo", &GetFileInfoRequestProto { src: src.to_owned() }).expect("answered")
}

fn failure_class<T: std::fmt::Debug>(result: Result<T, RpcClientError>) -> String {
    match result.expect_err("it must fail") {
        RpcClientError::Remote { failure, .. } => failure.java_class,
        other => panic!("no answer of the server: {other}"),
    }
}

/// One HTTP exchange: status line and body.
fn http(addr: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(addr).expect("connects");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("an answer");
    let (head, body) = reply.split_once("\r\n\r\n").expect("a head");
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

fn get(addr: SocketAddr, target: &str) -> (String, String) {
    http(addr, &format!("GET {target} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n"))
}

fn post_json(addr: SocketAddr, target: &str, body: &str) -> (String, String) {
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    http(addr, &(head + body))
}

#[test]
fn folders_survive_a_restart_and_the_term_grows() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("name");
    let user = process::user_name();
    let first = running(&data);
    let client_one = client(&first, &user);
    assert!(mkdirs(&client_one, "/user/ann").expect("made"));
    let found = file_info(&client_one, "/user/ann").fs.expect("it is there");
    assert_eq!((found.permission.perm, found.owner.as_str(), found.path.len()), (0o750, user.as_str(), 0));
    assert_eq!(file_info(&client_one, "/missing").fs, None);
    let (identity, term) = (first.identity().clone(), first.term());
    stopped(first);
    let second = running(&data);
    assert_eq!(second.identity(), &identity);
    assert_eq!(second.term().0, term.0 + 1);
    let again = file_info(&client(&second, &user), "/user/ann").fs.expect("it is still there");
    assert_eq!(again, found);
    stopped(second);
}

#[test]
fn a_session_of_a_client() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut settings = settings_in(dir.path());
    settings.set("hadoop.http.staticuser.user", process::user_name());
    let config = NamenodeConfig::from_settings(&settings).expect("good settings");
    let handle = start(config, Components::default()).expect("it starts");
    let superuser = client(&handle, &process::user_name());
    let defaults: GetServerDefaultsResponseProto =
        superuser.call("getServerDefaults", &GetServerDefaultsRequestProto {}).expect("answered");
    assert_eq!((defaults.server_defaults.block_size, defaults.server_defaults.replication), (128 << 20, 3));
    for name in ["/d/b", "/d/a", "/d/c"] {
        assert!(mkdirs(&superuser, name).expect("made"));
    }
    let list = GetListingRequestProto { src: "/d".to_owned(), start_after: b"a".to_vec(), need_location: false };
    let listed: GetListingResponseProto = superuser.call("getListing", &list).expect("answered");
    let names: Vec<_> = listed.dir_list.expect("it exists").partial_listing.into_iter().map(|e| e.path).collect();
    assert_eq!(names, [b"b".to_vec(), b"c".to_vec()]);
    let create = CreateRequestProto {
        src: "/d/f".to_owned(),
        masked: FsPermissionProto { perm: 0o644 },
        client_name: "client-1".to_owned(),
        create_flag: 1,
        create_parent: false,
        replication: 3,
        block_size: 128 << 20,
        ..CreateRequestProto::default()
    };
    let created: CreateResponseProto = superuser.call("create", &create).expect("created");
    let (_, page) = get(handle.addrs().http, "/explorer?path=/d/f");
    assert!(page.contains("being written") && page.contains("This file has no blocks"), "{page}");
    let (_, json) = get(handle.addrs().http, "/api/v1/blocks?path=/d/f");
    assert!(json.contains("\"open\":true"), "{json}");
    assert!(created.fs.expect("a status").file_id() > 16_385);
    assert_eq!(failure_class(superuser.call::<_, CreateResponseProto>("create", &create)), {
        // The file is open: whoever asks is told who writes it, or that it exists.
        let class = failure_class(superuser.call::<_, CreateResponseProto>("create", &create));
        assert!(
            [ErrorCode::AlreadyBeingCreated, ErrorCode::FileAlreadyExists]
                .map(ErrorCode::java_class)
                .contains(&&*class),
            "{class}"
        );
        class
    });
    stopped(handle);
}

#[test]
fn refusals_have_the_classes_that_clients_know() {
    let dir = tempfile::tempdir().expect("a folder");
    let handle = running(dir.path());
    let stranger = client(&handle, "stranger");
    assert_eq!(failure_class(mkdirs(&stranger, "/x")), ErrorCode::AccessControl.java_class());
    assert_eq!(failure_class(mkdirs(&stranger, "relative")), ErrorCode::InvalidPath.java_class());
    let enter = SetSafeModeRequestProto { action: SafeModeActionProto::SafemodeEnter as i32, checked: None };
    let entered = stranger.call::<_, SetSafeModeResponseProto>("setSafeMode", &enter);
    assert_eq!(failure_class(entered), ErrorCode::AccessControl.java_class());
    let superuser = client(&handle, &process::user_name());
    let on: SetSafeModeResponseProto = superuser.call("setSafeMode", &enter).expect("allowed");
    assert!(on.result);
    assert_eq!(failure_class(mkdirs(&superuser, "/x")), ErrorCode::SafeMode.java_class());
    let attributes = superuser.call::<_, SetXAttrResponseProto>("setXAttr", &SetXAttrRequestProto::default());
    assert_eq!(failure_class(attributes), ErrorCode::Unsupported.java_class());
    let unknown = superuser.call::<_, MkdirsResponseProto>("makeCoffee", &GetXAttrsRequestProto::default());
    assert_eq!(failure_class(unknown), "org.apache.hadoop.ipc.RpcNoSuchMethodException");
    // Bytes that are no such request: field 1 as a number instead of a text.
    let garbage =
        superuser.call::<_, MkdirsResponseProto>("mkdirs", &SetSafeModeRequestProto { action: 1, checked: None });
    assert_eq!(failure_class(garbage), "org.apache.hadoop.ipc.RpcServerException");
    stopped(handle);
}

#[test]
fn pages_and_json_answer_and_foreign_names_do_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let handle = running(dir.path());
    let superuser = client(&handle, &process::user_name());
    assert!(mkdirs(&superuser, "/<i>x").expect("made"));
    let http_addr = handle.addrs().http;
    for (target, expected) in [
        ("/", "No datanode has registered yet"),
        ("/explorer", "&lt;i&gt;x/"),
        ("/explorer?path=/missing", "Nothing there"),
        ("/explorer?path=/%3Ci%3Ex", "may not see this"),
        ("/explorer?path=nonsense", "Not a path"),
        ("/nothing", "No such page"),
        ("/metrics", "mammoth_namenode_operations_total{operation=\"mkdirs\"} 1"),
        ("/assets/style.css", "prefers-color-scheme"),
        ("/api/v1/files?path=/", "\"name\":\"<i>x\""),
        ("/api/v1/datanodes", "\"datanodes\":[]"),
        ("/api/v1/blocks?path=/missing", "FileNotFoundException"),
    ] {
        let (status, body) = get(http_addr, target);
        assert!(body.contains(expected), "{target}: {status}\n{body}");
    }
    let (_, body) = get(http_addr, "/api/v1/status");
    let status: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(status["health"]["safe_mode"], "Off");
    assert_eq!(status["identity"]["cluster_id"], handle.identity().cluster_id);
    let request = "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    let (status, body) = http(http_addr, request);
    assert!(status.contains("403") && body.contains("mammoth.http.allowed-hosts"), "{status} {body}");
    stopped(handle);
}

#[test]
fn datanodes_of_other_clusters_and_nonsense_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let handle = running(dir.path());
    let internal = handle.addrs().internal;
    let (status, body) = get(internal, routes::IDENTITY);
    assert!(status.contains("200"), "{status}");
    let identity: ClusterIdentity = serde_json::from_str(&body).expect("an identity");
    assert_eq!(&identity, handle.identity());
    let (status, body) = post_json(internal, routes::REGISTER, "{\"cluster_id\":");
    assert!(status.contains("400") && serde_json::from_str::<InternalRefusal>(&body).is_ok(), "{status} {body}");
    let mut request = registration("CID-of-another");
    let (status, body) = post_json(internal, routes::REGISTER, &serde_json::to_string(&request).expect("JSON"));
    let refusal: InternalRefusal = serde_json::from_str(&body).expect("a refusal");
    assert!(status.contains("400") && refusal.message.contains(&identity.cluster_id), "{status} {body}");
    request.cluster_id.clone_from(&identity.cluster_id);
    let (status, body) = post_json(internal, routes::REGISTER, &serde_json::to_string(&request).expect("JSON"));
    assert!(status.contains("200") && body.contains("\"epoch\":"), "{status} {body}");
    let (_, body) = get(handle.addrs().http, "/api/v1/datanodes");
    assert!(body.contains("\"hostname\":\"dn\""), "{body}");
    stopped(handle);
}

fn registration(cluster: &str) -> RegisterRequest {
    let json = serde_json::json!({
        "cluster_id": cluster,
        "datanode": "00000000-0000-4000-8000-000000000001",
        "addr": { "ip": "127.0.0.1", "hostname": "dn", "transfer_port": 1, "info_port": 2, "ipc_port": 3 },
        "rack": "/default-rack",
        "storages": [{ "storage": "DS-00000000-0000-4000-8000-000000000002", "capacity": 1_000_000,
                       "used": 0, "remaining": 1_000_000, "failed": false }],
        "seen": { "term": 0, "seq": 0, "block": 0 },
        "software": "test",
    });
    serde_json::from_value(json).expect("a registration")
}

#[test]
fn starts_that_cannot_be_name_the_address_or_the_folder() {
    let dir = tempfile::tempdir().expect("a folder");
    let handle = running(dir.path());
    let locked = NamenodeConfig::from_settings(&settings_in(dir.path())).expect("good settings");
    let error = start(locked, Components::default()).err().expect("the folder is in use").to_string();
    assert!(error.contains(&dir.path().display().to_string()) && error.contains("in use"), "{error}");
    let other = tempfile::tempdir().expect("a folder");
    let mut taken = settings_in(other.path());
    taken.set(keys::DFS_NAMENODE_RPC_ADDRESS.name(), handle.addrs().rpc.to_string());
    let taken = NamenodeConfig::from_settings(&taken).expect("good settings");
    let error = start(taken, Components::default()).err().expect("the port is taken").to_string();
    assert!(error.contains(&handle.addrs().rpc.to_string()) && error.contains("dfs.namenode.rpc-address"), "{error}");
    assert!(std::fs::read_dir(other.path()).expect("listed").next().is_none(), "a taken port leaves no trace");
    std::fs::write(other.path().join("letter.txt"), "dear").expect("written");
    let full = NamenodeConfig::from_settings(&settings_in(other.path())).expect("good settings");
    let error = start(full, Components::default()).err().expect("it holds a letter").to_string();
    assert!(error.contains("letter.txt"), "{error}");
    let mut open = settings_in(other.path());
    open.set(keys::DFS_NAMENODE_HTTP_ADDRESS.name(), "0.0.0.0:0");
    let error = NamenodeConfig::from_settings(&open).expect_err("nothing protects it");
    assert!(matches!(error, StartError::Bind(mammoth_web::bind::BindError::NotLoopback { .. })), "{error}");
    stopped(handle);
}
