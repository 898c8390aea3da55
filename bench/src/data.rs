//! Put and get of random data, beside `cp --reflink=never`.

use crate::Scale;
use crate::cluster::{Cluster, check};
use crate::meter::{Wall, cpu_of_children, median};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

struct Figure {
    wall: Vec<f64>,
    cpu: Vec<f64>,
}

impl Figure {
    fn new() -> Self {
        Self { wall: Vec::new(), cpu: Vec::new() }
    }

    fn row(&mut self, name: &str, gib: f64) -> String {
        let (wall, cpu) = (median(&mut self.wall), median(&mut self.cpu));
        format!("  {name:<26} wall {:>6.2} s/GiB   CPU {:>6.2} s/GiB", wall / gib, cpu / gib)
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
    let (mut cp, mut put, mut get) = (Figure::new(), Figure::new(), Figure::new());
    let (from, to) = (source.display().to_string(), target.display().to_string());
    for _ in 0..scale.runs {
        let _ = std::fs::remove_file(&target);
        timed(&cluster, &mut cp, || check(Command::new("cp").args(["--reflink=never", &from, &to])))?;
        timed(&cluster, &mut put, || cluster.dfs(&["put", "-f", &from, "/bench"]))?;
        let _ = std::fs::remove_file(&target);
        timed(&cluster, &mut get, || cluster.dfs(&["get", "/bench", &to]))?;
    }
    check(Command::new("cmp").args([&from, &to]))?;
    println!("{}", cp.row("cp --reflink=never", gib));
    println!("{}", put.row("dfs put (3 replicas)", gib));
    println!("{}", get.row("dfs get", gib));
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
    figure.cpu.push(cluster.cpu()? + cpu_of_children() - cpu);
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
