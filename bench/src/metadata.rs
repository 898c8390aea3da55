//! Files per second, calls per second and CPU per call of a namenode, its syncs meanwhile, and a restart over many files.
//!
//! Clients are as cheap as can be ([`crate::caller`]) and run on one thread of this process, on the same cores as the cluster.

use crate::Scale;
use crate::caller::Looping;
use crate::cluster::Cluster;
use crate::meter::Wall;
use mammoth_protocol::hadoop::hdfs;
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::rc::Rc;
use std::time::Duration;

/// Calls of getFileInfo in each of its measurements.
const LOOKUPS: u64 = 200_000;

/// How often to look whether the cluster has become idle, and how long at most.
const SETTLE_STEP: Duration = Duration::from_millis(500);
const SETTLE_STEPS: u32 = 120;

/// Prints the metadata figures.
pub(crate) fn measure(scale: &Scale) -> Result<(), String> {
    let cluster = Cluster::new(false)?;
    cluster.up()?;
    println!("namenode, closed-loop clients in another process; a file = create + complete, both durable");
    creates(&cluster, 1, 2000)?;
    let rest = scale.files.saturating_sub(2000);
    creates(&cluster, 40, rest)?;
    settle(&cluster, rest)?;
    lookups(&cluster, 40, 1, rest)?;
    lookups(&cluster, 40, 16, rest)?;
    cluster.down()?;
    let wall = Wall::start();
    cluster.up()?;
    println!("  restart over {} files to ready {:>6.0} ms", scale.files, wall.seconds() * 1e3);
    println!("  resident with {} files {:>6.1} MiB", scale.files, cluster.resident_mib()?);
    Ok(())
}

/// Runs clients side by side, each with a connection of its own and an identity that no other had: the namenode would take
/// their calls for repeated ones.
fn clients<F>(cluster: &Cluster, count: u64, work: impl Fn(Looping) -> F) -> Result<(), String>
where
    F: Future<Output = Result<(), String>> + 'static,
{
    let server = cluster.namenode("rpc")?;
    let first = cluster.identities(count);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(|e| e.to_string())?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut running = tokio::task::JoinSet::new();
        for number in first..first + count {
            running.spawn_local(work(Looping::connect(&server, number).await?));
        }
        while let Some(ended) = running.join_next().await {
            ended.map_err(|e| format!("a client: {e}"))??;
        }
        Ok(())
    })
}

/// Numbers from 0, each given to one client.
#[derive(Clone, Default)]
struct Numbers(Rc<Cell<u64>>);

impl Numbers {
    /// The next, if there are so many.
    fn next(&self, end: u64) -> Option<u64> {
        let number = self.0.get();
        self.0.set(number + 1);
        (number < end).then_some(number)
    }
}

/// Where a file of `creates` lies.
fn file(clients: u64, number: u64) -> String {
    format!("/creates-{clients}/{}/f{number}", number / 10_000)
}

fn creates(cluster: &Cluster, count: u64, files: u64) -> Result<(), String> {
    let numbers = Numbers::default();
    let syncs = counter(cluster, "mammoth_namenode_log_syncs_total")?;
    let (wall, cpu) = (Wall::start(), cluster.cpu()?);
    clients(cluster, count, |mut caller| {
        let numbers = numbers.clone();
        async move {
            while let Some(number) = numbers.next(files) {
                create(&mut caller, &file(count, number)).await?;
            }
            Ok(())
        }
    })?;
    let seconds = wall.seconds();
    let cpu = cluster.cpu()? - cpu;
    let syncs = counter(cluster, "mammoth_namenode_log_syncs_total")? - syncs;
    println!(
        "  create + complete   {count:>2} client{} {:>8.0} files/s   {:>6.0} syncs/s, {:>5.1} files each   {:>6.1} us CPU a call",
        if count == 1 { " " } else { "s" },
        files as f64 / seconds,
        syncs / seconds,
        files as f64 / syncs.max(1.0),
        cpu.total() / (2 * files) as f64 * 1e6,
    );
    Ok(())
}

