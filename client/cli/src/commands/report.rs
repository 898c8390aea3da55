//! `admin report`: the figures of the cluster and of each datanode.

use super::Outcome;
use crate::args::Format;
use crate::format::{Dates, described, percent};
use crate::session::Session;
use mammoth_client::{AdminState, DatanodeInfo, DfsClient, FsStats, ReportKind, SafeModeAction};
use serde::Serialize;
use std::fmt::Write as _;

/// The kinds of datanodes in the order of the report, and the options that ask for one kind alone.
const KINDS: [(&str, ReportKind, &str); 5] = [
    ("live", ReportKind::Live, "Live"),
    ("dead", ReportKind::Dead, "Dead"),
    ("decommissioning", ReportKind::Decommissioning, "Decommissioning"),
    ("enteringmaintenance", ReportKind::EnteringMaintenance, "Entering maintenance"),
    ("inmaintenance", ReportKind::InMaintenance, "In maintenance"),
];
/// Nobody needs to be told that a datanode is in this rack.
const DEFAULT_RACK: &str = "/default-rack";

/// `admin report`.
pub(super) fn run(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let flags = &["live", "dead", "decommissioning", "enteringmaintenance", "inmaintenance", "-json"];
    let parsed = Format::new(0, 0, flags).parse(args)?;
    let asked = KINDS.iter().any(|(flag, ..)| parsed.has(flag));
    let kinds: Vec<_> = KINDS.iter().filter(|(flag, ..)| !asked || parsed.has(flag)).collect();
    let client = session.systems.client()?;
    if parsed.has("-json") {
        let kinds: Vec<_> = kinds.iter().map(|(flag, kind, _)| (*flag, *kind)).collect();
        return json(session, &client, &kinds);
    }
    let stats = client.fs_stats()?;
    let safe_mode = client.safe_mode(SafeModeAction::Get)?;
    session.print(totals(&stats, safe_mode))?;
    let dates = Dates::local();
    for (_, kind, name) in kinds {
        let nodes = client.datanode_report(*kind)?;
        if asked || !nodes.is_empty() {
            session.line(format_args!("{name} datanodes ({}):\n", nodes.len()))?;
        }
        for node in nodes {
            session.line(format_args!("{}\n", datanode(&node, &dates)))?;
        }
    }
    Ok(())
}

fn totals(stats: &FsStats, safe_mode: bool) -> String {
    let present = stats.used.saturating_add(stats.remaining);
    let mut text = String::new();
    if safe_mode {
        text += "Safe mode is ON\n";
    }
    for (name, bytes) in [
        ("Configured Capacity", stats.capacity),
        ("Present Capacity", present),
        ("DFS Remaining", stats.remaining),
        ("DFS Used", stats.used),
    ] {
        text += &amount(name, bytes);
    }
    let used = percent(stats.used, present, 2);
    // Striped block groups do not exist yet, so their figures are zero.
    let _ = write!(
        text,
        "DFS Used%: {used}\n\
         Replicated Blocks:\n\
         \tUnder replicated blocks: {}\n\
         \tBlocks with corrupt replicas: {}\n\
         \tMissing blocks: {}\n\
         \tMissing blocks (with replication factor 1): {}\n\
         \tPending deletion blocks: {}\n\
         Erasure Coded Block Groups: \n\
         \tLow redundancy block groups: 0\n\
         \tBlock groups with corrupt internal blocks: 0\n\
         \tMissing block groups: 0\n\
         \tPending deletion blocks: 0\n\
         \n{}\n",
        stats.under_replicated,
        stats.corrupt_blocks,
        stats.missing_blocks,
        stats.missing_replication_one,
        stats.pending_deletion,
        "-".repeat(49),
    );
    text
}

fn amount(name: &str, bytes: u64) -> String {
    format!("{name}: {bytes} ({})\n", described(bytes))
}

fn datanode(node: &DatanodeInfo, dates: &Dates) -> String {
    let mut text = format!("Name: {}", node.transfer_addr());
    if !node.hostname.is_empty() && node.hostname != node.ip {
        text += &format!(" ({})", node.hostname);
    }
    text += &format!("\nHostname: {}\n", node.hostname);
    if !node.rack.is_empty() && node.rack != DEFAULT_RACK {
        text += &format!("Rack: {}\n", node.rack);
    }
    text += &format!("Decommission Status : {}\n", state(node.admin_state));
    for (name, bytes) in [
        ("Configured Capacity", node.capacity),
        ("DFS Used", node.dfs_used),
        ("Non DFS Used", node.non_dfs_used),
        ("DFS Remaining", node.remaining),
    ] {
        text += &amount(name, bytes);
    }
    // Of nothing, everything is used: as in Hadoop, where a node without capacity counts as full.
    let share =
        |part, whole, of_nothing: &str| if whole == 0 { of_nothing.to_owned() } else { percent(part, whole, 2) };
    text += &format!("DFS Used%: {}\n", share(node.dfs_used, node.capacity, "100.00%"));
    text += &format!("DFS Remaining%: {}\n", share(node.remaining, node.capacity, "0.00%"));
    let cache_left = node.cache_capacity.saturating_sub(node.cache_used);
    for (name, bytes) in [
        ("Configured Cache Capacity", node.cache_capacity),
        ("Cache Used", node.cache_used),
        ("Cache Remaining", cache_left),
    ] {
        text += &amount(name, bytes);
    }
    text += &format!("Cache Used%: {}\n", share(node.cache_used, node.cache_capacity, "100.00%"));
    text += &format!("Cache Remaining%: {}\n", share(cache_left, node.cache_capacity, "0.00%"));
    text += &format!("Xceivers: {}\n", node.xceivers);
    text += &format!("Last contact: {}\n", dates.java(node.last_contact_ms));
    let report = match node.last_block_report_ms {
        0 => "Never".to_owned(),
        ms => dates.java(ms),
    };
    text + &format!("Last Block Report: {report}\nNum of Blocks: {}\n", node.num_blocks)
}

