//! The bytes of rows and log records: a version byte, then postcard of the structs below (rows) or of a list of
//! [`Edit`]s (records). Fields and variants are told by their order: a change of any of them is a new version, with a step
//! that reads the old one. The golden tests hold every form down.

use super::inode::{FileParts, InodeParts};
use super::{Attrs, BLOCK_BYTES_MAX, Building, Edit, File, Inode, Lease, Meta, Retry, RowKey, Rows, Run, Segment};
use mammoth_protocol::journaled::CorruptRow;
use mammoth_protocol::limits::{BLOCKS_IN_FILE_ROW, BLOCKS_PER_ROW};
use mammoth_protocol::{Block, GenStamp, InodeId, Seq, StorageId, versioned};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// First byte of every row.
const ROW_VERSION: u8 = 1;
/// First byte of every record of the log.
const RECORD_VERSION: u8 = 1;

/// An inode as the checkpoint has it.
#[derive(Serialize, Deserialize)]
struct InodeRow<'a> {
    seq: Seq,
    parent: InodeId,
    #[serde(borrow)]
    name: &'a str,
    #[serde(borrow)]
    owner: &'a str,
    #[serde(borrow)]
    group: &'a str,
    mode: u16,
    mtime_ms: u64,
    atime_ms: u64,
    file: Option<FileRow<'a>>,
}

/// What only files have.
#[derive(Serialize, Deserialize)]
struct FileRow<'a> {
    replication: u16,
    block_size: u64,
    #[serde(borrow)]
    first: RunRow<'a>,
    lease: Option<Cow<'a, Lease>>,
}

/// Blocks, and the construction of the last.
#[derive(Serialize, Deserialize)]
struct RunRow<'a> {
    blocks: Cow<'a, [Block]>,
    building: BuildingRow<'a>,
}

/// The construction of the last block. A further form goes to the end, so that older rows read as they did.
#[derive(Serialize, Deserialize)]
enum BuildingRow<'a> {
    /// It is complete.
    None,
    /// A writer or a recovery is at work.
    Written { targets: Cow<'a, [StorageId]>, recovery: Option<GenStamp> },
    /// A recovery cuts it to `len` bytes.
    Cut { targets: Cow<'a, [StorageId]>, recovery: Option<GenStamp>, len: u64 },
}

/// Further blocks of a file.
#[derive(Serialize, Deserialize)]
struct SegmentRow<'a> {
    seq: Seq,
    #[serde(borrow)]
    run: RunRow<'a>,
}

impl<'a> From<&'a Run> for RunRow<'a> {
    fn from(run: &'a Run) -> Self {
        Self { blocks: Cow::Borrowed(run.blocks()), building: run.building().into() }
    }
}

impl<'a> From<File<'a>> for RunRow<'a> {
    fn from(file: File<'a>) -> Self {
        Self { blocks: Cow::Owned(file.first.collect()), building: file.building.into() }
    }
}

impl<'a> From<Option<&'a Building>> for BuildingRow<'a> {
    fn from(building: Option<&'a Building>) -> Self {
        let Some(Building { targets, recovery, cut }) = building else { return Self::None };
        let (targets, recovery) = (Cow::Borrowed(targets.as_slice()), *recovery);
        match *cut {
            None => Self::Written { targets, recovery },
            Some(len) => Self::Cut { targets, recovery, len },
        }
    }
}

impl BuildingRow<'_> {
    fn into_building(self) -> Option<Building> {
        match self {
            Self::None => None,
            Self::Written { targets, recovery } => {
                Some(Building { targets: targets.into_owned(), recovery, cut: None })
            }
            Self::Cut { targets, recovery, len } => {
                Some(Building { targets: targets.into_owned(), recovery, cut: Some(len) })
            }
        }
    }
}

impl RunRow<'_> {
    fn into_run(self, max: usize) -> Result<Run, &'static str> {
        if self.blocks.len() > max {
            return Err("it has too many blocks");
        }
        if self.blocks.iter().any(|block| block.len > BLOCK_BYTES_MAX) {
            return Err("it has a block that is too long");
        }
        let building = self.building.into_building();
        if self.blocks.is_empty() && building.is_some() {
            return Err("it builds a block that it lacks");
        }
        Ok(Run::new(self.blocks.into_owned(), building.map(Box::new)))
    }
}

