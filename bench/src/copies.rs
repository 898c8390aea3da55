//! Many small files by the `dfs` program: `put -t N` and `get -t N`, files a second.

use crate::Scale;
use crate::cluster::{Cluster, check};
use crate::meter::{Wall, cpu_of_children, median};
use std::path::Path;
use std::process::Command;

/// Files of one copy.
const FILES: usize = 1000;
/// Bytes of each.
const FILE_BYTES: usize = 10 * 1024;
/// Threads of the program.
const THREADS: [&str; 3] = ["1", "4", "8"];

/// Prints what copies of many small files cost.
pub(crate) fn measure(scale: &Scale) -> Result<(), String> {
    let cluster = Cluster::new(true)?;
    cluster.up()?;
    let temp = tempfile::tempdir().map_err(|e| e.to_string())?;
    let source = temp.path().join("many");
    write_files(&source).map_err(|e| e.to_string())?;
    println!("{FILES} files of {} KiB, three replicas, medians of {}", FILE_BYTES / 1024, scale.runs);
    for threads in THREADS {
        let (mut put, mut get) = (Figure::default(), Figure::default());
        for run in 0..scale.runs {
            let from = source.display().to_string();
            let folder = format!("/many-{threads}-{run}");
            put.time(&cluster, || cluster.dfs(&["put", "-t", threads, &from, &folder]))?;
            let target = temp.path().join(format!("got-{threads}-{run}"));
            let to = target.display().to_string();
            get.time(&cluster, || cluster.dfs(&["get", "-t", threads, &folder, &to]))?;
            // What was got stays until the end: for minutes after a deletion, ext4 steps over each deleted inode whenever it makes
            // a file.
            check(Command::new("diff").args(["-r", &from, &to]))?;
        }
        println!("{}", put.row(&format!("dfs put -t {threads}")));
        println!("{}", get.row(&format!("dfs get -t {threads}")));
    }
    Ok(())
}

#[derive(Default)]
struct Figure {
    wall: Vec<f64>,
    cpu: Vec<f64>,
}

impl Figure {
    /// Does the work, and notes what it takes of this machine.
    fn time(&mut self, cluster: &Cluster, work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
        let all = || Ok::<_, String>((cluster.cpu()? + cpu_of_children()).total());
        let cpu = all()?;
        let wall = Wall::start();
        work()?;
        self.wall.push(wall.seconds());
        self.cpu.push(all()? - cpu);
        Ok(())
    }

    fn row(&mut self, name: &str) -> String {
        let [wall, cpu] = [&mut self.wall, &mut self.cpu].map(|values| median(values));
        let files = FILES as f64;
        format!("  {name:<14} {:>6.0} files/s   {:>5.2} CPU ms a file", files / wall, cpu / files * 1000.0)
    }
}

fn write_files(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir(folder)?;
    for number in 0..FILES {
        let bytes: Vec<u8> = (0..FILE_BYTES).map(|at| (at * 31 + number) as u8).collect();
        std::fs::write(folder.join(format!("file-{number:04}")), bytes)?;
    }
    Ok(())
}
