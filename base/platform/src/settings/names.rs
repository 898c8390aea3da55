//! Names of keys: old ones, ones of Hadoop that change nothing here, and what a misspelt one may have meant.

use super::table;

/// Old name, present name.
const DEPRECATED: &[(&str, &str)] = &[
    ("dfs.access.time.precision", "dfs.namenode.accesstime.precision"),
    ("dfs.block.size", "dfs.blocksize"),
    ("dfs.data.dir", "dfs.datanode.data.dir"),
    ("dfs.datanode.max.xcievers", "dfs.datanode.max.transfer.threads"),
    ("dfs.http.address", "dfs.namenode.http-address"),
    ("dfs.max-repl-streams", "dfs.namenode.replication.max-streams"),
    ("dfs.name.dir", "dfs.namenode.name.dir"),
    ("dfs.namenode.replication.interval", "dfs.namenode.redundancy.interval.seconds"),
    ("dfs.namenode.replication.pending.timeout-sec", "dfs.namenode.reconstruction.pending.timeout-sec"),
    ("dfs.permissions", "dfs.permissions.enabled"),
    ("dfs.permissions.supergroup", "dfs.permissions.superusergroup"),
    ("dfs.replication.interval", "dfs.namenode.redundancy.interval.seconds"),
    ("dfs.replication.min", "dfs.namenode.replication.min"),
    ("dfs.replication.pending.timeout.sec", "dfs.namenode.reconstruction.pending.timeout-sec"),
    ("dfs.safemode.extension", "dfs.namenode.safemode.extension"),
    ("dfs.safemode.threshold.pct", "dfs.namenode.safemode.threshold-pct"),
    ("dfs.socket.timeout", "dfs.client.socket-timeout"),
    ("dfs.umaskmode", "fs.permissions.umask-mode"),
    ("dfs.write.packet.size", "dfs.client-write-packet-size"),
    ("fs.default.name", "fs.defaultFS"),
    ("heartbeat.recheck.interval", "dfs.namenode.heartbeat.recheck-interval"),
    ("io.bytes.per.checksum", "dfs.bytes-per-checksum"),
    ("io.sort.factor", "mapreduce.task.io.sort.factor"),
    ("io.sort.mb", "mapreduce.task.io.sort.mb"),
    ("io.sort.spill.percent", "mapreduce.map.sort.spill.percent"),
    ("mapred.compress.map.output", "mapreduce.map.output.compress"),
    ("mapred.job.map.memory.mb", "mapreduce.map.memory.mb"),
    ("mapred.job.reduce.memory.mb", "mapreduce.reduce.memory.mb"),
    ("mapred.job.tracker.http.address", "mapreduce.jobtracker.http.address"),
    ("mapred.local.dir", "mapreduce.cluster.local.dir"),
    ("mapred.map.max.attempts", "mapreduce.map.maxattempts"),
    ("mapred.map.tasks", "mapreduce.job.maps"),
    ("mapred.max.split.size", "mapreduce.input.fileinputformat.split.maxsize"),
    ("mapred.min.split.size", "mapreduce.input.fileinputformat.split.minsize"),
    ("mapred.reduce.max.attempts", "mapreduce.reduce.maxattempts"),
    ("mapred.reduce.parallel.copies", "mapreduce.reduce.shuffle.parallelcopies"),
    ("mapred.reduce.slowstart.completed.maps", "mapreduce.job.reduce.slowstart.completedmaps"),
    ("mapred.reduce.tasks", "mapreduce.job.reduces"),
    ("mapred.task.timeout", "mapreduce.task.timeout"),
    ("mapred.task.tracker.http.address", "mapreduce.tasktracker.http.address"),
    ("mapred.tasktracker.expiry.interval", "mapreduce.jobtracker.expire.trackers.interval"),
    ("slave.host.name", "dfs.datanode.hostname"),
    ("topology.script.file.name", "net.topology.script.file.name"),
];