impl Rows {
    /// Appends the row's present value to `out`; `false` if there is no such row.
    pub(crate) fn encode_row(&self, key: &[u8], out: &mut Vec<u8>) -> bool {
        match RowKey::decode(key) {
            Some(RowKey::Meta) => write(&self.meta, out),
            Some(RowKey::Inode(id)) => self.inode(id).is_some_and(|inode| write(&inode_row(&inode), out)),
            Some(RowKey::Blocks(id, segment)) => self
                .segments
                .get(&(id, segment))
                .is_some_and(|segment| write(&SegmentRow { seq: segment.seq, run: (&segment.run).into() }, out)),
            Some(RowKey::Retry(seq)) => self.retries.get(&seq).is_some_and(|retry| write(retry, out)),
            None => false,
        }
    }

    /// Takes a row in.
    pub(super) fn decode_row(&mut self, key: RowKey, value: &[u8]) -> Result<(), CorruptRow> {
        let at = format_args!("row {key:?}");
        let corrupt = |what: &str| CorruptRow { what: format!("{at}: {what}") };
        match key {
            RowKey::Meta => self.meta.raise(&versioned::read::<Meta>(ROW_VERSION, value, at)?),
            RowKey::Inode(id) => {
                let inode = self.inode_of(versioned::read(ROW_VERSION, value, at)?).map_err(corrupt)?;
                self.inodes.put(id, inode).map_err(corrupt)?;
            }
            RowKey::Blocks(id, number) => {
                let row: SegmentRow<'_> = versioned::read(ROW_VERSION, value, at)?;
                let segment = Segment { seq: row.seq, run: row.run.into_run(BLOCKS_PER_ROW).map_err(corrupt)? };
                if segment.run.blocks().is_empty() {
                    return Err(corrupt("it has no blocks"));
                }
                self.segments.insert((id, number), segment);
            }
            RowKey::Retry(seq) => {
                self.retries.insert(seq, versioned::read::<Retry>(ROW_VERSION, value, at)?);
            }
        }
        Ok(())
    }

    fn inode_of(&mut self, row: InodeRow<'_>) -> Result<InodeParts, &'static str> {
        let InodeRow { seq, parent, name, owner, group, mode, mtime_ms, atime_ms, file } = row;
        let (replication, block_size, file) = match file {
            None => (0, 0, None),
            Some(file) => {
                let first = file.first.into_run(BLOCKS_IN_FILE_ROW)?;
                let lease = file.lease.map(Cow::into_owned);
                (file.replication, file.block_size, Some(FileParts { first, lease }))
            }
        };
        let (owner, group) = (owner.into(), group.into());
        let attrs = self.inodes.place_of(Attrs { owner, group, mode, replication, block_size });
        Ok(InodeParts { seq, parent, name: name.into(), mtime_ms, atime_ms, attrs, file })
    }
}

fn inode_row<'a>(inode: &Inode<'a>) -> InodeRow<'a> {
    InodeRow {
        seq: inode.seq,
        parent: inode.parent,
        name: inode.name,
        owner: &inode.attrs.owner,
        group: &inode.attrs.group,
        mode: inode.attrs.mode,
        mtime_ms: inode.mtime_ms,
        atime_ms: inode.atime_ms,
        file: inode.file.map(|file| FileRow {
            replication: inode.attrs.replication,
            block_size: inode.attrs.block_size,
            first: file.into(),
            lease: file.lease.map(Cow::Borrowed),
        }),
    }
}

/// Appends version and value; always `true`, for use at the end of a chain.
fn write<T: Serialize>(value: &T, out: &mut Vec<u8>) -> bool {
    versioned::write(ROW_VERSION, value, out);
    true
}

/// Appends the record of one decision.
pub(crate) fn encode_record(edits: &[Edit], out: &mut Vec<u8>) {
    versioned::write(RECORD_VERSION, edits, out);
}

/// Reads what [`encode_record`] wrote.
///
/// # Errors
/// Bytes that are no record.
pub(crate) fn decode_record(bytes: &[u8]) -> Result<Vec<Edit>, CorruptRow> {
    versioned::read(RECORD_VERSION, bytes, "a record of the edit log")
}
