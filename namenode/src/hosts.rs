//! The operator's files about datanodes: who may be here, who is to leave, who may be away for a while.
//!
//! `dfs.hosts` and `dfs.hosts.exclude` name one host a line, `#` begins a comment; `dfs.hosts` may also be Hadoop's JSON list
//! of hosts with their states. A host is a name or an address, with the transfer port if only one datanode there is meant.
//! They are read at the start and when the operator says so, never in between.

use mammoth_namenode_core::api::{AdminWish, HostName, HostRules};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

/// Names that are looked up at a time.
const LOOKUPS_MAX: usize = 16;
/// Longest file of hosts, bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Where the operator's files are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFiles {
    /// `dfs.hosts`.
    pub include: Option<PathBuf>,
    /// `dfs.hosts.exclude`.
    pub exclude: Option<PathBuf>,
}

/// One host of Hadoop's JSON list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    host_name: String,
    #[serde(default)]
    port: u16,
    #[serde(default)]
    admin_state: Option<String>,
    #[serde(default, rename = "maintenanceExpireTimeInMS")]
    maintenance_expire_ms: Option<Number>,
}

/// A number, which Hadoop writes with quotes or without.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Plain(u64),
    Quoted(String),
}

impl HostFiles {
    /// Reads the files, and asks the system for the addresses of the names in them: a datanode is meant by its name and by any
    /// address of it. That may take seconds where a name server is slow, so it is nothing for the core's thread.
    ///
    /// # Errors
    /// A file that cannot be read, or makes no sense; names it and the place.
    pub fn read(&self) -> Result<HostRules, String> {
        let mut rules = self.read_as_written()?;
        with_addresses(&mut rules, &addresses_of);
        Ok(rules)
    }

    fn read_as_written(&self) -> Result<HostRules, String> {
        let mut rules = HostRules::default();
        if let Some(path) = &self.include {
            let text = read(path)?;
            if text.trim_start().starts_with(['[', '{']) {
                json(&text, &mut rules).map_err(|what| format!("{}: {what}", path.display()))?;
            } else {
                rules.included = lines(path, &text)?;
            }
        }
        if let Some(path) = &self.exclude {
            let hosts = lines(path, &read(path)?)?;
            rules.wishes.extend(hosts.into_iter().map(|host| (host, AdminWish::Decommissioned)));
        }
        Ok(rules)
    }
}

/// Adds to every name its addresses, right behind it, as HDFS resolves them when the files are read. A name without any is
/// compared as it is.
fn with_addresses(rules: &mut HostRules, lookup: &(impl Fn(&str) -> Vec<IpAddr> + Sync)) {
    let named = rules.included.iter().chain(rules.wishes.iter().map(|(host, _)| host));
    let names: BTreeSet<&str> =
        named.map(|host| host.host.as_str()).filter(|host| host.parse::<IpAddr>().is_err()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let share = names.len().div_ceil(LOOKUPS_MAX).max(1);
    let found: BTreeMap<String, Vec<IpAddr>> = std::thread::scope(|scope| {
        let ask = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), lookup(name))).collect::<Vec<_>>();
        let asked: Vec<_> = names.chunks(share).map(|names| scope.spawn(move || ask(names))).collect();
        asked.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    });
    let addresses = |host: &HostName| {
        if let Ok(ip) = host.host.parse::<IpAddr>() {
            // However it was spelled.
            return vec![HostName { host: ip.to_canonical().to_string(), port: host.port }];
        }
        let found = found.get(&host.host).map(Vec::as_slice).unwrap_or_default();
        let named = found.iter().map(|ip| HostName { host: ip.to_string(), port: host.port });
        std::iter::once(host.clone()).chain(named).collect::<Vec<_>>()
    };
    rules.included = rules.included.iter().flat_map(addresses).collect();
    let wishes = rules.wishes.iter();
    rules.wishes = wishes.flat_map(|(host, wish)| addresses(host).into_iter().map(|host| (host, *wish))).collect();
}

