//! Single blocks: by number, and those that nobody can read.

use super::{Check, End, odd};
use mammoth_namenode_core::api::{AdminState, Answer, BlockState, Query, ReplicaStanding, ReplicaStatus};
use mammoth_protocol::{BlockId, DfsPath};
use std::fmt::Write;

/// Blocks named in one answer.
const NAMED_MAX: usize = 100;
/// Blocks looked at by one query.
const STEP: usize = 1000;
/// Blocks that a request may name.
const ASKED_MAX: usize = 1000;

/// `blockId`: all about some blocks.
pub(super) async fn by_id(check: &Check, ids: &str) -> Result<(), End> {
    for text in ids.split_whitespace().take(ASKED_MAX) {
        let Some(id) = parse(text) else {
            check.send(format!("Incorrect blockId format: {text}\n")).await?;
            continue;
        };
        let answer = match check.ask(Query::BlockState { id }).await? {
            Answer::BlockState(Some(state)) => describe(text, &state),
            Answer::BlockState(None) => format!("\nBlock {text} does not exist\n"),
            _ => return Err(odd().into()),
        };
        check.send(answer).await?;
    }
    Ok(())
}

/// `blk_1073741825`, with or without a stamp behind it, or the name of a checksum file.
fn parse(text: &str) -> Option<BlockId> {
    let digits = text.strip_prefix("blk_")?.split(['_', '.']).next()?;
    digits.parse().ok().map(BlockId)
}

fn describe(name: &str, state: &BlockState) -> String {
    let count = |standing| state.replicas.iter().filter(|replica| replica.standing == standing).count();
    let of = |admin| state.replicas.iter().filter(|replica| replica.place.admin == admin).count();
    let live = |replica: &&ReplicaStatus| {
        replica.standing == ReplicaStanding::Live && replica.place.admin == AdminState::InService
    };
    let stale = state.replicas.iter().filter(|replica| !replica.trusted).count();
    let mut text = format!("\nBlock Id: {name}\nBlock belongs to: {}\n", state.file);
    for (what, number) in [
        ("Expected", usize::from(state.wanted)),
        ("live", state.replicas.iter().filter(live).count()),
        ("excess", count(ReplicaStanding::Excess)),
        ("stale", stale),
        ("decommissioned", of(AdminState::Decommissioned)),
        ("decommissioning", of(AdminState::Decommissioning)),
        ("corrupted", count(ReplicaStanding::Corrupt)),
    ] {
        let _ = writeln!(text, "No. of {what} Replica: {number}");
    }
    for replica in &state.replicas {
        let (host, rack) = (&replica.place.addr.hostname, &replica.place.rack);
        let word = match replica.standing {
            ReplicaStanding::Corrupt => "is CORRUPT\t ReasonCode: CORRUPTION_REPORTED",
            ReplicaStanding::Live | ReplicaStanding::Excess | ReplicaStanding::Written => "is HEALTHY",
        };
        let _ = writeln!(text, "Block replica on datanode/rack: {host}{rack} {word}");
    }
    text
}

/// `listcorruptfileblocks`: a hundred of them after those that the cookie counts.
pub(super) async fn corrupt(check: &Check, below: &DfsPath) -> Result<(), End> {
    let mut text = String::new();
    let (mut named, mut seen, mut after) = (0, 0, None);
    'all: loop {
        let (found, next) = match check.ask(Query::CorruptBlocks { after, max: STEP }).await? {
            Answer::CorruptBlocks { found, next } => (found, next),
            _ => return Err(odd().into()),
        };
        for (id, path) in found.into_iter().filter(|(_, path)| path.starts_with(below)) {
            seen += 1;
            if seen <= check.asked.after {
                continue;
            }
            let _ = writeln!(text, "blk_{id}\t{path}");
            named += 1;
            if named == NAMED_MAX {
                break 'all;
            }
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    let filler = match (named, check.asked.after) {
        (0, 0) => "no".to_owned(),
        (0, _) => "no more".to_owned(),
        (named, _) => named.to_string(),
    };
    let tail = format!("\n\nThe filesystem under path '{below}' has {filler} CORRUPT files\n\n");
    check.send(format!("Cookie:\t{seen}\n{text}{tail}")).await
}

/// For [`crate::fuzzing`].
pub(super) fn fuzz(ids: &str) {
    let _ = ids.split_whitespace().filter_map(parse).count();
}
