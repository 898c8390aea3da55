//! Racks of datanodes, as the operator's table or script says. The core is told the rack with the registration and never
//! asks; a script runs in a thread of the doors, one address at a time, and not for long.
//!
//! Without table and script a datanode's own word counts (`mammoth.datanode.rack`).

use crate::hosts::read;
use mammoth_platform::{Deadline, SystemClock};
use mammoth_protocol::internal::DatanodeAddr;
use std::collections::HashMap;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The rack of a datanode of which nothing is known.
pub const DEFAULT_RACK: &str = "/default-rack";
/// Time that a script has: well below what a datanode waits for the answer to its registration.
const SCRIPT_LIMIT: Duration = Duration::from_secs(3);
/// Pause between two looks whether a script that has answered has ended.
const LOOK_PAUSE: Duration = Duration::from_millis(5);
/// Longest answer of a script, bytes.
const ANSWER_BYTES_MAX: u64 = 4096;
/// Longest rack, bytes.
const RACK_BYTES_MAX: usize = 255;
/// Most racks remembered.
const REMEMBERED_MAX: usize = 10_000;

/// Who says in which rack a datanode is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RackSource {
    /// The datanode.
    #[default]
    Datanode,
    /// A file of two columns, address and rack.
    Table(PathBuf),
    /// A program that is given an address and prints a rack.
    Script(PathBuf),
}

/// Finds and remembers racks; clones share the memory.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    source: Arc<RackSource>,
    known: Arc<Mutex<HashMap<SocketAddr, String>>>,
}

impl Topology {
    /// Nothing remembered yet.
    #[must_use]
    pub fn new(source: RackSource) -> Self {
        Self { source: Arc::new(source), known: Arc::default() }
    }

    /// The rack of a datanode that says of itself that it is in `told`. One that cannot be found out is the default one, and
    /// is asked for again at the next registration.
    pub async fn rack_of(&self, addr: &DatanodeAddr, told: &str) -> String {
        if *self.source == RackSource::Datanode {
            return told.to_owned();
        }
        let key = SocketAddr::new(addr.ip, addr.transfer_port);
        if let Some(rack) = self.remembered(key) {
            return rack;
        }
        let (own, datanode) = (self.clone(), addr.clone());
        // Reads a file or waits for a program, which must not hold up other datanodes. Whoever asked may have gone meanwhile,
        // and asks again: what was found is remembered in any case.
        let search = move || find(&own.source, &datanode).inspect(|rack| own.remember(key, rack));
        let found = tokio::task::spawn_blocking(search).await;
        match found.unwrap_or_else(|_| Err("the search was cut short".to_owned())) {
            Ok(rack) => rack,
            Err(reason) => {
                tracing::warn!(datanode = %key, reason, "no rack found, taking {DEFAULT_RACK}");
                DEFAULT_RACK.to_owned()
            }
        }
    }

    /// Forgets all racks: table and script are asked again when datanodes register.
    pub fn forget(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn remembered(&self, key: SocketAddr) -> Option<String> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    fn remember(&self, key: SocketAddr, rack: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(key, rack.to_owned());
    }
}

fn find(source: &RackSource, addr: &DatanodeAddr) -> Result<String, String> {
    match source {
        RackSource::Datanode => Ok(DEFAULT_RACK.to_owned()),
        RackSource::Table(path) => in_table(&read(path)?, addr),
        RackSource::Script(path) => checked(&answer_of(path, &addr.ip.to_string(), SCRIPT_LIMIT)?),
    }
}

/// The rack that a table gives: to this very datanode, else to its host. Lines of other than two columns mean nothing.
fn in_table(table: &str, addr: &DatanodeAddr) -> Result<String, String> {
    let (ip, host, port) = (addr.ip.to_string(), &addr.hostname, addr.transfer_port);
    let names = [format!("{ip}:{port}"), format!("[{ip}]:{port}"), format!("{host}:{port}"), ip.clone(), host.clone()];
    let rows = || {
        let lines = table.lines().filter(|line| !line.trim_start().starts_with('#'));
        lines.filter_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
            [name, rack] => Some((name, rack)),
            _ => None,
        })
    };
    let found = names.iter().find_map(|name| rows().find(|(of, _)| of == name));
    found.map_or_else(|| Ok(DEFAULT_RACK.to_owned()), |(_, rack)| checked(rack))
}

/// A rack as it may be used.
fn checked(text: &str) -> Result<String, String> {
    let rack = text.trim().trim_end_matches('/');
    let bad = |c: char| c.is_control() || c.is_whitespace();
    if rack.starts_with('/') && rack.len() <= RACK_BYTES_MAX && !rack.contains(bad) {
        return Ok(rack.to_owned());
    }
    Err(format!("`{}` is no rack, expected a path such as /rack-1", text.trim().chars().take(80).collect::<String>()))
}

