//! One engine's column: its driver as a process, then what the jobtracker knows of it.

use super::plain::Example;
use super::table::Column;
use super::{Place, text};
use mammoth_client::JobClient;
use mammoth_platform::settings::Origin;
use mammoth_platform::{Clock, Settings, SystemClock, keys};
use mammoth_protocol::DfsPath;
use mammoth_protocol::jobs::counters::names;
use mammoth_protocol::jobs::fold::AppFold;
use mammoth_protocol::jobs::link::{ROLE_VARIABLE, Role};
use mammoth_protocol::jobs::{AppId, Counters, JobId};
use std::collections::BTreeSet;
use std::process::{Command, Stdio};

/// Which engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Disk,
    Memory,
}

impl Mode {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Memory => "memory",
        }
    }
}

/// Runs an example in a mode and measures it.
pub(super) fn engine(
    place: &Place,
    jobs: &JobClient,
    example: &Example,
    input: &str,
    output: &DfsPath,
    mode: Mode,
) -> Result<Column, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let began = SystemClock.monotonic_ns();
    let mut driver = Command::new(program);
    driver
        .args(example.job_args(input, output.as_str()))
        .env(ROLE_VARIABLE, Role::Driver.name())
        .env("MAMMOTH_MODE", mode.name())
        .env("MAMMOTH_FS", &place.fs)
        .env("MAMMOTH_JOBTRACKER", &place.jobtracker)
        .env("MAMMOTH_SETTINGS", given(&place.settings)?)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let before = children_cpu_us();
    let said = driver.output().map_err(|e| e.to_string())?;
    let driver_cpu_us = children_cpu_us().saturating_sub(before);
    let wall_us = (SystemClock.monotonic_ns() - began) / 1000;
    let stderr = String::from_utf8_lossy(&said.stderr);
    if !said.status.success() {
        let last = stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").trim();
        return Err(format!("{} in {} failed: {last}", example.job_args("", "")[0], mode.name()));
    }
    let mut column = match mode {
        Mode::Disk => {
            // Grep is two jobs, one after the other.
            let mut counters = Counters::default();
            for job in named::<JobId>(&stderr, "job_")? {
                counters.merge(&jobs.status(job).map_err(text)?.counters);
            }
            of_counters(&counters)
        }
        Mode::Memory => {
            let mut column = Column::default();
            for app in named::<AppId>(&stderr, "application_")? {
                column = of_fold(&AppFold::of(&jobs.app_events(app).map_err(text)?));
            }
            column
        }
    };
    column.name = match mode {
        Mode::Disk => "on disk".to_owned(),
        Mode::Memory => "in memory".to_owned(),
    };
    column.wall_us = wall_us;
    column.cpu_us += driver_cpu_us;
    Ok(column)
}

/// What the user gave, for a driver that knows nothing of this process's command line.
fn given(settings: &Settings) -> Result<String, String> {
    let by_user = settings.iter().filter(|(_, _, origin)| matches!(origin, Origin::CommandLine | Origin::File { .. }));
    // Which cluster, variables say.
    let others = by_user.filter(|(name, _, _)| *name != keys::MAPREDUCE_JOBTRACKER_HTTP_ADDRESS.name());
    let pairs: Vec<String> = others.map(|(name, value, _)| format!("{name}={value}")).collect();
    serde_json::to_string(&pairs).map_err(|e| e.to_string())
}

/// The ids with that prefix in what a driver said, each once.
fn named<T: std::str::FromStr + Ord>(stderr: &str, prefix: &str) -> Result<BTreeSet<T>, String> {
    let words = stderr.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ids: BTreeSet<T> = words.filter(|word| word.starts_with(prefix)).filter_map(|word| word.parse().ok()).collect();
    if ids.is_empty() { Err(format!("the driver named no {prefix}…")) } else { Ok(ids) }
}

/// Processor time of children that ended, microseconds.
fn children_cpu_us() -> u64 {
    // Fields 16 and 17 of /proc/self/stat, in ticks of a hundredth of a second on Linux.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let fields: Vec<u64> = after.split_whitespace().skip(13).take(2).filter_map(|field| field.parse().ok()).collect();
    fields.iter().sum::<u64>() * 10_000
}

fn of_counters(counters: &Counters) -> Column {
    let get = |group: &str, name: &str| u64::try_from(counters.get(group, name)).unwrap_or(0);
    let framework = |name: &str| get(names::FRAMEWORK, name);
    let phases = counters.groups.get(names::PHASES).into_iter().flatten();
    Column {
        cpu_us: framework(names::CPU_MILLISECONDS) * 1000,
        task_us: framework(names::TASK_MILLISECONDS) * 1000,
        dfs_read: get(names::FILE_SYSTEM, names::HDFS_BYTES_READ),
        dfs_written: get(names::FILE_SYSTEM, names::HDFS_BYTES_WRITTEN),
        spilled: framework(names::SPILLED_BYTES),
        shuffled: framework(names::REDUCE_SHUFFLE_BYTES),
        phases: phases.map(|(name, us)| (name.clone(), u64::try_from(*us).unwrap_or(0))).collect(),
        ..Column::default()
    }
}

fn of_fold(fold: &AppFold) -> Column {
    let total = &fold.total;
    Column {
        cpu_us: total.cpu_us,
        task_us: total.wall_us,
        dfs_read: total.dfs_read,
        dfs_written: total.dfs_written,
        spilled: total.spilled,
        shuffled: total.shuffle_read,
        held: fold.cached_peak.max(total.memory_peak),
        phases: total.phases.clone(),
        ..Column::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_get_what_the_user_gave() {
        let mut settings = Settings::load(
            None,
            &["mapreduce.job.reduces=3", "mapreduce.jobtracker.http.address=x:1"].map(str::to_owned),
        )
        .unwrap();
        settings.set("fs.defaultFS", "hdfs://a:1");
        assert_eq!(given(&settings).unwrap(), r#"["mapreduce.job.reduces=3"]"#);
    }

    #[test]
    fn ids_are_found_in_what_a_driver_says() {
        let said = "x\nRunning job: job_17_0003\n map 0% reduce 0%\nJob job_17_0003 completed successfully\n";
        assert_eq!(named::<JobId>(said, "job_"), Ok([JobId { cluster_ms: 17, number: 3 }].into()));
        assert!(named::<AppId>(said, "application_").is_err());
    }
}
