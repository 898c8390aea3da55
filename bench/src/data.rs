//! Put and get of random data, beside `cp --reflink=never`.

use crate::Scale;
use crate::cluster::{Cluster, check};
use crate::meter::{Wall, cpu_of_children, median, warm};
use crate::primitives::Primitives;
use std::fs::File;
use std::io::{BufWriter, Write};
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
    let gib = scale.mib as f64 / 1024.0;
    println!("data path, {} MiB of random data, three replicas, medians of {}", scale.mib, scale.runs);
    let (mut cp, mut put, mut get) = (Figure::default(), Figure::default(), Figure::default());
    let mut primitives = Primitives::default();
    let (from, to) = (source.display().to_string(), target.display().to_string());
    for _ in 0..scale.runs {
        primitives.measure(&source, temp.path(), scale.mib)?;
        let _ = std::fs::remove_file(&target);
        warm(scale.mib);
        timed(&cluster, &mut cp, || check(Command::new("cp").args(["--reflink=never", &from, &to])))?;
        warm(3 * scale.mib);
        timed(&cluster, &mut put, || cluster.dfs(&["put", "-f", &from, "/bench"]))?;
        let _ = std::fs::remove_file(&target);
        warm(scale.mib);
        timed(&cluster, &mut get, || cluster.dfs(&["get", "/bench", &to]))?;
    }
    check(Command::new("cmp").args([&from, &to]))?;
    println!("{}", cp.row("cp --reflink=never", gib));
    println!("{}", put.row("dfs put (3 replicas)", gib));
    println!("{}", get.row("dfs get", gib));
    let (put_sum, get_sum) = primitives.sums(gib);
    let (put_cpu, get_cpu) = (median(&mut put.cpu) / gib, median(&mut get.cpu) / gib);
    println!("  put: CPU {put_cpu:.2} s/GiB is {:.2} times the sum of its primitives, {put_sum:.2}", put_cpu / put_sum);
    println!("  get: CPU {get_cpu:.2} s/GiB is {:.2} times the sum of its primitives, {get_sum:.2}", get_cpu / get_sum);
    let (cp, put, get) = (median(&mut cp.wall), median(&mut put.wall), median(&mut get.wall));
    println!("  put is {:.1} times cp, get {:.1} times cp (wall)", put / cp, get / cp);
    println!("  largest process {:.1} MiB at its peak", cluster.peak_mib()?);
    Ok(())
}

fn timed(cluster: &Cluster, figure: &mut Figure, work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let cpu = cluster.cpu()? + cpu_of_children();
    let wall = Wall::start();
    work()?;
    figure.wall.push(wall.seconds());
    let used = cluster.cpu()? + cpu_of_children() - cpu;
    figure.cpu.push(used.total());
    figure.user.push(used.user);
    figure.system.push(used.system);
    Ok(())
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