/// Keys that Hadoop reads and nothing here does, one a line.
const WITHOUT_EFFECT: &str = include_str!("names_without_effect.txt");

/// Families of keys that Hadoop reads and nothing here does: other file systems, and names that users choose the rest of.
const FAMILIES_WITHOUT_EFFECT: &[&str] = &[
    "dfs.client.failover.proxy.provider.",
    "dfs.client.local.interfaces",
    "dfs.datanode.du.reserved.",
    "dfs.ha.",
    "dfs.internal.nameservices",
    "dfs.journalnode.",
    "dfs.namenode.servicerpc-address",
    "fs.AbstractFileSystem.",
    "fs.abfs.",
    "fs.adl.",
    "fs.azure.",
    "fs.cos",
    "fs.file.",
    "fs.ftp.",
    "fs.gs.",
    "fs.har.",
    "fs.hdfs.",
    "fs.http",
    "fs.obs.",
    "fs.oss.",
    "fs.s3",
    "fs.sftp.",
    "fs.swift.",
    "fs.viewfs.",
    "fs.wasb.",
    "fs.webhdfs.",
];

/// Only names of these families are judged; a configuration folder holds settings of other programs too.
const JUDGED: [&str; 4] = ["dfs.", "fs.", "mapreduce.", "mammoth."];

/// The present name of a key.
pub(super) fn canonical(name: &str) -> &str {
    DEPRECATED.iter().find(|(old, _)| *old == name).map_or(name, |(_, present)| present)
}

/// Whether a name that is not in the table deserves a warning.
pub(super) fn is_ours(name: &str) -> bool {
    JUDGED.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether Hadoop knows the name and nothing here reads it.
pub(super) fn has_no_effect(name: &str) -> bool {
    WITHOUT_EFFECT.lines().any(|known| known == name)
        || FAMILIES_WITHOUT_EFFECT.iter().any(|family| name.starts_with(family))
        || is_of_one_namenode(name)
}

/// Hadoop lets many keys end in the name of one service or namenode: `dfs.namenode.rpc-address.cluster1.nn2`.
fn is_of_one_namenode(name: &str) -> bool {
    table::all().any(|spec| {
        spec.name.starts_with("dfs.namenode.") && name.strip_prefix(spec.name).is_some_and(|rest| rest.starts_with('.'))
    })
}

/// The known name that looks most like this one, if any does.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let near = (name.len() / 6).clamp(1, 4);
    table::all()
        .map(|spec| spec.name)
        .chain(WITHOUT_EFFECT.lines())
        .chain(DEPRECATED.iter().map(|(old, _)| *old))
        .filter(|known| known.len().abs_diff(name.len()) <= near)
        .map(|known| (edit_distance(name.as_bytes(), known.as_bytes()), known))
        .filter(|(distance, _)| *distance <= near)
        .min()
        .map(|(_, known)| known)
}

/// Fewest insertions, deletions and replacements that turn one text into the other.
fn edit_distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b) {
            let replaced = diagonal + usize::from(x != y);
            diagonal = *cell;
            left = replaced.min(left + 1).min(diagonal + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_distance_counts_changes() {
        for (a, b, distance) in [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2)] {
            assert_eq!(edit_distance(a.as_bytes(), b.as_bytes()), distance, "{a} {b}");
        }
    }

    #[test]
    fn every_name_has_one_meaning() {
        for (old, present) in DEPRECATED {
            assert!(table::find(present).is_some(), "{old} leads to {present}");
            assert!(table::find(old).is_none() && !has_no_effect(old), "{old} is both old and present");
        }
        for spec in table::all() {
            assert!(!has_no_effect(spec.name), "{} is in the table", spec.name);
        }
        let names: Vec<&str> = WITHOUT_EFFECT.lines().collect();
        assert!(names.is_sorted() && names.len() > 100);
    }
}