/// What a program prints for an argument. One that takes too long, to answer or to end, is killed.
fn answer_of(script: &Path, argument: &str, limit: Duration) -> Result<String, String> {
    let deadline = Deadline::after(&SystemClock, limit);
    let failed = |what: String| format!("{} {argument}: {what}", script.display());
    let mut command = Command::new(script);
    command.arg(argument).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let stdout = child.stdout.take();
    let (sender, receiver) = sync_channel(1);
    let reader = std::thread::Builder::new().name("rack-script".to_owned()).spawn(move || {
        let mut text = String::new();
        let read = stdout.map(|out| out.take(ANSWER_BYTES_MAX).read_to_string(&mut text));
        // Nobody waits any more if it took too long.
        let _ = sender.send(read.is_some_and(|read| read.is_ok()).then_some(text));
    });
    let answer = match reader {
        Ok(_) => receiver.recv_timeout(limit).map_err(|_| failed(format!("no answer within {} s", limit.as_secs()))),
        Err(error) => Err(failed(error.to_string())),
    };
    if answer.is_err() {
        // It may have ended by itself meanwhile.
        let _ = child.kill();
    }
    let status = loop {
        match child.try_wait().map_err(|error| failed(error.to_string()))? {
            Some(status) => break status,
            None if deadline.left(&SystemClock).is_zero() => {
                let _ = child.kill();
                break child.wait().map_err(|error| failed(error.to_string()))?;
            }
            None => std::thread::sleep(LOOK_PAUSE),
        }
    };
    let text = answer?.ok_or_else(|| failed("its answer is no text".to_owned()))?;
    if status.success() { Ok(text) } else { Err(failed(format!("ended with {status}"))) }
}

/// For [`crate::fuzzing`].
pub(crate) fn fuzz(table: &str) {
    let addr = DatanodeAddr {
        ip: std::net::Ipv4Addr::LOCALHOST.into(),
        hostname: "h1".to_owned(),
        transfer_port: 1001,
        info_port: 0,
        ipc_port: 0,
    };
    if let Ok(rack) = in_table(table, &addr) {
        assert!(rack.starts_with('/') && rack.len() <= RACK_BYTES_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn addr(port: u16) -> DatanodeAddr {
        let ip = "10.0.0.7".parse().expect("an address");
        DatanodeAddr { ip, hostname: "dn7".to_owned(), transfer_port: port, info_port: 1, ipc_port: 2 }
    }

    fn script(dir: &Path, text: &str) -> PathBuf {
        let path = dir.join("rack.sh");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("allowed");
        path
    }

    #[test]
    fn a_table_names_datanodes_hosts_and_addresses() {
        let table = "# comment\n10.0.0.7 /a/\n\ndn7:9 /b\n10.0.0.7:8 /c\nbroken\n";
        for (port, rack) in [(1, "/a"), (9, "/b"), (8, "/c")] {
            assert_eq!(in_table(table, &addr(port)).as_deref(), Ok(rack));
        }
        assert_eq!(in_table("10.0.0.8 /a", &addr(1)).as_deref(), Ok(DEFAULT_RACK));
        assert!(in_table("dn7 rack", &addr(1)).expect_err("no path").contains("`rack` is no rack"));
    }

    #[test]
    fn a_script_is_given_the_address_and_not_much_time() {
        let dir = tempfile::tempdir().expect("a folder");
        let ask = |text: &str, limit| answer_of(&script(dir.path(), text), "10.0.0.7", limit);
        let long = Duration::from_secs(60);
        assert_eq!(ask("echo /rack-$1", long).and_then(|text| checked(&text)).as_deref(), Ok("/rack-10.0.0.7"));
        assert!(ask("exit 3", long).expect_err("failed").contains("exit status: 3"));
        let slow = ask("exec sleep 600", Duration::from_millis(50)).expect_err("too slow");
        assert!(slow.ends_with("no answer within 0 s"), "{slow}");
        let idle = ask("echo /r; exec >&-; exec sleep 600", Duration::from_millis(500)).expect_err("it does not end");
        assert!(idle.contains("signal"), "{idle}");
        assert!(answer_of(&dir.path().join("none"), "x", long).is_err());
    }

    #[tokio::test]
    async fn racks_are_remembered_until_they_are_to_be_forgotten() {
        let dir = tempfile::tempdir().expect("a folder");
        let table = dir.path().join("table");
        let write = |rack: &str| fs::write(&table, format!("dn7 {rack}")).expect("written");
        write("/one");
        let topology = Topology::new(RackSource::Table(table.clone()));
        assert_eq!(topology.rack_of(&addr(1), "/told").await, "/one");
        write("/two");
        assert_eq!(topology.rack_of(&addr(1), "/told").await, "/one");
        topology.forget();
        assert_eq!(topology.rack_of(&addr(1), "/told").await, "/two");
        write("nonsense");
        topology.forget();
        assert_eq!(topology.rack_of(&addr(1), "/told").await, DEFAULT_RACK);
        write("/three");
        assert_eq!(topology.rack_of(&addr(1), "/told").await, "/three", "a failure is not remembered");
        assert_eq!(Topology::default().rack_of(&addr(1), "/told").await, "/told");
    }
}
