//! Files per second with one and with forty clients, the namenode's syncs meanwhile, and a restart over many files.

use crate::Scale;
use crate::cluster::Cluster;
use crate::meter::Wall;
use mammoth_client::{ClientConfig, CreateOptions, DfsClient};
use mammoth_platform::settings::Settings;
use mammoth_protocol::DfsPath;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};

/// Prints the metadata figures.
pub(crate) fn measure(scale: &Scale) -> Result<(), String> {
    let cluster = Cluster::new(false)?;
    cluster.up()?;
    println!("namenode, closed-loop clients in another process; a file = create + complete, both durable");
    creates(&cluster, 1, 2000)?;
    let rest = scale.files.saturating_sub(2000);
    creates(&cluster, 40, rest)?;
    cluster.down()?;
    let wall = Wall::start();
    cluster.up()?;
    println!("  restart over {} files to ready {:>6.0} ms", scale.files, wall.seconds() * 1e3);
    println!("  resident with {} files {:>6.1} MiB", scale.files, cluster.resident_mib()?);
    Ok(())
}

fn creates(cluster: &Cluster, clients: u64, files: u64) -> Result<(), String> {
    let define = format!("fs.defaultFS=hdfs://{}", cluster.namenode("rpc")?);
    let settings = Settings::load(None, &[define]).map_err(|e| e.to_string())?;
    let folder = DfsPath::parse(&format!("/creates-{clients}")).map_err(|e| e.to_string())?;
    let next = AtomicU64::new(0);
    let syncs = counter(cluster, "mammoth_namenode_log_syncs_total")?;
    let wall = Wall::start();
    std::thread::scope(|scope| {
        let work = || -> Result<(), String> {
            let config = ClientConfig::from_settings(&settings).map_err(|e| e.to_string())?;
            let client = DfsClient::connect(config).map_err(|e| e.to_string())?;
            client.mkdirs(&folder, None, true).map_err(|e| e.to_string())?;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= files {
                    return Ok(());
                }
                let path = folder.join(&format!("f{number}")).map_err(|e| e.to_string())?;
                let writer = client.create(&path, CreateOptions::default()).map_err(|e| e.to_string())?;
                writer.close().map_err(|e| e.to_string())?;
            }
        };
        let threads: Vec<_> = (0..clients).map(|_| scope.spawn(work)).collect();
        let panicked = |_| Err("a client panicked".to_owned());
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(panicked))
    })?;
    let seconds = wall.seconds();
    let syncs = counter(cluster, "mammoth_namenode_log_syncs_total")? - syncs;
    println!(
        "  {clients:>2} client{} {:>8.0} files/s   {:>7.0} syncs/s   {:>5.1} files per sync",
        if clients == 1 { " " } else { "s" },
        files as f64 / seconds,
        syncs / seconds,
        files as f64 / syncs.max(1.0)
    );
    Ok(())
}

/// A counter of the namenode's `/metrics`.
fn counter(cluster: &Cluster, name: &str) -> Result<f64, String> {
    let addr = cluster.namenode("http")?;
    let fetch = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(&addr)?;
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    let text = fetch().map_err(|e| format!("{addr}/metrics: {e}"))?;
    let line = text.lines().find(|line| line.starts_with(name)).ok_or_else(|| format!("no counter {name}"))?;
    line.split_whitespace().last().and_then(|n| n.parse().ok()).ok_or_else(|| format!("{line}: no number"))
}
