//! What a check counts, and the summary that it ends with, in HDFS's words and columns.

use mammoth_namenode_core::api::AdminState;
use std::fmt::{self, Display, Formatter};

/// Sums over everything that was looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Replicas of files whose writer did not say.
    pub(super) default_replication: u16,
    /// Good replicas that a block needs at least.
    pub(super) min_replication: usize,
    pub(super) dirs: u64,
    pub(super) files: u64,
    pub(super) size: u64,
    pub(super) blocks: u64,
    pub(super) open_files: u64,
    pub(super) open_size: u64,
    pub(super) open_blocks: u64,
    /// Good replicas.
    pub(super) replicas: u64,
    /// Wanted replicas.
    pub(super) expected: u64,
    pub(super) missing_replicas: u64,
    pub(super) minimal: u64,
    pub(super) below_minimal: u64,
    pub(super) over: u64,
    pub(super) under: u64,
    pub(super) misplaced: u64,
    pub(super) missing: u64,
    pub(super) missing_size: u64,
    pub(super) corrupt: u64,
    pub(super) corrupt_size: u64,
    pub(super) corrupt_files: u64,
    /// Replicas on datanodes that are to leave or to be away.
    pub(super) admin: ByAdmin,
    /// Copies that are ordered, of the whole file system.
    pub(super) queued: u64,
}

/// Replicas on datanodes that do not just serve.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ByAdmin {
    left: u64,
    leaving: u64,
    going_to_rest: u64,
    resting: u64,
}

impl ByAdmin {
    /// Adds those of a block.
    pub(super) fn count(&mut self, of: impl Fn(AdminState) -> usize) {
        self.left += of(AdminState::Decommissioned) as u64;
        self.leaving += of(AdminState::Decommissioning) as u64;
        self.going_to_rest += of(AdminState::EnteringMaintenance) as u64;
        self.resting += of(AdminState::InMaintenance) as u64;
    }
}

impl Tally {
    /// No block is missing or corrupt.
    pub(super) fn is_healthy(&self) -> bool {
        self.missing == 0 && self.corrupt == 0
    }

    fn share(&self, part: u64) -> String {
        if self.blocks == 0 { String::new() } else { format!(" ({} %)", float(percent(part, self.blocks))) }
    }
}

#[expect(clippy::cast_precision_loss, reason = "Java prints a float here")]
fn percent(part: u64, whole: u64) -> f32 {
    part.saturating_mul(100) as f32 / whole as f32
}

#[expect(clippy::cast_precision_loss, reason = "Java prints a float here")]
fn average(sum: u64, count: u64) -> f32 {
    if count == 0 { 0.0 } else { sum as f32 / count as f32 }
}

/// A number as Java prints a float: the fewest digits that tell it apart, one behind the point at least.
fn float(number: f32) -> String {
    if number == 0.0 || (1e-3..1e7).contains(&number) {
        return format!("{number:?}");
    }
    let text = format!("{number:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => text,
    }
}

/// The part about replicated blocks, which is all that there is.
impl Display for Tally {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, " Total size:\t{} B", self.size)?;
        note(f, self.open_size, "Total open files size: ", " B")?;
        write!(f, "\n Total files:\t{}", self.files)?;
        note(f, self.open_files, "Files currently being written: ", "")?;
        write!(f, "\n Total blocks (validated):\t{}", self.blocks)?;
        if let Some(average) = self.size.checked_div(self.blocks) {
            write!(f, " (avg. block size {average} B)")?;
        }
        note(f, self.open_blocks, "Total open file blocks (not validated): ", "")?;
        self.troubles(f)?;
        for (name, part) in [
            ("Minimally replicated blocks:\t", self.minimal),
            ("Over-replicated blocks:\t", self.over),
            ("Under-replicated blocks:\t", self.under),
            ("Mis-replicated blocks:\t\t", self.misplaced),
        ] {
            write!(f, "\n {name}{part}{}", self.share(part))?;
        }
        write!(f, "\n Default replication factor:\t{}", self.default_replication)?;
        write!(f, "\n Average block replication:\t{}", float(average(self.replicas, self.blocks)))?;
        write!(f, "\n Missing blocks:\t\t{}", self.missing)?;
        write!(f, "\n Corrupt blocks:\t\t{}", self.corrupt)?;
        write!(f, "\n Missing replicas:\t\t{}", self.missing_replicas)?;
        if self.replicas > 0 {
            write!(f, " ({} %)", float(percent(self.missing_replicas, self.expected)))?;
        }
        for (name, replicas) in [
            ("DecommissionedReplicas", self.admin.left),
            ("DecommissioningReplicas", self.admin.leaving),
            ("EnteringMaintenanceReplicas", self.admin.going_to_rest),
            ("InMaintenanceReplicas", self.admin.resting),
        ] {
            if replicas > 0 {
                write!(f, "\n {name}:\t{replicas}")?;
            }
        }
        write!(f, "\n Blocks queued for replication:\t{}", self.queued)
    }
}