/// Waits for a checkpoint, by which the namenode carries the files over from its log, now and then and beside its calls: what is
/// measured next shall not pay for it.
fn settle(cluster: &Cluster, files: u64) -> Result<(), String> {
    let name = "mammoth_namenode_checkpoints_total";
    let (before, checkpoints) = (cluster.cpu()?.total(), counter(cluster, name)?);
    let mut spent = before;
    for _ in 0..SETTLE_STEPS {
        std::thread::sleep(SETTLE_STEP);
        let now = cluster.cpu()?.total();
        if now - spent < SETTLE_STEP.as_secs_f64() / 50.0 && counter(cluster, name)? > checkpoints {
            println!(
                "    its checkpoint afterwards {:>6.1} us CPU a file",
                (spent - before) / files.max(1) as f64 * 1e6
            );
            return Ok(());
        }
        spent = now;
    }
    Err("no checkpoint is over a minute after the last call".to_owned())
}

async fn create(caller: &mut Looping, path: &str) -> Result<(), String> {
    let client_name = "bench".to_owned();
    let request = hdfs::CreateRequestProto {
        src: path.to_owned(),
        masked: hdfs::FsPermissionProto { perm: 0o644 },
        client_name: client_name.clone(),
        create_flag: hdfs::CreateFlagProto::Create as u32,
        create_parent: true,
        replication: 3,
        block_size: 128 << 20,
        ..hdfs::CreateRequestProto::default()
    };
    let created: hdfs::CreateResponseProto = caller.call("create", &request).await?;
    let file_id = created.fs.and_then(|status| status.file_id);
    let request = hdfs::CompleteRequestProto { src: path.to_owned(), client_name, last: None, file_id };
    let completed: hdfs::CompleteResponseProto = caller.call("complete", &request).await?;
    if completed.result { Ok(()) } else { Err(format!("{path} is not complete")) }
}

/// Asks for files that exist, `in_flight` calls at a time and client.
fn lookups(cluster: &Cluster, count: u64, in_flight: u64, files: u64) -> Result<(), String> {
    let numbers = Numbers::default();
    let (wall, cpu) = (Wall::start(), cluster.cpu()?);
    clients(cluster, count, |mut caller| {
        let numbers = numbers.clone();
        async move {
            let mut asked = 0_u64;
            loop {
                while asked < in_flight
                    && let Some(number) = numbers.next(LOOKUPS)
                {
                    // A stride that is prime to the number of files: not one after the other.
                    let src = file(40, number.wrapping_mul(7919) % files.max(1));
                    caller.send("getFileInfo", &hdfs::GetFileInfoRequestProto { src })?;
                    asked += 1;
                }
                if asked == 0 {
                    return Ok(());
                }
                let (_, found): (_, hdfs::GetFileInfoResponseProto) = caller.answer().await?;
                found.fs.ok_or("a file that was created is not there")?;
                asked -= 1;
            }
        }
    })?;
    let (seconds, cpu) = (wall.seconds(), cluster.cpu()? - cpu);
    println!(
        "  getFileInfo         {count:>2} clients, {in_flight:>2} calls in flight each {:>8.0} calls/s   {:>6.1} us CPU a call",
        LOOKUPS as f64 / seconds,
        cpu.total() / LOOKUPS as f64 * 1e6,
    );
    Ok(())
}

/// A counter of the namenode's `/metrics`.
fn counter(cluster: &Cluster, name: &str) -> Result<f64, String> {
    figure(&cluster.namenode("http")?, name)
}

/// What a line of `/metrics` at an address says; `name` is how the line begins.
pub(crate) fn figure(addr: &str, name: &str) -> Result<f64, String> {
    let fetch = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(addr)?;
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    let text = fetch().map_err(|e| format!("{addr}/metrics: {e}"))?;
    let line = text.lines().find(|line| line.starts_with(name)).ok_or_else(|| format!("no counter {name}"))?;
    line.split_whitespace().last().and_then(|n| n.parse().ok()).ok_or_else(|| format!("{line}: no number"))
}