/// Every address of a name, by the system's resolver.
fn addresses_of(name: &str) -> Vec<IpAddr> {
    match (name, 0).to_socket_addrs() {
        Ok(found) => found.map(|addr| addr.ip().to_canonical()).collect(),
        Err(error) => {
            tracing::warn!(host = name, %error, "a listed host has no address, only its name is compared");
            Vec::new()
        }
    }
}

/// A file as text.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text));
    let len = file.map_err(|error| format!("{}: {error}", path.display()))?;
    if len as u64 > FILE_BYTES_MAX {
        return Err(format!("{}: longer than {FILE_BYTES_MAX} bytes", path.display()));
    }
    Ok(text)
}

/// Hosts between blanks and line ends.
fn lines(path: &Path, text: &str) -> Result<Vec<HostName>, String> {
    let mut hosts = Vec::new();
    for (nth, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        for word in line.split_whitespace() {
            let host =
                host_of(word).ok_or_else(|| format!("{}, line {}: bad port in {word}", path.display(), nth + 1))?;
            hosts.push(host);
        }
    }
    Ok(hosts)
}

/// `host`, `host:port` or an IPv6 address, with brackets if a port follows.
fn host_of(word: &str) -> Option<HostName> {
    if let Some((host, port)) = word.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let port = port.strip_prefix(':').map(str::parse).transpose().ok()?;
        return Some(HostName { host: host.to_owned(), port });
    }
    match word.split_once(':') {
        Some((host, port)) if !port.contains(':') => {
            Some(HostName { host: host.to_owned(), port: Some(port.parse().ok()?) })
        }
        _ => Some(HostName { host: word.to_owned(), port: None }),
    }
}

/// A list of hosts, or one after the other as early Hadoop wrote them.
fn json(text: &str, rules: &mut HostRules) -> Result<(), String> {
    let entries: Vec<Entry> = if text.trim_start().starts_with('[') {
        serde_json::from_str(text).map_err(|error| error.to_string())?
    } else {
        let all = serde_json::Deserializer::from_str(text).into_iter();
        all.collect::<Result<_, _>>().map_err(|error| error.to_string())?
    };
    let mut serving = false;
    for entry in entries {
        let host = HostName { host: entry.host_name, port: (entry.port != 0).then_some(entry.port) };
        let until = match entry.maintenance_expire_ms {
            None => None,
            Some(Number::Plain(ms)) => Some(ms),
            Some(Number::Quoted(text)) => {
                Some(text.parse().map_err(|_| format!("{}: bad maintenanceExpireTimeInMS `{text}`", host.host))?)
            }
        };
        rules.included.push(host.clone());
        match entry.admin_state.as_deref() {
            None | Some("NORMAL" | "IN_SERVICE") => serving = true,
            Some("DECOMMISSIONED") => rules.wishes.push((host, AdminWish::Decommissioned)),
            Some("IN_MAINTENANCE") => rules.wishes.push((host, AdminWish::InMaintenance { until_wall_ms: until })),
            Some(other) => {
                let all = "NORMAL, DECOMMISSIONED or IN_MAINTENANCE";
                return Err(format!("{}: adminState is `{other}`, expected {all}", host.host));
            }
        }
    }
    if !serving {
        // As in Hadoop: a list that names nobody who is to serve lets everybody.
        rules.included.clear();
    }
    Ok(())
}

