//! A namenode with many files: memory, restart, full reports, recursive delete, and how long others wait meanwhile.
//!
//! The namespace is written through the core and the journal; then a real namenode starts over it in a process of its own, and
//! datanodes that exist only on the wire report three replicas of every block through its internal door.

mod files;
mod fleet;
pub(crate) mod heartbeats;
pub(crate) mod namenode;
mod stall;

use crate::Scale;
use crate::meter::Wall;
use files::{DOOMED, Files};
use fleet::Fleet;
use mammoth_protocol::hadoop::hdfs;
use namenode::Namenode;
use stall::{Asking, Waited};
use std::time::Duration;

/// Replicas of a datanode, if there are enough files.
const PER_DATANODE: u64 = 1_000_000;
/// Files that are deleted in one call at most.
const DOOMED_MAX: u64 = 1_000_000;
const POLL: Duration = Duration::from_millis(20);

/// Prints the figures of a large namespace.
pub(crate) fn measure(scale: &Scale) -> Result<(), String> {
    let dir = tempfile::Builder::new().prefix("mammoth-bench-").tempdir().map_err(|e| e.to_string())?;
    let dir = dir.path().join("name");
    let files = Files { count: scale.files, doomed: (scale.files / 3).min(DOOMED_MAX) / 1000 * 1000 };
    println!("a namenode with {} files of one block, three replicas each", files.count);
    drop(Namenode::start(&dir)?);
    let wall = Wall::start();
    // In a process of its own, which gives the memory back.
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut write = std::process::Command::new(own);
    write.arg(WRITE).arg(&dir).arg(files.count.to_string()).arg(files.doomed.to_string());
    crate::cluster::check(&mut write)?;
    println!("  written through the journal, with its checkpoint {:>7.1} s", wall.seconds());

    let namenode = Namenode::start(&dir)?;
    let (loaded, cpu) = (namenode.resident(), namenode.cpu().total());
    println!("  restart: doors open after {:>6.1} s, {cpu:.1} s of CPU", namenode.seconds);
    let fleet = Fleet { files, nodes: (files.count * 3).div_ceil(PER_DATANODE).max(3) };
    idle(&namenode, files)?;
    report(&namenode, fleet, "first")?;
    let ready = wait_until_ready(&namenode)?;
    println!("  out of safe mode {ready:.1} s after the last report");
    let each = |bytes: f64| bytes / files.count as f64;
    println!(
        "  resident {:>5.0} bytes a file when loaded, {:>5.0} with its replicas, {:>5.0} at the highest",
        each(loaded),
        each(namenode.resident()),
        each(namenode.peak())
    );
    report(&namenode, fleet, "again")?;
    delete(&namenode, files)
}

/// First argument of this program when it is to write a namespace; folder and numbers of files follow.
pub(crate) const WRITE: &str = "write-a-namespace";

/// Writes a namespace, as its arguments say.
pub(crate) fn write(args: &[String]) -> Result<(), String> {
    let [dir, count, doomed] = args else { return Err(format!("{WRITE} DIR FILES DOOMED")) };
    let number = |text: &String| text.parse().map_err(|_| format!("{text}: not a number"));
    Files { count: number(count)?, doomed: number(doomed)? }.write(dir.as_ref())
}

fn line(what: &str, waited: Waited) {
    println!(
        "  {what:<46} a client's longest wait {:>6.1} ms, {} of {} calls above 50 ms",
        waited.longest_ms, waited.above_50_ms, waited.calls
    );
}

/// How long a client waits on this machine when nothing else happens.
fn idle(namenode: &Namenode, files: Files) -> Result<(), String> {
    let asking = Asking::begin(namenode, files)?;
    std::thread::sleep(Duration::from_secs(2));
    line("idle", asking.end()?);
    Ok(())
}

/// Every datanode sends a full report, one after the other.
fn report(namenode: &Namenode, fleet: Fleet, which: &str) -> Result<(), String> {
    let (mut cpu, mut seconds, mut waited) = (0.0, 0.0, Waited::default());
    for number in 0..fleet.nodes {
        let mut datanode = fleet.join(namenode.internal, number)?;
        datanode.heartbeat()?;
        let slices = datanode.slices()?;
        let asking = Asking::begin(namenode, fleet.files)?;
        let (before, wall) = (namenode.cpu().total(), Wall::start());
        slices.iter().try_for_each(|slice| datanode.send(slice))?;
        (cpu, seconds) = (cpu + namenode.cpu().total() - before, seconds + wall.seconds());
        let one = asking.end()?;
        waited.calls += one.calls;
        waited.above_50_ms += one.above_50_ms;
        waited.longest_ms = waited.longest_ms.max(one.longest_ms);
    }
    let millions = fleet.nodes as f64 * fleet.replicas() as f64 / 1e6;
    line(&format!("{} full reports ({which})", fleet.nodes), waited);
    println!(
        "    {:.2} s and {:.2} s of CPU a million replicas, the client's calls included",
        seconds / millions,
        cpu / millions
    );
    Ok(())
}

fn wait_until_ready(namenode: &Namenode) -> Result<f64, String> {
    let wall = Wall::start();
    let mut caller = namenode.caller()?;
    loop {
        let action = hdfs::SafeModeActionProto::SafemodeGet.into();
        let request = hdfs::SetSafeModeRequestProto { action, checked: None };
        let reply: hdfs::SetSafeModeResponseProto = caller.call("setSafeMode", &request)?;
        if !reply.result {
            return Ok(wall.seconds());
        }
        std::thread::sleep(POLL);
    }
}

/// Deletes a folder with many files, and watches until nothing of it is left.
fn delete(namenode: &Namenode, files: Files) -> Result<(), String> {
    let mut caller = namenode.caller()?;
    let asking = Asking::begin(namenode, files)?;
    let (before, wall) = (namenode.cpu().total(), Wall::start());
    let request = hdfs::DeleteRequestProto { src: DOOMED.to_owned(), recursive: true };
    let deleted: hdfs::DeleteResponseProto = caller.call("delete", &request)?;
    let answered = wall.seconds();
    if !deleted.result {
        return Err("the folder was not deleted".to_owned());
    }
    while namenode.figure("mammoth_namenode_files ")? > (files.count - files.doomed) as f64 {
        std::thread::sleep(POLL);
    }
    let (seconds, cpu) = (wall.seconds(), namenode.cpu().total() - before);
    line(&format!("recursive delete of {} files", files.doomed), asking.end()?);
    println!(
        "    answered after {:.1} ms; all reclaimed after {seconds:.1} s, {cpu:.1} s of CPU, the client's calls included",
        answered * 1e3
    );
    Ok(())
}
