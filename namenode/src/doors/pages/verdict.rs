//! The state of the file system in one sentence, and what else there is to know.

use mammoth_namenode_core::api::{DatanodeStatus, Health, SafeMode};
use mammoth_protocol::DfsPath;
use mammoth_web::page::Tone;
use mammoth_web::text::{count, duration_ms, plural};

/// What the operator reads first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The mood.
    pub(super) tone: Tone,
    /// The mood in a word or two.
    pub(super) label: &'static str,
    /// The most important thing.
    pub(super) sentence: String,
    /// Everything else that is not as it should be.
    pub(super) more: Vec<String>,
}

/// Judges. A live datanode that has not been heard for `silent_ms` is worth a word. `unreadable` names files that have a block
/// without any good copy, perhaps not all of them.
#[must_use]
pub(super) fn verdict(health: &Health, nodes: &[DatanodeStatus], unreadable: &[DfsPath], silent_ms: u64) -> Verdict {
    let mut found: Vec<(Tone, String)> = Vec::new();
    let starting = matches!(health.safe_mode, SafeMode::Startup { .. });
    found.extend(safe_mode(health));
    if !starting {
        found.extend(unreadable_files(health, unreadable));
        found.extend(no_datanodes(health, nodes));
    }
    let silent = silence(nodes, silent_ms);
    let copies = if starting { None } else { copies(health) };
    match (silent, copies) {
        (Some(silent), Some(copies)) => found.push((Tone::Warn, format!("{silent}; {copies}"))),
        (silent, copies) => found.extend(silent.or(copies).map(|text| (Tone::Warn, text))),
    }
    found.extend(damage(health, nodes));
    found.extend(unreported(nodes, starting));
    // What is lost comes first, then why nothing can change, then the rest; among equals the order above stays.
    let in_safe_mode = health.safe_mode != SafeMode::Off;
    let mut found: Vec<_> = found.into_iter().enumerate().collect();
    found.sort_by_key(|(nth, (tone, _))| (*tone != Tone::Bad, !(in_safe_mode && *nth == 0), std::cmp::Reverse(*tone)));
    let mut found = found.into_iter();
    let Some((_, (tone, sentence))) = found.next() else {
        return Verdict { tone: Tone::Ok, label: "Healthy", sentence: all_well(health), more: Vec::new() };
    };
    let label = match (&health.safe_mode, tone) {
        (SafeMode::Off, Tone::Bad) => "Data can't be reached",
        (SafeMode::Off, Tone::Warn) => "Needs attention",
        (SafeMode::Off, _) => "Settling",
        _ => "Safe mode",
    };
    Verdict { tone, label, sentence: stopped(&sentence), more: found.map(|(_, (_, text))| stopped(&text)).collect() }
}

/// Ends a sentence, unless it ends already.
fn stopped(sentence: &str) -> String {
    if sentence.ends_with(['.', '!', '?']) { sentence.to_owned() } else { format!("{sentence}.") }
}

fn all_well(health: &Health) -> String {
    let nodes = plural(u64::from(health.live), "datanode", "datanodes");
    match (health.blocks, health.files) {
        (0, 0) => format!("The file system is empty, and {nodes} can take files."),
        (0, files) => format!("{} without a block, and {nodes} ready.", plural(files, "file", "files")),
        (1, _) => format!("The only block is safe on {nodes}."),
        (blocks, _) => format!("All {} blocks are safe on {nodes}.", count(blocks)),
    }
}

fn safe_mode(health: &Health) -> Option<(Tone, String)> {
    match &health.safe_mode {
        SafeMode::Off => None,
        SafeMode::Manual => {
            Some((Tone::Wait, "Safe mode is on by order: files can be read, but nothing can change".to_owned()))
        }
        SafeMode::Behind { message } => {
            Some((Tone::Bad, format!("The namenode has lost changes and does not go on by itself: {message}")))
        }
        SafeMode::Startup { reported, needed, total, extension_left_ms } => {
            let text = match extension_left_ms {
                Some(left) if reported >= needed => format!(
                    "Starting: {} of {} have been reported; late datanodes have another {}",
                    count(*reported),
                    plural(*total, "block", "blocks"),
                    duration_ms(*left)
                ),
                _ if *total == 0 => "Starting: waiting for datanodes".to_owned(),
                _ => format!(
                    "Starting: {} of {} have been reported, {} are needed before files can change",
                    count(*reported),
                    plural(*total, "block", "blocks"),
                    count(*needed)
                ),
            };
            Some((Tone::Wait, text))
        }
    }
}

