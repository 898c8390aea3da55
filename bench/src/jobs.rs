//! Jobs: the same words counted on disk, in memory and in one process, what an empty job takes, how fast tasks start beside bare
//! processes, and what a step over a number costs.

use crate::Scale;
use crate::cluster::{Cluster, check, program};
use crate::meter::{Peak, Wall, cpu_of_children, median, warm};
use mammoth_client::{ClientConfig, CreateOptions, DfsClient};
use mammoth_platform::settings::Settings;
use mammoth_protocol::DfsPath;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Different words of the text.
const VOCABULARY: u64 = 50_000;
/// Small files, each the input of one map.
const SMALL_FILES: usize = 400;
/// Empty jobs, of which the median counts.
const EMPTY_JOBS: usize = 9;

/// Prints the jobs' figures.
pub(crate) fn measure(scale: &Scale) -> Result<(), String> {
    let cluster = Cluster::new(true)?;
    cluster.up()?;
    words(&cluster, scale)?;
    starts(&cluster)
}

fn words(cluster: &Cluster, scale: &Scale) -> Result<(), String> {
    let temp = tempfile::tempdir().map_err(|e| e.to_string())?;
    let text = temp.path().join("text");
    let words = write_text(&text, scale.mib << 20).map_err(|e| e.to_string())?;
    cluster.dfs(&["put", &text.display().to_string(), "/text"])?;
    println!("word count of {} MiB of text, {words} words of {VOCABULARY}, once each", scale.mib);
    for (name, mode, master) in
        [("on disk", "disk", None), ("in memory", "memory", None), ("local[2]", "memory", Some("local[2]"))]
    {
        warm(2 * scale.mib);
        let cpu = cluster.cpu()? + cpu_of_children();
        let peak = Peak::watch(cluster.pids()?);
        let wall = Wall::start();
        let mut job = mapred(cluster)?;
        job.args(["run", "--mode", mode, "wordcount", "/text", &format!("/{}", name.replace(' ', "-"))]);
        if let Some(master) = master {
            job.env("MAMMOTH_MASTER", master);
        }
        check(&mut job)?;
        let seconds = wall.seconds();
        let used = (cluster.cpu()? + cpu_of_children() - cpu).total();
        println!(
            "  {name:<12} wall {seconds:>6.2} s   CPU {used:>6.2} s   {:>6.1} ns CPU a word   all processes {:>6.0} MiB at their peak",
            used * 1e9 / words as f64,
            peak.end()
        );
    }
    let mut compare = Command::new(program("mammoth")?);
    compare.args(["compare", "wordcount", "/text"]);
    let said = at(cluster, &mut compare)?.output().map_err(|e| e.to_string())?;
    print!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    Ok(())
}

fn starts(cluster: &Cluster) -> Result<(), String> {
    let define = format!("fs.defaultFS=hdfs://{}", cluster.namenode("rpc")?);
    let settings = Settings::load(None, &[define]).map_err(|e| e.to_string())?;
    let client = ClientConfig::from_settings(&settings).and_then(DfsClient::connect).map_err(|e| e.to_string())?;
    for file in (0..SMALL_FILES).map(|n| format!("/small/{n:03}")).chain(["/empty/line".to_owned()]) {
        let path = DfsPath::parse(&file).map_err(|e| e.to_string())?;
        let mut writer = client.create(&path, CreateOptions::default()).map_err(|e| e.to_string())?;
        writer.write_all(b"one line\n").map_err(|e| e.to_string())?;
        writer.close().map_err(|e| e.to_string())?;
    }
    for mode in ["disk", "memory"] {
        let mut times = Vec::new();
        for n in 0..EMPTY_JOBS {
            let wall = Wall::start();
            check(mapred(cluster)?.args([
                "run",
                "--mode",
                mode,
                "wordcount",
                "/empty",
                &format!("/empty-{mode}-{n}"),
            ]))?;
            times.push(wall.seconds() * 1e3);
        }
        println!("job over one line, end to end, {mode:<6} {:>6.0} ms (median of {EMPTY_JOBS})", median(&mut times));
    }
    let wall = Wall::start();
    check(mapred(cluster)?.args(["run", "wordcount", "/small", "/small-out"]))?;
    let tasks = SMALL_FILES as f64 / wall.seconds();
    println!(
        "maps of one line each: {tasks:.0} a second; bare spawn and exit of the same program: {:.0} a second",
        bare()?
    );
    Ok(())
}

/// Processes a second that do nothing, on as many threads as the machine has cores.
fn bare() -> Result<f64, String> {
    let program = program("mammoth")?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let wall = Wall::start();
    std::thread::scope(|scope| {
        let work = || -> Result<(), String> {
            for _ in 0..SMALL_FILES / threads {
                check(Command::new(&program).arg("--version"))?;
            }
            Ok(())
        };
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        all.into_iter().try_for_each(|one| one.join().unwrap_or_else(|_| Err("a thread panicked".to_owned())))
    })?;
    Ok((SMALL_FILES / threads * threads) as f64 / wall.seconds())
}

fn mapred(cluster: &Cluster) -> Result<Command, String> {
    let mut command = Command::new(program("mapred")?);
    at(cluster, &mut command)?;
    Ok(command)
}

/// Points a command at the cluster.
fn at<'a>(cluster: &Cluster, command: &'a mut Command) -> Result<&'a mut Command, String> {
    let fs = format!("hdfs://{}", cluster.namenode("rpc")?);
    let jobtracker = format!("http://{}", cluster.jobtracker("http")?);
    Ok(command.env("MAMMOTH_FS", fs).env("MAMMOTH_JOBTRACKER", jobtracker).stdin(Stdio::null()))
}

/// Writes lines of ten words, of which few are frequent and many rare, as in texts; answers how many words.
fn write_text(path: &Path, bytes: u64) -> std::io::Result<u64> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let (mut written, mut words) = (0, 0);
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut line = Vec::new();
    while written < bytes {
        line.clear();
        for _ in 0..10 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // Log-uniform, which makes the n-th word's frequency go with 1/n.
            let exponent = (state >> 11) as f64 / (1_u64 << 53) as f64;
            let rank = (VOCABULARY as f64).powf(exponent) as u64;
            word(rank, &mut line);
            line.push(b' ');
        }
        line.pop();
        line.push(b'\n');
        out.write_all(&line)?;
        written += line.len() as u64;
        words += 10;
    }
    out.flush()?;
    Ok(words)
}

/// The word of a rank: frequent ones are short.
fn word(rank: u64, line: &mut Vec<u8>) {
    const SYLLABLES: [&str; 16] =
        ["ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "ri", "so", "tu", "ve"];
    let mut rest = rank;
    loop {
        line.extend_from_slice(SYLLABLES[(rest % 16) as usize].as_bytes());
        rest /= 16;
        if rest == 0 {
            return;
        }
    }
}