/// For [`crate::fuzzing`].
pub(crate) fn fuzz(text: &str) {
    let mut rules = HostRules::default();
    let _ = json(text, &mut rules);
    let _ = lines(Path::new("hosts"), text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use mammoth_protocol::internal::DatanodeAddr;
    use std::fs;

    fn rules(include: &str, exclude: &str) -> Result<HostRules, String> {
        let dir = tempfile::tempdir().expect("a folder");
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).expect("written");
            (!text.is_empty()).then_some(path)
        };
        HostFiles { include: file("include", include), exclude: file("exclude", exclude) }.read_as_written()
    }

    fn host(host: &str, port: Option<u16>) -> HostName {
        HostName { host: host.to_owned(), port }
    }

    #[test]
    fn lists_of_lines() {
        let read = rules("a b:9866 # c\n\n# d\n[::1]:1\n::2\n10.0.0.1", "b\n").expect("good");
        let included = [host("a", None), host("b", Some(9866)), host("::1", Some(1)), host("::2", None)];
        assert_eq!(read.included[..4], included);
        assert_eq!((read.included.len(), read.wishes), (5, vec![(host("b", None), AdminWish::Decommissioned)]));
        assert_eq!(rules("", ""), Ok(HostRules::default()));
        let refused = rules("a\nb:x", "").expect_err("a bad port");
        assert!(refused.ends_with("include, line 2: bad port in b:x"), "{refused}");
        let files = HostFiles { include: Some("/none/such".into()), exclude: None };
        assert!(files.read().expect_err("missing").starts_with("/none/such: "));
    }

    #[test]
    fn hadoops_json() {
        let text = r#"[{"hostName": "a"}, {"hostName": "b", "port": 5, "adminState": "DECOMMISSIONED"},
            {"hostName": "c", "adminState": "IN_MAINTENANCE", "maintenanceExpireTimeInMS": "17"},
            {"hostName": "d", "adminState": "IN_MAINTENANCE", "upgradeDomain": "x"}]"#;
        let read = rules(text, "").expect("good");
        assert_eq!(read.included.len(), 4);
        let wishes = [
            (host("b", Some(5)), AdminWish::Decommissioned),
            (host("c", None), AdminWish::InMaintenance { until_wall_ms: Some(17) }),
            (host("d", None), AdminWish::InMaintenance { until_wall_ms: None }),
        ];
        assert_eq!(read.wishes, wishes);
        let alone = rules(r#"{"hostName": "b", "adminState": "DECOMMISSIONED"}"#, "").expect("good");
        assert_eq!((alone.included.len(), alone.wishes.len()), (0, 1));
        assert!(rules(r#"[{"hostName": "b", "adminState": "GONE"}]"#, "").expect_err("a bad state").contains("`GONE`"));
        assert!(rules("[{]", "").is_err());
    }

    fn addr(ip: &str, hostname: &str, transfer_port: u16) -> DatanodeAddr {
        let ip = ip.parse().expect("an address");
        DatanodeAddr { ip, hostname: hostname.to_owned(), transfer_port, info_port: 0, ipc_port: 0 }
    }

    #[test]
    fn a_name_means_its_addresses_too() {
        let mut read = rules("dn1 dn2:9866 nowhere 10.0.0.9 fd00:0::0:2", "dn1:5").expect("good");
        let lookup = |name: &str| match name {
            "dn1" => vec!["10.0.0.1".parse().expect("an address"), "fd00::1".parse().expect("an address")],
            "dn2" => vec!["10.0.0.2".parse().expect("an address")],
            "nowhere" => Vec::new(),
            other => panic!("{other} is an address, which nobody looks up"),
        };
        with_addresses(&mut read, &lookup);
        let serves = |ip, name, port| read.wish(&addr(ip, name, port)) == Some(AdminWish::InService);
        assert!(serves("10.0.0.1", "other", 1) && serves("fd00::1", "", 1) && serves("10.9.9.9", "dn1", 1));
        assert!(serves("10.0.0.2", "x", 9866) && !serves("10.0.0.2", "x", 9867));
        assert!(serves("fd00::2", "x", 1), "however it is spelled");
        assert!(serves("10.0.0.9", "x", 1) && serves("10.9.9.9", "NOWHERE", 1) && !serves("10.9.9.9", "x", 1));
        assert_eq!(read.wish(&addr("10.0.0.1", "other", 5)), Some(AdminWish::Decommissioned));
    }

    #[test]
    fn names_of_this_machine_are_looked_up_when_files_are_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("hosts");
        fs::write(&path, "localhost").expect("written");
        let read = HostFiles { include: Some(path), exclude: None }.read().expect("good");
        assert_eq!(read.wish(&addr("127.0.0.1", "dn", 1)), Some(AdminWish::InService), "{read:?}");
        assert_eq!(read.wish(&addr("10.0.0.1", "dn", 1)), None);
    }
}
