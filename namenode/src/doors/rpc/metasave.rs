//! `metaSave`: writes what repair and deletion have to do into a file of the log folder, in HDFS's words, for people to read.
//! The file tells of one moment; a list longer than [`ENTRIES_MAX`] ends with the number of those left out.

use super::call::Call;
use mammoth_namenode_core::api::{
    AdminState, Answer, BlockEntry, DatanodeStatus, Ledger, Query, ReplicaStanding, ReplicaStatus,
};
use mammoth_platform::{durable, keys};
use mammoth_protocol::hadoop::hdfs::{MetaSaveRequestProto, MetaSaveResponseProto};
use mammoth_protocol::limits::NAME_BYTES_MAX;
use mammoth_protocol::{Block, ErrorCode, FsError};
use mammoth_web::text;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Entries of each list.
const ENTRIES_MAX: usize = 10_000;
/// Bytes at the begin of a file by which one of ours is known.
const HEAD: u64 = 200;
/// What is in the first line of such a file.
const MARK: &str = " files and directories, ";

/// Serves the method.
pub(super) async fn meta_save(call: &Call<'_>, q: MetaSaveRequestProto) -> Result<MetaSaveResponseProto, FsError> {
    call.require_superuser()?;
    let path = target(call.door.log_dir.as_deref(), &q.filename)?;
    let text = match call.ask(Query::Ledger { max: ENTRIES_MAX }).await? {
        Answer::Ledger(ledger) => written(&ledger),
        other => return Err(call.odd(&other)),
    };
    let written = tokio::task::spawn_blocking(move || write(&path, &text)).await;
    written.unwrap_or_else(|_| Err(FsError::new(ErrorCode::Io, "metaSave: the file was not written")))?;
    Ok(MetaSaveResponseProto {})
}

/// The file in the log folder; nothing outside of it can be named.
fn target(dir: Option<&Path>, name: &str) -> Result<PathBuf, FsError> {
    let Some(dir) = dir else {
        let key = keys::HADOOP_LOG_DIR.name();
        let message = format!("metaSave: the namenode has no log folder; start it with --log or set {key}");
        return Err(FsError::new(ErrorCode::Io, message));
    };
    let plain = !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.starts_with('.');
    if plain && !name.contains(['/', '\\']) && !name.chars().any(char::is_control) {
        return Ok(dir.join(name));
    }
    let message = format!("metaSave: `{}` is no plain name of a file", name.escape_debug());
    Err(FsError::new(ErrorCode::IllegalArgument, message))
}

/// Writes the file, in place of an older one of its kind only.
fn write(path: &Path, text: &str) -> Result<(), FsError> {
    if let Ok(file) = std::fs::File::open(path) {
        let mut head = Vec::new();
        let read = file.take(HEAD).read_to_end(&mut head);
        if read.is_err() || !String::from_utf8_lossy(&head).contains(MARK) {
            let message = format!("metaSave: {} exists and is something else", path.display());
            return Err(FsError::new(ErrorCode::FileAlreadyExists, message));
        }
    }
    durable::replace(path, text.as_bytes()).map_err(|error| FsError::new(ErrorCode::Io, format!("metaSave: {error}")))
}

fn written(ledger: &Ledger) -> String {
    let (inodes, blocks) = (ledger.inodes, ledger.blocks);
    let mut out = format!("{inodes}{MARK}{blocks} blocks = {} total\n", inodes + blocks);
    let _ = writeln!(out, "Live Datanodes: {}\nDead Datanodes: {}", ledger.live, ledger.dead);
    let waiting = ledger.under_replicated + ledger.misplaced;
    let _ = writeln!(out, "Metasave: Blocks waiting for reconstruction: {waiting}");
    entries(&mut out, ledger.under_replicated, &ledger.waiting, false);
    entries(&mut out, ledger.misplaced, &ledger.apart, false);
    let _ = writeln!(out, "Metasave: Blocks currently missing: {}", ledger.missing);
    entries(&mut out, ledger.missing, &ledger.lost, true);
    // Nothing is postponed here: a deletion waits for the reports that it needs.
    out.push_str("Mis-replicated blocks that have been postponed:\n");
    let _ = writeln!(out, "Metasave: Blocks being reconstructed: {}", ledger.pending_copies);
    for entry in &ledger.pending {
        let targets = entry.targets.iter().map(|place| format!("{}:{}", place.addr.ip, place.addr.transfer_port));
        let _ = writeln!(out, "{} to {}", name(entry.block), targets.collect::<Vec<_>>().join(" "));
    }
    deletions(&mut out, ledger);
    out.push_str("Corrupt Blocks:\n");
    ledger.corrupt.iter().for_each(|entry| corrupt(&mut out, entry));
    let _ = writeln!(out, "Metasave: Number of datanodes: {}", ledger.datanodes.len());
    ledger.datanodes.iter().for_each(|node| datanode(&mut out, node));
    out
}

