//! Put and get of random data, over TCP and from open files, beside `cp --reflink=never`.

use crate::Scale;
use crate::cluster::{Cluster, check};
use crate::meter::{Wall, cpu_of_children, cpu_of_self, median, warm};
use crate::primitives::Primitives;
use mammoth_client::{ClientConfig, DfsClient};
use mammoth_platform::Settings;
use mammoth_protocol::DfsPath;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::process::Command;

#[derive(Default)]
struct Figure {
    wall: Vec<f64>,
    cpu: Vec<f64>,
    user: Vec<f64>,
    system: Vec<f64>,
}

impl Figure {
    fn row(&mut self, name: &str, gib: f64) -> String {
        let [wall, cpu, user, system] =
            [&mut self.wall, &mut self.cpu, &mut self.user, &mut self.system].map(|values| median(values) / gib);
        format!("  {name:<22} wall {wall:>6.2} s/GiB   CPU {cpu:>6.2} s/GiB   user {user:>5.2}   system {system:>5.2}")
    }
}

/// Prints the data path's costs.
pub(crate) fn measure(scale: &Scale) -> Result<(), String> {
    let cluster = Cluster::new(true)?;
    cluster.up()?;
    let temp = tempfile::tempdir().map_err(|e| e.to_string())?;
    let source = temp.path().join("random");
    let target = temp.path().join("copy");
    write_random(&source, scale.mib).map_err(|e| e.to_string())?;
    println!("data path, {} MiB of random data, three replicas, medians of {}", scale.mib, scale.runs);
    let mut figures = Figures::default();
    let (from, to) = (source.display().to_string(), target.display().to_string());
    let clear = || {
        let _ = std::fs::remove_file(&target);
        warm(scale.mib);
    };
    let same = || check(Command::new("cmp").args([&from, &to]));
    for _ in 0..scale.runs {
        figures.primitives.measure(&source, temp.path(), scale.mib)?;
        clear();
        timed(&cluster, &mut figures.cp, || check(Command::new("cp").args(["--reflink=never", &from, &to])))?;
        warm(3 * scale.mib);
        timed(&cluster, &mut figures.put, || cluster.dfs(&["put", "-f", &from, "/bench"]))?;
        clear();
        timed(&cluster, &mut figures.get, || cluster.dfs(&["get", "/bench", &to]))?;
        same()?;
        clear();
        timed(&cluster, &mut figures.local, || cluster.dfs_local(&["get", "/bench", &to]))?;
        same()?;
        let bytes = timed(&cluster, &mut figures.read, || read_local(&cluster))?;
        if bytes != scale.mib << 20 {
            return Err(format!("read {bytes} bytes of {} MiB", scale.mib));
        }
    }
    figures.print(scale.mib as f64 / 1024.0);
    println!("  largest process {:.1} MiB at its peak", cluster.peak_mib()?);
    Ok(())
}

/// Everything that is measured, and in the order in which it is.
#[derive(Default)]
struct Figures {
    primitives: Primitives,
    cp: Figure,
    put: Figure,
    /// Over TCP.
    get: Figure,
    /// From the datanodes' open files.
    local: Figure,
    /// From open files into memory.
    read: Figure,
}

impl Figures {
    fn print(&mut self, gib: f64) {
        println!("{}", self.cp.row("cp --reflink=never", gib));
        println!("{}", self.put.row("dfs put (3 replicas)", gib));
        println!("{}", self.get.row("dfs get over TCP", gib));
        println!("{}", self.local.row("dfs get short-circuit", gib));
        println!("{}", self.read.row("read short-circuit", gib));
        let sums = self.primitives.sums(gib);
        for (name, figure, sum) in [
            ("put", &mut self.put, sums.put),
            ("get over TCP", &mut self.get, sums.get),
            ("get short-circuit", &mut self.local, sums.local),
        ] {
            let cpu = median(&mut figure.cpu) / gib;
            println!("  {name}: CPU {cpu:.2} s/GiB is {:.2} times the sum of its primitives, {sum:.2}", cpu / sum);
        }
        let [cp, put, get, local, read] = [&mut self.cp, &mut self.put, &mut self.get, &mut self.local, &mut self.read]
            .map(|figure| median(&mut figure.wall) / gib);
        println!(
            "  put runs at {:.2} of cp's speed, get at {:.2} over TCP and {:.2} short-circuit",
            cp / put,
            cp / get,
            cp / local
        );
        // One thread reads and verifies; on a busy machine it waits for its core.
        let cpu = median(&mut self.read.cpu) / gib;
        let [by_wall, by_cpu] = [read, cpu].map(|seconds| (1 << 30) as f64 / seconds / 1e9);
        println!("  short-circuit read, verified, on one core: {by_wall:.2} GB/s, {by_cpu:.2} GB a CPU second");
    }
}

/// Reads the file into memory from the datanodes' open files, in this process; tells its length.
fn read_local(cluster: &Cluster) -> Result<u64, String> {
    let settings = Settings::load(Some(&cluster.conf()), &[]).map_err(|e| e.to_string())?;
    let config = ClientConfig::from_settings(&settings).map_err(|e| e.to_string())?;
    if config.domain_socket.is_none() {
        return Err("the cluster offers no short-circuit reads".to_owned());
    }
    let client = DfsClient::connect(config).map_err(|e| e.to_string())?;
    let path = DfsPath::parse("/bench").map_err(|e| e.to_string())?;
    let mut reader = client.open(&path).map_err(|e| e.to_string())?;
    let mut buffer = vec![0; 256 << 10];
    let mut bytes = 0;
    loop {
        match reader.read(&mut buffer).map_err(|e| e.to_string())? {
            0 => return Ok(bytes),
            read => bytes += read as u64,
        }
    }
}

/// Does some work and notes what it takes: of the cluster, of this process and of those that it starts.
fn timed<T>(cluster: &Cluster, figure: &mut Figure, work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let all = || Ok::<_, String>(cluster.cpu()? + cpu_of_children() + cpu_of_self());
    let cpu = all()?;
    let wall = Wall::start();
    let done = work()?;
    figure.wall.push(wall.seconds());
    let used = all()? - cpu;
    figure.cpu.push(used.total());
    figure.user.push(used.user);
    figure.system.push(used.system);
    Ok(done)
}

fn write_random(path: &Path, mib: u64) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..mib * 1024 * 1024 / 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.write_all(&state.to_le_bytes())?;
    }
    out.flush()
}
