//! Executors of the in-memory mode.

use super::fake::{APP, Cluster, running, seconds, until};
use mammoth_protocol::jobs::ExecutorId;
use mammoth_protocol::jobs::tracker::{ExecutorReport, Order};

fn report(cluster: &Cluster, executor: u32) -> Option<ExecutorReport> {
    let executors = cluster.jobtracker.last()?.executors;
    executors.into_iter().find(|report| (report.app, report.executor) == (APP, ExecutorId(executor)))
}

#[test]
fn an_executor_runs_until_it_is_ended() {
    let cluster = Cluster::start();
    let sleep = seconds();
    let script = format!("read -r line; echo \"$line\"; env; touch ../../shuffle/kept.data; exec sleep {sleep}");
    cluster.run_executor(3, &script);
    let pid = until("it runs", || report(&cluster, 3)?.pid);
    until("it is that process", || (running(&sleep) == [i32::try_from(pid).unwrap()]).then_some(()));
    let log = cluster.text("/logs/application_5_0002/3/stdout");
    let first = log.lines().next().unwrap();
    for part in [r#""to":"executor""#, r#""secret":"secret""#, r#""driver":"127.0.0.1:1""#, r#""settings":{"a":"b"}"#] {
        assert!(first.contains(part), "{first}");
    }
    let door = format!(r#""shuffle_server":"{}""#, cluster.tracker().addrs().http);
    assert!(first.contains(&door), "{first}");
    assert!(log.contains("MAMMOTH_ROLE=executor"));

    let reason = "it is idle".to_owned();
    let (app, executor) = (APP, ExecutorId(3));
    cluster.jobtracker.order(Order::KillExecutor { app, executor, reason: reason.clone() });
    let ended = until("it ends", || report(&cluster, 3)?.ended);
    assert_eq!(ended, reason);
    assert!(running(&sleep).is_empty());
    assert!(cluster.names("apps/application_5_0002/work").is_empty());
    assert_eq!(cluster.names("apps/application_5_0002/shuffle"), ["kept.data"], "others still read it");
    cluster.jobtracker.order(Order::ForgetExecutor { app, executor });
    cluster.jobtracker.order(Order::DropApp { app });
    until("the application is dropped", || cluster.jobtracker.last()?.apps.is_empty().then_some(()));
    assert!(cluster.jobtracker.last().unwrap().executors.is_empty());
    assert!(cluster.names("apps").is_empty());
}

#[test]
fn an_executor_that_ends_by_itself_says_why() {
    let cluster = Cluster::start();
    cluster.run_executor(1, "echo out of memory >&2; kill -9 $$");
    cluster.run_executor(2, r#"echo '{"from":"failed","reason":"no driver"}' >&0; exit 1"#);
    let ended = until("it ends", || report(&cluster, 1)?.ended);
    assert!(ended.starts_with("was killed by signal 9 (SIGKILL)\nout of memory\nLog: http://"), "{ended}");
    assert!(ended.ends_with("/logs/application_5_0002/1/stderr"), "{ended}");
    let ended = until("it ends", || report(&cluster, 2)?.ended);
    assert!(ended.starts_with("no driver\n"), "{ended}");
}
