//! `mammoth demo`: a fresh cluster in a temporary folder, real files in and out, and where to look.

use crate::args::{Demo, SettingArgs, Up};
use crate::compare::{self, Place};
use crate::embedded::Embedded;
use crate::layout::{ClusterDir, Role};
use crate::up;
use mammoth_client::{ClientConfig, CreateOptions, DfsClient};
use mammoth_platform::clock::{Clock, SystemClock};
use mammoth_platform::shutdown::Shutdown;
use mammoth_platform::{signals, telemetry};
use mammoth_protocol::DfsPath;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

const COPY_BUFFER: usize = 1024 * 1024;

/// Runs the demo.
///
/// # Errors
/// One line: a file that cannot be read, a cluster that did not start, bytes that came back different.
pub fn run(args: &Demo) -> Result<(), String> {
    for file in &args.files {
        File::open(file).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    let clock = SystemClock;
    let temp = tempfile::Builder::new().prefix("mammoth-demo-").tempdir().map_err(|e| e.to_string())?;
    let dir = ClusterDir::create(temp.path()).map_err(|e| e.to_string())?;
    telemetry::start(Some(&dir.log("up"))).map_err(|e| e.to_string())?;
    let mut settings = crate::daemon::load_settings(&args.settings)?;
    dir.offer_short_circuit(&mut settings);
    let stop = Shutdown::new();
    signals::on_terminate(&stop).map_err(|e| e.to_string())?;
    let begin = clock.monotonic_ns();
    let plan = up::plan_for(&dir, &Up::temporary(temp.path(), args.datanodes, SettingArgs::default()))?;
    let mut cluster = Embedded::start(&dir, &plan, &settings)?;
    let result = cluster.wait_ready(up::READY_LIMIT, &stop).and_then(|()| {
        let ms = (clock.monotonic_ns() - begin) / 1_000_000;
        println!(
            "A namenode, {} datanodes, a jobtracker and {} tasktrackers, ready after {ms} ms, data in {}",
            args.datanodes,
            plan.count(Role::Tasktracker),
            temp.path().display()
        );
        show(args, &plan, &settings, temp.path(), &clock)?;
        println!("\nThe words of /demo, counted on disk, in memory and by a plain loop:\n");
        print!("{}", compare::demo(&Place::of_plan(&plan, &settings)?, "/demo")?);
        where_to_go_on(&plan)
    });
    if result.is_ok() && !args.exit {
        println!("\nUp until Ctrl-C.");
        while !stop.is_triggered() && cluster.reap().is_empty() {
            let _ = stop.wait(Duration::from_millis(200));
        }
    }
    cluster.stop();
    result
}

/// Stores every file, reads it back, and says where to go on.
fn show(
    args: &Demo,
    plan: &crate::layout::Plan,
    settings: &mammoth_platform::settings::Settings,
    temp: &Path,
    clock: &SystemClock,
) -> Result<(), String> {
    let namenode = plan.daemons.first().ok_or("the plan has no namenode")?;
    let rpc = namenode.addrs.rpc.ok_or("the namenode has no RPC address")?;
    let mut settings = settings.clone();
    settings.set("fs.defaultFS", format!("hdfs://{rpc}"));
    let client = ClientConfig::from_settings(&settings).and_then(DfsClient::connect).map_err(|e| e.to_string())?;
    let folder = DfsPath::parse("/demo").map_err(|e| e.to_string())?;
    client.mkdirs(&folder, None, true).map_err(|e| e.to_string())?;
    let files = if args.files.is_empty() { vec![generate(temp)?] } else { args.files.clone() };
    println!();
    for file in &files {
        let name = file.file_name().and_then(|n| n.to_str()).ok_or_else(|| format!("{}: no name", file.display()))?;
        let target = folder.join(name).map_err(|e| e.to_string())?;
        store_and_check(&client, file, &target, clock)?;
    }
    Ok(())
}

/// Says where to look.
fn where_to_go_on(plan: &crate::layout::Plan) -> Result<(), String> {
    let namenode = plan.namenode().ok_or("the plan has no namenode")?;
    println!("\nBrowse it:   http://{}/explorer?path=/demo", namenode.addrs.http);
    println!("Status page: http://{}/", namenode.addrs.http);
    if let Some(jobtracker) = plan.jobtracker() {
        println!("Jobtracker:  http://{}/", jobtracker.addrs.http);
    }
    let rpc = namenode.addrs.rpc.ok_or("the namenode has no RPC address")?;
    println!("Use it:      dfs -fs hdfs://{rpc} ls /demo");
    Ok(())
}

fn store_and_check(client: &DfsClient, file: &Path, target: &DfsPath, clock: &SystemClock) -> Result<(), String> {
    let begin = clock.monotonic_ns();
    let options = CreateOptions { overwrite: true, ..CreateOptions::default() };
    let mut writer = client.create(target, options).map_err(|e| e.to_string())?;
    let mut source = File::open(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let mut buffer = vec![0; COPY_BUFFER];
    let mut length = 0_u64;
    loop {
        let n = source.read(&mut buffer).map_err(|e| format!("{}: {e}", file.display()))?;
        if n == 0 {
            break;
        }
        writer.write_all(&buffer[..n]).map_err(|e| e.to_string())?;
        length += n as u64;
    }
    writer.close().map_err(|e| e.to_string())?;
    let stored = clock.monotonic_ns();
    compare(client, file, target, &mut buffer)?;
    let read = clock.monotonic_ns();
    let status = client.file_info(target).map_err(|e| e.to_string())?.ok_or("the file is gone")?;
    let blocks = length.div_ceil(status.block_size.max(1));
    println!(
        "{target}  {length} bytes in {blocks} block{} on {} datanodes each: stored in {} ms, read back identical in {} ms",
        if blocks == 1 { "" } else { "s" },
        status.replication,
        (stored - begin) / 1_000_000,
        (read - stored) / 1_000_000,
    );
    Ok(())
}

fn compare(client: &DfsClient, file: &Path, target: &DfsPath, buffer: &mut [u8]) -> Result<(), String> {
    let mut reader = client.open(target).map_err(|e| e.to_string())?;
    let mut source = File::open(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let mut expected = vec![0; buffer.len()];
    loop {
        let n = reader.read(buffer).map_err(|e| e.to_string())?;
        if n == 0 {
            break;
        }
        source.read_exact(&mut expected[..n]).map_err(|e| format!("{target} is longer than its source: {e}"))?;
        if buffer[..n] != expected[..n] {
            return Err(format!("{target} came back different from {}", file.display()));
        }
    }
    match source.read(&mut expected[..1]) {
        Ok(0) => Ok(()),
        _ => Err(format!("{target} came back shorter than {}", file.display())),
    }
}

/// A text of some megabytes, so that the demo needs no input.
fn generate(temp: &Path) -> Result<PathBuf, String> {
    let path = temp.join("words.txt");
    let words = ["block", "replica", "lease", "stamp", "pipeline", "namenode", "datanode", "split", "stage", "mammoth"];
    let mut text = String::new();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    while text.len() < 8 * 1024 * 1024 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let index = usize::try_from(state >> 60).unwrap_or_default() % words.len();
        text.push_str(words[index]);
        text.push(if state >> 40 & 7 == 0 { '\n' } else { ' ' });
    }
    std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(path)
}
