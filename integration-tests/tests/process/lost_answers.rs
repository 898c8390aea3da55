//! The answer to a call is lost after the call was carried out: who asks again under the same number is told what was done,
//! and it is done once.

use crate::harness::{StepClient, Trap, Wired, poll};
use hdfs_native::client::ClientBuilder;
use mammoth_client::DfsClient;
use mammoth_integration_tests::content::difference;
use mammoth_protocol::DfsPath;
use std::io::Read;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const BLOCK: u64 = 1 << 20;

/// A step whose call of `method` is carried out, and whose first answer never arrives.
#[track_caller]
fn unanswered(wired: &Wired, client: &mut StepClient, method: &'static str, step: &str) -> String {
    wired.rpc.trap(Trap::Reply(method));
    client.tell(step);
    wired.rpc.caught();
    wired.rpc.lose();
    client.done()
}

#[track_caller]
fn is(client: &DfsClient, path: &str, seed: u64, len: u64) {
    let path = DfsPath::parse(path).expect("a path");
    let mut bytes = Vec::new();
    client.open(&path).expect("there").read_to_end(&mut bytes).expect("read");
    assert_eq!((bytes.len() as u64, difference(seed, &bytes)), (len, None), "{path}");
}

fn names(client: &DfsClient) -> Vec<String> {
    let listed = client.list_all(&DfsPath::parse("/d").expect("a path")).expect("a listing");
    listed.into_iter().map(|status| status.name().to_owned()).collect()
}

#[test]
fn a_call_whose_answer_is_lost_is_answered_again_and_done_once() {
    let wired = Wired::start();
    let (mut client, onlooker) = (wired.step_client(), wired.onlooker());
    let mut lose = |method: &'static str, step: &str| unanswered(&wired, &mut client, method, step);
    assert_eq!(lose("mkdirs", "mkdir /d"), "true");
    // Carried out twice, each of these would be refused the second time, or say `false`, or do something else.
    lose("create", "create /d/a 3");
    wired.rpc.trap(Trap::Reply("addBlock"));
    client.tell(&format!("write 7 0 {}", BLOCK - 5));
    wired.rpc.caught();
    wired.rpc.lose();
    client.done();
    client.ask("hflush");
    assert_eq!(wired.cluster.blocks("/d/a").expect("blocks").len(), 1, "one block was added");
    let mut lose = |method: &'static str, step: &str| unanswered(&wired, &mut client, method, step);
    assert_eq!(lose("complete", "close"), (BLOCK - 5).to_string());
    assert_eq!(lose("append", "append /d/a"), (BLOCK - 5).to_string());
    client.ask(&format!("write 7 {} {}", BLOCK - 5, BLOCK + 100_000));
    client.ask("close");
    is(&onlooker, "/d/a", 7, BLOCK + 100_000);
    let mut lose = |method: &'static str, step: &str| unanswered(&wired, &mut client, method, step);
    assert_eq!(lose("truncate", &format!("truncate /d/a {}", BLOCK + 1_000)), "false", "its last block is cut");
    let path = DfsPath::parse("/d/a").expect("a path");
    poll("the block is cut", LIMIT, || match onlooker.is_file_closed(&path) {
        Ok(true) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    is(&onlooker, "/d/a", 7, BLOCK + 1_000);
    assert_eq!(lose("truncate", &format!("truncate /d/a {BLOCK}")), "true", "at the end of a block, so done at once");
    lose("rename2", "rename /d/a /d/b");
    assert_eq!(lose("rename", "move /d/b /d/c"), "true");
    assert_eq!(names(&onlooker), ["c"]);
    for (name, from) in [("/d/x", BLOCK), ("/d/y", BLOCK + 500)] {
        client.ask(&format!("create {name} 3"));
        client.ask(&format!("write 7 {from} {}", from + 500));
        client.ask("close");
    }
    let mut lose = |method: &'static str, step: &str| unanswered(&wired, &mut client, method, step);
    lose("concat", "concat /d/c /d/x /d/y");
    is(&onlooker, "/d/c", 7, BLOCK + 1_000);
    assert_eq!(names(&onlooker), ["c"]);
    assert_eq!(lose("delete", "delete /d/c"), "true");
    assert_eq!(names(&onlooker), [""; 0]);
}

/// Answers of calls that were carried out just before the namenode was killed: what it remembers of calls outlives it.
#[test]
fn a_call_whose_answer_dies_with_the_namenode_is_answered_by_the_next_one() {
    let wired = Wired::start();
    let (mut client, onlooker) = (wired.step_client(), wired.onlooker());
    client.ask("mkdir /d");
    client.ask("create /d/a 3");
    client.ask("write 8 0 1000");
    client.ask("close");
    for (method, step, said) in [
        ("create", "create /d/b 3", ""),
        ("rename2", "rename /d/a /d/c", ""),
        ("append", "append /d/c", "1000"),
        ("delete", "delete /d/b", "true"),
    ] {
        wired.rpc.trap(Trap::Reply(method));
        client.tell(step);
        wired.rpc.caught();
        wired.cluster.kill("namenode");
        wired.rpc.lose();
        wired.cluster.restart("namenode").ok();
        assert_eq!(client.done(), said, "{step}");
        // The next call is a new one, which safe mode would refuse.
        poll("safe mode ends", LIMIT, || {
            let mode = wired.cluster.status()?["health"]["safe_mode"].to_string();
            if mode == "\"Off\"" { Ok(()) } else { Err(mode) }
        });
    }
    assert_eq!(names(&onlooker), ["c"]);
}

/// A client that we did not write does not ask again where asking twice might do a thing twice. It says so, goes on over a
/// new connection, and the thing was done once.
#[test]
fn a_foreign_client_whose_answer_is_lost_hears_of_it_and_goes_on() {
    let wired = Wired::start();
    let onlooker = wired.onlooker();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let client = ClientBuilder::new()
        .with_url(format!("hdfs://{}", wired.rpc.addr()))
        .with_io_runtime(runtime.handle().clone())
        .build()
        .expect("a client");
    let lose = |method: &'static str| {
        wired.rpc.trap(Trap::Reply(method));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                wired.rpc.caught();
                wired.rpc.lose();
            });
            runtime.block_on(async {
                match method {
                    "mkdirs" => client.mkdirs("/d", 0o755, true).await,
                    "rename2" => client.rename("/d", "/e", false).await,
                    _ => client.delete("/e", true).await.map(drop),
                }
            })
        })
    };
    for (method, there) in [("mkdirs", Some("d")), ("rename2", Some("e")), ("delete", None)] {
        let told = lose(method);
        let listed = onlooker.list_all(&DfsPath::root()).expect("a listing");
        let listed: Vec<&str> = listed.iter().map(|status| status.name()).collect();
        assert_eq!(listed, there.into_iter().collect::<Vec<_>>(), "{method}: {told:?}");
        let found = runtime.block_on(async { client.list_status("/", false).await }).expect("it goes on");
        assert_eq!(found.len(), listed.len(), "{method}: {told:?}");
    }
}