fn unreadable_files(health: &Health, unreadable: &[DfsPath]) -> Option<(Tone, String)> {
    let missing = health.stats.missing_blocks;
    let text = match unreadable {
        [] if missing == 0 => return None,
        [] => format!("{} no readable copy", have(missing, "block", "blocks")),
        [one] => format!("1 file can't be read: {one}"),
        [first, ..] => format!("{} files can't be read, {first} among them", count(unreadable.len() as u64)),
    };
    Some((Tone::Bad, text))
}

fn no_datanodes(health: &Health, nodes: &[DatanodeStatus]) -> Option<(Tone, String)> {
    if health.live > 0 {
        None
    } else if nodes.is_empty() {
        Some((Tone::Warn, "No datanode has registered yet, so no file can be written".to_owned()))
    } else {
        Some((Tone::Bad, "No datanode is live, so no file can be read or written".to_owned()))
    }
}

/// The datanodes that have not been heard for a while.
fn silence(nodes: &[DatanodeStatus], silent_ms: u64) -> Option<String> {
    let mut quiet: Vec<&DatanodeStatus> =
        nodes.iter().filter(|node| !node.live || node.stale || node.last_contact_ms >= silent_ms).collect();
    // The shortest silence is the latest news.
    quiet.sort_by_key(|node| (node.live, node.last_contact_ms));
    let first = quiet.first()?;
    let since = if first.last_contact_wall_ms == 0 {
        "has not been heard since this namenode started".to_owned()
    } else {
        format!("has been silent for {}", duration_ms(first.last_contact_ms))
    };
    let dead = if first.live { "" } else { " and counts as dead" };
    let others = match quiet.len() - 1 {
        0 => String::new(),
        1 => " (1 more is silent)".to_owned(),
        n => format!(" ({} more are silent)", count(n as u64)),
    };
    Some(format!("Datanode {} {since}{dead}{others}", node_name(first)))
}

fn copies(health: &Health) -> Option<String> {
    let low = health.under_replicated;
    if low == 0 {
        return None;
    }
    let low_text = have(low, "block", "blocks");
    let what_next = match (&health.safe_mode, health.pending_copies) {
        (SafeMode::Off, 0) => "wait to be copied".to_owned(),
        (SafeMode::Off, under_way) if under_way >= low => "are being copied".to_owned(),
        (SafeMode::Off, under_way) => format!("are being copied, {} at present", count(under_way)),
        _ => "will be copied once safe mode ends".to_owned(),
    };
    let what_next =
        if low == 1 { what_next.replacen("are ", "is ", 1).replacen("wait ", "waits ", 1) } else { what_next };
    Some(format!("{low_text} fewer copies than wanted and {what_next}"))
}

fn damage(health: &Health, nodes: &[DatanodeStatus]) -> Vec<(Tone, String)> {
    let mut found = Vec::new();
    if health.corrupt_replicas > 0 {
        let text = match health.corrupt_replicas {
            1 => "1 copy of a block is damaged and will be replaced by a good one".to_owned(),
            n => format!("{} copies of blocks are damaged and will be replaced by good ones", count(n)),
        };
        found.push((Tone::Warn, text));
    }
    for node in nodes.iter().filter(|node| node.live && node.failed_volumes > 0) {
        let volumes = plural(u64::from(node.failed_volumes), "failed volume", "failed volumes");
        found.push((Tone::Warn, format!("Datanode {} has {volumes}", node_name(node))));
    }
    found
}

fn unreported(nodes: &[DatanodeStatus], starting: bool) -> Option<(Tone, String)> {
    let waiting: Vec<_> = nodes.iter().filter(|node| node.live && !node.reported).collect();
    match waiting.as_slice() {
        [] => None,
        _ if starting => None,
        [one] => Some((Tone::Wait, format!("Datanode {} has yet to report its blocks", node_name(one)))),
        many => Some((Tone::Wait, format!("{} datanodes have yet to report their blocks", many.len()))),
    }
}

fn have(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", plural(number, one, many), if number == 1 { "has" } else { "have" })
}

/// A datanode as people call it: name and data port.
#[must_use]
pub(super) fn node_name(node: &DatanodeStatus) -> String {
    format!("{}:{}", node.addr.hostname, node.addr.transfer_port)
}
