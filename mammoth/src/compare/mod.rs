//! `mammoth compare`: the same work on disk, in memory, and in a plain loop, over the same bytes of the same file system.
//!
//! The engines are run as any user runs them, by a driver process; what they did is read from where everybody can read it:
//! the counters of the job and the events of the application.

mod measure;
mod plain;
mod table;

use crate::args::Compare;
use crate::embedded::Embedded;
use crate::layout::{ClusterDir, Plan};
use crate::up;
use mammoth_client::{ClientConfig, ClientError, CreateOptions, DfsClient, JobClient};
use mammoth_platform::{Settings, Shutdown, signals, telemetry};
use mammoth_protocol::DfsPath;
use measure::Mode;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

pub use table::Column;

/// A cluster to compare on.
pub struct Place {
    /// `hdfs://host:port`.
    pub fs: String,
    /// `http://host:port`.
    pub jobtracker: String,
    /// Settings, with `fs.defaultFS` set. What was given goes to the drivers.
    pub settings: Settings,
}

impl Place {
    fn files(&self) -> Result<DfsClient, String> {
        ClientConfig::from_settings(&self.settings).and_then(DfsClient::connect).map_err(text)
    }

    /// The cluster that a plan describes.
    ///
    /// # Errors
    /// A plan without a namenode or jobtracker.
    pub fn of_plan(plan: &Plan, settings: &Settings) -> Result<Self, String> {
        let rpc = plan.namenode().and_then(|namenode| namenode.addrs.rpc).ok_or("the plan has no namenode")?;
        let jobtracker = plan.jobtracker().ok_or("the cluster has no jobtracker")?.addrs.http;
        let (fs, jobtracker) = (format!("hdfs://{rpc}"), format!("http://{jobtracker}"));
        let mut settings = settings.clone();
        settings.set("fs.defaultFS", &fs);
        Ok(Self { fs, jobtracker, settings })
    }
}

fn text(error: ClientError) -> String {
    error.to_string()
}

/// Runs the command.
///
/// # Errors
/// One line: wrong arguments, no such input, a job that failed, results that differ.
pub fn run(args: &Compare) -> Result<(), String> {
    let example = plain::Example::parse(&args.example, &args.args)?;
    let settings = crate::daemon::load_settings(&args.settings)?;
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    match (variable("MAMMOTH_FS"), variable("MAMMOTH_JOBTRACKER")) {
        (Some(fs), Some(jobtracker)) => {
            let mut settings = settings;
            settings.set("fs.defaultFS", &fs);
            let place = Place { fs, jobtracker, settings };
            let input = args.args.first().ok_or("compare: which input?")?;
            show(&place, &example, input, args.json)
        }
        _ => on_own_cluster(args, &example, &settings),
    }
}

/// Starts a cluster for the occasion and stores the local input in it.
fn on_own_cluster(args: &Compare, example: &plain::Example, settings: &Settings) -> Result<(), String> {
    let local = args.args.first().ok_or("compare: which input?")?;
    File::open(local).map_err(|e| format!("{local}: {e} (no cluster in MAMMOTH_FS: the input is a local file)"))?;
    let temp = tempfile::Builder::new().prefix("mammoth-compare-").tempdir().map_err(|e| e.to_string())?;
    let dir = ClusterDir::create(temp.path()).map_err(|e| e.to_string())?;
    telemetry::start(Some(&dir.log("up"))).map_err(|e| e.to_string())?;
    let stop = Shutdown::new();
    signals::on_terminate(&stop).map_err(|e| e.to_string())?;
    let plan = up::plan_for(&dir, &crate::args::Up::temporary(temp.path(), 3, args.settings.clone()))?;
    let mut settings = settings.clone();
    dir.offer_short_circuit(&mut settings);
    let mut cluster = Embedded::start(&dir, &plan, &settings)?;
    let result = cluster.wait_ready(up::READY_LIMIT, &stop).and_then(|()| {
        let place = Place::of_plan(&plan, &settings)?;
        let target = DfsPath::parse("/input/text").map_err(|e| e.to_string())?;
        store(&place.files()?, Path::new(local), &target)?;
        show(&place, example, target.as_str(), args.json)
    });
    cluster.stop();
    result
}

fn store(client: &DfsClient, local: &Path, target: &DfsPath) -> Result<(), String> {
    let mut source = File::open(local).map_err(|e| format!("{}: {e}", local.display()))?;
    let mut writer = client.create(target, CreateOptions::overwriting()).map_err(text)?;
    std::io::copy(&mut source, &mut writer).map_err(|e| format!("{}: {e}", local.display()))?;
    writer.close().map(drop).map_err(text)
}

fn show(place: &Place, example: &plain::Example, input: &str, as_json: bool) -> Result<(), String> {
    let columns = compare(place, example, input)?;
    let text = match as_json {
        true => serde_json::to_string_pretty(&columns).map_err(|e| e.to_string())? + "\n",
        false => table::render(&columns),
    };
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| format!("standard output: {e}"))
}

/// Runs an example three times and checks that the results are the same.
///
/// # Errors
/// One line: no such input, a job that failed, results that differ.
pub fn compare(place: &Place, example: &plain::Example, input: &str) -> Result<Vec<Column>, String> {
    let files = place.files()?;
    let jobs = JobClient::connect(&place.jobtracker).map_err(text)?;
    let plain = example.run(&files, input)?;
    let mut columns = Vec::new();
    for mode in [Mode::Disk, Mode::Memory] {
        let output = DfsPath::parse(&format!("/tmp/mammoth-compare/{}-{}", std::process::id(), mode.name()))
            .map_err(|e| e.to_string())?;
        let column = measure::engine(place, &jobs, example, input, &output, mode)?;
        let lines = result_lines(&files, &output)?;
        files.delete(&output, true).map_err(text)?;
        if lines != plain.lines {
            return Err(format!("{}: the result differs from that of the plain loop", mode.name()));
        }
        columns.push(column);
    }
    columns.push(plain.column);
    Ok(columns)
}

/// All lines of a job's output, sorted.
fn result_lines(files: &DfsClient, output: &DfsPath) -> Result<Vec<Vec<u8>>, String> {
    let mut lines = Vec::new();
    for status in files.list_all(output).map_err(text)? {
        if !status.name().starts_with("part-") {
            continue;
        }
        let mut bytes = Vec::new();
        let mut reader = files.open(&status.path).map_err(text)?;
        reader.read_to_end(&mut bytes).map_err(|e| format!("{}: {e}", status.path))?;
        lines.extend(bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec));
    }
    lines.sort_unstable();
    Ok(lines)
}

/// The demo's comparison: counts the words of what it stored.
///
/// # Errors
/// As [`compare`].
pub fn demo(place: &Place, input: &str) -> Result<String, String> {
    let example = plain::Example::WordCount;
    Ok(table::render(&compare(place, &example, input)?))
}