fn state(state: AdminState) -> &'static str {
    match state {
        AdminState::Normal => "Normal",
        AdminState::Decommissioning => "Decommission in progress",
        AdminState::Decommissioned => "Decommissioned",
        AdminState::EnteringMaintenance => "Entering maintenance",
        AdminState::InMaintenance => "In maintenance",
    }
}

/// The report as one object.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    safe_mode: bool,
    capacity: u64,
    used: u64,
    remaining: u64,
    under_replicated_blocks: u64,
    corrupt_blocks: u64,
    missing_blocks: u64,
    missing_blocks_with_replication_one: u64,
    pending_deletion_blocks: u64,
    datanodes: Vec<Datanode<'a>>,
}

/// One datanode of the report.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Datanode<'a> {
    /// `live`, `dead`, …
    list: &'a str,
    name: String,
    hostname: String,
    uuid: String,
    rack: String,
    state: &'a str,
    capacity: u64,
    used: u64,
    non_dfs_used: u64,
    remaining: u64,
    xceivers: u32,
    blocks: u32,
    last_contact: u64,
    last_block_report: u64,
}

fn json(session: &mut Session<'_>, client: &DfsClient, kinds: &[(&str, ReportKind)]) -> Outcome {
    let stats = client.fs_stats()?;
    let safe_mode = client.safe_mode(SafeModeAction::Get)?;
    let mut datanodes = Vec::new();
    for (list, kind) in kinds {
        let nodes = client.datanode_report(*kind)?;
        datanodes.extend(nodes.into_iter().map(|node| Datanode::new(list, node)));
    }
    let report = Report {
        safe_mode,
        capacity: stats.capacity,
        used: stats.used,
        remaining: stats.remaining,
        under_replicated_blocks: stats.under_replicated,
        corrupt_blocks: stats.corrupt_blocks,
        missing_blocks: stats.missing_blocks,
        missing_blocks_with_replication_one: stats.missing_replication_one,
        pending_deletion_blocks: stats.pending_deletion,
        datanodes,
    };
    session.json(&report)
}

impl<'a> Datanode<'a> {
    fn new(list: &'a str, node: DatanodeInfo) -> Self {
        Self {
            list,
            name: node.transfer_addr(),
            hostname: node.hostname,
            uuid: node.uuid,
            rack: node.rack,
            state: state(node.admin_state),
            capacity: node.capacity,
            used: node.dfs_used,
            non_dfs_used: node.non_dfs_used,
            remaining: node.remaining,
            xceivers: node.xceivers,
            blocks: node.num_blocks,
            last_contact: node.last_contact_ms,
            last_block_report: node.last_block_report_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_read_as_in_hadoop() {
        let stats =
            FsStats { capacity: 4 << 30, used: 1 << 20, remaining: 3 << 30, missing_blocks: 2, ..FsStats::default() };
        let text = totals(&stats, true);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[..8],
            [
                "Safe mode is ON",
                "Configured Capacity: 4294967296 (4 GB)",
                "Present Capacity: 3222274048 (3.00 GB)",
                "DFS Remaining: 3221225472 (3 GB)",
                "DFS Used: 1048576 (1 MB)",
                "DFS Used%: 0.03%",
                "Replicated Blocks:",
                "\tUnder replicated blocks: 0",
            ]
        );
        assert!(lines.contains(&"\tMissing blocks: 2"));
        assert_eq!(lines.last(), Some(&"-------------------------------------------------"));
        assert!(!totals(&stats, false).contains("Safe"));
    }

    #[test]
    fn datanodes_read_as_in_hadoop() {
        let node = DatanodeInfo {
            ip: "10.0.0.1".to_owned(),
            hostname: "dn1".to_owned(),
            transfer_port: 9866,
            rack: DEFAULT_RACK.to_owned(),
            capacity: 1000,
            dfs_used: 125,
            remaining: 500,
            last_contact_ms: 1_501_743_429_999,
            num_blocks: 7,
            ..DatanodeInfo::default()
        };
        let text = datanode(&node, &Dates::utc());
        let expected = [
            "Name: 10.0.0.1:9866 (dn1)",
            "Hostname: dn1",
            "Decommission Status : Normal",
            "Configured Capacity: 1000 (1000 B)",
            "DFS Used: 125 (125 B)",
            "Non DFS Used: 0 (0 B)",
            "DFS Remaining: 500 (500 B)",
            "DFS Used%: 12.50%",
            "DFS Remaining%: 50.00%",
            "Configured Cache Capacity: 0 (0 B)",
            "Cache Used: 0 (0 B)",
            "Cache Remaining: 0 (0 B)",
            "Cache Used%: 100.00%",
            "Cache Remaining%: 0.00%",
            "Xceivers: 0",
            "Last contact: Thu Aug 03 06:57:09 UTC 2017",
            "Last Block Report: Never",
            "Num of Blocks: 7",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
        let elsewhere = DatanodeInfo { rack: "/rack1".to_owned(), ..node };
        assert!(datanode(&elsewhere, &Dates::utc()).contains("\nRack: /rack1\n"));
    }
}