fn name(block: Block) -> String {
    format!("blk_{}_{}", block.id, block.stamp)
}

fn addr(replica: &ReplicaStatus) -> String {
    format!("{}:{}", replica.place.addr.ip, replica.place.addr.transfer_port)
}

fn left_out(out: &mut String, all: u64, listed: usize) {
    let more = all.saturating_sub(listed as u64);
    if more > 0 {
        let _ = writeln!(out, "({more} more)");
    }
}

fn entries(out: &mut String, all: u64, list: &[BlockEntry], missing: bool) {
    for entry in list {
        let of = |standing| entry.replicas.iter().filter(|r| r.standing == standing).count();
        let leaving = entry.replicas.iter().filter(|r| r.place.admin == AdminState::Decommissioned).count();
        let _ = write!(
            out,
            "{}: {}{} (replicas: l: {} d: {leaving} c: {} e: {}) ",
            entry.path.as_deref().unwrap_or("(deleted)"),
            name(entry.block),
            if missing { " MISSING" } else { "" },
            of(ReplicaStanding::Live),
            of(ReplicaStanding::Corrupt),
            of(ReplicaStanding::Excess),
        );
        for replica in &entry.replicas {
            let remark = match replica.standing {
                ReplicaStanding::Live | ReplicaStanding::Written => "",
                ReplicaStanding::Corrupt => "(corrupt)",
                ReplicaStanding::Excess => "(excess)",
            };
            let _ = write!(out, " {}{remark} :", addr(replica));
        }
        out.push('\n');
    }
    left_out(out, all, list.len());
}

fn deletions(out: &mut String, ledger: &Ledger) {
    let all: u64 = ledger.deletions.iter().map(|of| of.count).sum();
    let _ = writeln!(out, "Metasave: Blocks {all} waiting deletion from {} datanodes.", ledger.deletions.len());
    for of in &ledger.deletions {
        let blocks: Vec<String> = of.blocks.iter().map(|block| name(*block)).collect();
        let _ = writeln!(out, "{}\n[{}]", of.datanode, blocks.join(", "));
        left_out(out, of.count, of.blocks.len());
    }
}

fn corrupt(out: &mut String, entry: &BlockEntry) {
    for replica in entry.replicas.iter().filter(|r| r.standing == ReplicaStanding::Corrupt) {
        let _ = writeln!(
            out,
            "Block={}\tNode={}\tStorageID={}\tStorageState=NORMAL\tTotalReplicas={}\tReason=ANY",
            entry.block.id,
            addr(replica),
            replica.place.storage,
            entry.replicas.len(),
        );
    }
}

fn datanode(out: &mut String, node: &DatanodeStatus) {
    let state = match node.admin {
        AdminState::InService => "IN",
        AdminState::Decommissioning => "DP",
        AdminState::Decommissioned => "DD",
        AdminState::EnteringMaintenance => "EM",
        AdminState::InMaintenance => "IM",
    };
    let amount = |bytes: u64| format!("{bytes}({})", text::bytes(bytes));
    let _ = writeln!(
        out,
        "{}:{} {} {state} {} {} {} {} 0(0 B) 0(0 B) 100.00% 0(0 B) {}{}",
        node.addr.ip,
        node.addr.transfer_port,
        node.rack,
        amount(node.capacity),
        amount(node.used),
        hundredths(node.used, node.capacity),
        amount(node.remaining),
        text::utc_time(node.last_contact_wall_ms),
        if node.live { "" } else { " (dead)" },
    );
}