/// A remark in brackets, if there is anything to remark.
fn note(f: &mut Formatter<'_>, number: u64, before: &str, after: &str) -> fmt::Result {
    if number == 0 { Ok(()) } else { write!(f, " ({before}{number}{after})") }
}

impl Tally {
    /// What is between two lines of stars.
    fn troubles(&self, f: &mut Formatter<'_>) -> fmt::Result {
        const STARS: &str = "\n  ********************************";
        if self.corrupt_files == 0 && self.below_minimal == 0 {
            return Ok(());
        }
        f.write_str(STARS)?;
        if self.below_minimal > 0 {
            write!(f, "\n  UNDER MIN REPL'D BLOCKS:\t{}{}", self.below_minimal, self.share(self.below_minimal))?;
            write!(f, "\n  MINIMAL BLOCK REPLICATION:\t{}", self.min_replication)?;
        }
        if self.corrupt_files > 0 {
            write!(f, "\n  CORRUPT FILES:\t{}", self.corrupt_files)?;
        }
        if self.missing > 0 {
            write!(f, "\n  MISSING BLOCKS:\t{}\n  MISSING SIZE:\t\t{} B", self.missing, self.missing_size)?;
        }
        if self.corrupt > 0 {
            write!(f, "\n  CORRUPT BLOCKS: \t{}\n  CORRUPT SIZE:\t\t{} B", self.corrupt, self.corrupt_size)?;
        }
        f.write_str(STARS)
    }
}

/// The part about striped files, of which there are none.
pub(super) const NO_STRIPED: &str = "\nErasure Coded Block Groups:\n Total size:\t0 B\n Total files:\t0\n \
     Total block groups (validated):\t0\n Minimally erasure-coded block groups:\t0\n Over-erasure-coded block groups:\t0\n \
     Under-erasure-coded block groups:\t0\n Unsatisfactory placement block groups:\t0\n Average block group size:\t0.0\n \
     Missing block groups:\t\t0\n Corrupt block groups:\t\t0\n Missing internal blocks:\t0\n \
     Blocks queued for replication:\t0\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_look_as_java_prints_them() {
        for (number, text) in [
            (100.0, "100.0"),
            (0.0, "0.0"),
            (500.0 / 6.0, "83.333336"),
            (1.0 / 3.0, "0.33333334"),
            (0.0001, "1.0E-4"),
            (0.00012, "1.2E-4"),
        ] {
            assert_eq!(float(number), text);
        }
    }

    #[test]
    fn a_summary_in_trouble_is_hdfs_own() {
        let tally = Tally {
            default_replication: 2,
            min_replication: 1,
            files: 7,
            size: 4_973_528,
            blocks: 6,
            replicas: 2,
            expected: 12,
            minimal: 1,
            below_minimal: 5,
            missing: 5,
            missing_size: 4_973_520,
            corrupt_files: 5,
            ..Tally::default()
        };
        let expected = " Total size:\t4973528 B\n Total files:\t7\n Total blocks (validated):\t6 (avg. block size 828921 B)\n  \
             ********************************\n  UNDER MIN REPL'D BLOCKS:\t5 (83.333336 %)\n  MINIMAL BLOCK REPLICATION:\t1\n  \
             CORRUPT FILES:\t5\n  MISSING BLOCKS:\t5\n  MISSING SIZE:\t\t4973520 B\n  ********************************\n \
             Minimally replicated blocks:\t1 (16.666666 %)\n Over-replicated blocks:\t0 (0.0 %)\n \
             Under-replicated blocks:\t0 (0.0 %)\n Mis-replicated blocks:\t\t0 (0.0 %)\n Default replication factor:\t2\n \
             Average block replication:\t0.33333334\n Missing blocks:\t\t5\n Corrupt blocks:\t\t0\n \
             Missing replicas:\t\t0 (0.0 %)\n Blocks queued for replication:\t0";
        assert_eq!(tally.to_string(), expected);
    }
}
