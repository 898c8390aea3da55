//! Names of files and folders within a volume, as HDFS has them.
//!
//! ```text
//! DIR/in_use.lock
//! DIR/current/VERSION                                        whose volume this is
//! DIR/current/state.json                                     what it remembers of boots and of the namenode
//! DIR/current/BP-…/current/VERSION                           whose pool this is
//! DIR/current/BP-…/current/finalized/subdirX/subdirY/blk_N and blk_N_STAMP.meta
//! DIR/current/BP-…/current/rbw/                              replicas being written
//! DIR/current/BP-…/tmp/                                      copies that are arriving, dropped at start
//! DIR/current/BP-…/bad/                                      replicas whose bytes are wrong: blk_N_STAMP and its .meta
//! ```

use mammoth_protocol::{BlockId, GenStamp};
use std::path::{Path, PathBuf};

/// Starts the name of a block pool's folder.
pub(crate) const POOL_PREFIX: &str = "BP-";
/// Name of the file that says whose a folder is.
pub(crate) const VERSION: &str = "VERSION";
/// Name of the file with a volume's memory.
pub(crate) const STATE: &str = "state.json";

/// The folders of one block pool on one volume.
#[derive(Clone, Debug)]
pub(crate) struct PoolDirs {
    /// `DIR/current/BP-…`.
    pub(crate) pool: PathBuf,
    /// Holds the finalized tree.
    pub(crate) finalized: PathBuf,
    /// Replicas being written.
    pub(crate) rbw: PathBuf,
    /// Copies that are arriving.
    pub(crate) tmp: PathBuf,
    /// Bad replicas.
    pub(crate) bad: PathBuf,
}

impl PoolDirs {
    /// The folders of pool `pool_id` on the volume at `root`.
    pub(crate) fn new(root: &Path, pool_id: &str) -> Self {
        let pool = root.join("current").join(pool_id);
        let current = pool.join("current");
        Self {
            finalized: current.join("finalized"),
            rbw: current.join("rbw"),
            tmp: pool.join("tmp"),
            bad: pool.join("bad"),
            pool,
        }
    }

    /// `DIR/current/BP-…/current/VERSION`.
    pub(crate) fn version(&self) -> PathBuf {
        self.pool.join("current").join(VERSION)
    }

    /// The folder in which a finalized replica lies: two levels of at most 32 folders each.
    pub(crate) fn finalized_of(&self, id: BlockId) -> PathBuf {
        let (first, second) = ((id.0 >> 16) & 0x1f, (id.0 >> 8) & 0x1f);
        self.finalized.join(format!("subdir{first}")).join(format!("subdir{second}"))
    }
}

/// Name of a replica's data.
pub(crate) fn data_name(id: BlockId) -> String {
    format!("blk_{id}")
}

/// Name of a replica's checksums.
pub(crate) fn meta_name(id: BlockId, stamp: GenStamp) -> String {
    format!("blk_{id}_{stamp}.meta")
}

/// Name of a bad replica's data; unlike in place it carries the stamp, as several may meet in one folder.
pub(crate) fn bad_data_name(id: BlockId, stamp: GenStamp) -> String {
    format!("blk_{id}_{stamp}")
}

/// What a file name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// `blk_N`.
    Data(BlockId),
    /// `blk_N_STAMP.meta`.
    Meta(BlockId, GenStamp),
    /// `blk_N_STAMP`, in `bad/` only.
    BadData(BlockId, GenStamp),
}

/// Reads a file name; `None` for files that are none of ours.
pub(crate) fn parse_name(name: &str) -> Option<FileKind> {
    let rest = name.strip_prefix("blk_")?;
    let (rest, is_meta) = match rest.strip_suffix(".meta") {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    let number = |text: &str| text.parse::<u64>().ok().filter(|n| n.to_string() == text).map(GenStamp);
    let id = |text: &str| text.parse::<i64>().ok().filter(|n| n.to_string() == text).map(BlockId);
    match (rest.split_once('_'), is_meta) {
        (Some((n, stamp)), true) => Some(FileKind::Meta(id(n)?, number(stamp)?)),
        (Some((n, stamp)), false) => Some(FileKind::BadData(id(n)?, number(stamp)?)),
        (None, false) => Some(FileKind::Data(id(rest)?)),
        (None, true) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_others_are_not() {
        let (id, stamp) = (BlockId(1_073_741_825), GenStamp(1001));
        assert_eq!(parse_name(&data_name(id)), Some(FileKind::Data(id)));
        assert_eq!(parse_name(&meta_name(id, stamp)), Some(FileKind::Meta(id, stamp)));
        assert_eq!(parse_name(&bad_data_name(id, stamp)), Some(FileKind::BadData(id, stamp)));
        let negative = BlockId(-16);
        assert_eq!(parse_name(&meta_name(negative, stamp)), Some(FileKind::Meta(negative, stamp)));
        for other in
            ["blk_", "blk_x", "blk_1.meta", "blk_1_2.meta.tmp", "blk_01", "blk_1_+2.meta", "VERSION", "blk_1_2_3"]
        {
            assert_eq!(parse_name(other), None, "{other}");
        }
    }

    #[test]
    fn folders_are_those_of_hdfs() {
        let dirs = PoolDirs::new(Path::new("/d"), "BP-1-127.0.0.1-2");
        let expected = "/d/current/BP-1-127.0.0.1-2/current/finalized/subdir0/subdir1";
        assert_eq!(dirs.finalized_of(BlockId(1_073_741_825 + 256)), Path::new(expected));
        assert_eq!(
            dirs.finalized_of(BlockId(0x1f_ff_00)),
            Path::new("/d/current/BP-1-127.0.0.1-2/current/finalized/subdir31/subdir31")
        );
    }
}