/// A share in percent with two decimals; of nothing, everything is used.
fn hundredths(part: u64, whole: u64) -> String {
    let parts = (u128::from(part) * 10_000).checked_div(u128::from(whole)).unwrap_or(10_000);
    format!("{}.{:02}%", parts / 100, parts % 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mammoth_namenode_core::api::{Deletions, PendingEntry, Place};
    use mammoth_protocol::internal::DatanodeAddr;
    use mammoth_protocol::{BlockId, DatanodeId, GenStamp, StorageId, Uuid};

    fn place() -> Place {
        let ip = "10.0.0.1".parse().expect("an address");
        let addr = DatanodeAddr { ip, hostname: "dn".to_owned(), transfer_port: 9866, info_port: 9864, ipc_port: 9867 };
        Place {
            datanode: DatanodeId(Uuid(1)),
            storage: StorageId(Uuid(2)),
            addr,
            rack: "/r".to_owned(),
            admin: AdminState::InService,
        }
    }

    #[test]
    fn the_file_has_what_hdfs_users_look_for() {
        let block = Block { id: BlockId(1_073_741_825), stamp: GenStamp(1001), len: 5 };
        let replica = ReplicaStatus { place: place(), standing: ReplicaStanding::Corrupt, trusted: true };
        let entry = BlockEntry { path: Some("/data".to_owned()), block, replicas: vec![replica] };
        let ledger = Ledger {
            inodes: 45,
            blocks: 30,
            live: 3,
            missing: 2,
            lost: vec![entry.clone()],
            pending_copies: 1,
            pending: vec![PendingEntry { block, targets: vec![place()] }],
            deletions: vec![Deletions { datanode: "10.0.0.2:9866".to_owned(), count: 1, blocks: vec![block] }],
            corrupt: vec![entry],
            ..Ledger::default()
        };
        let text = written(&ledger);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "45 files and directories, 30 blocks = 75 total",
                "Live Datanodes: 3",
                "Dead Datanodes: 0",
                "Metasave: Blocks waiting for reconstruction: 0",
                "Metasave: Blocks currently missing: 2",
                "/data: blk_1073741825_1001 MISSING (replicas: l: 0 d: 0 c: 1 e: 0)  10.0.0.1:9866(corrupt) :",
                "(1 more)",
                "Mis-replicated blocks that have been postponed:",
                "Metasave: Blocks being reconstructed: 1",
                "blk_1073741825_1001 to 10.0.0.1:9866",
                "Metasave: Blocks 1 waiting deletion from 1 datanodes.",
                "10.0.0.2:9866",
                "[blk_1073741825_1001]",
                "Corrupt Blocks:",
                "Block=1073741825\tNode=10.0.0.1:9866\tStorageID=DS-00000000-0000-0000-0000-000000000002\t\
                 StorageState=NORMAL\tTotalReplicas=1\tReason=ANY",
                "Metasave: Number of datanodes: 0",
            ]
        );
    }

    #[test]
    fn files_go_into_the_log_folder_and_replace_their_kind_only() {
        let dir = tempfile::tempdir().expect("a folder");
        for name in ["", "../x", "a/b", ".hidden", "a\nb", &"x".repeat(300)] {
            assert_eq!(target(Some(dir.path()), name).expect_err(name).code, ErrorCode::IllegalArgument);
        }
        assert!(target(None, "x").expect_err("no folder").message.contains("hadoop.log.dir"));
        let path = target(Some(dir.path()), "meta.txt").expect("a plain name");
        write(&path, "3 files and directories, 1\n").expect("new");
        write(&path, "4 files and directories, 1\n").expect("of its kind");
        assert!(std::fs::read_to_string(&path).expect("there").starts_with('4'));
        let log = dir.path().join("namenode.log");
        std::fs::write(&log, "a line\n").expect("written");
        assert_eq!(write(&log, "3 files").expect_err("not ours").code, ErrorCode::FileAlreadyExists);
    }
}
