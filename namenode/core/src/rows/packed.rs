//! The bytes of an inode in memory. They are nobody's format: nothing of them is ever written down.
//!
//! | part | bytes |
//! |---|---|
//! | name | number (its length), then the text |
//! | flags | 1: `FILE`, `OPEN`, and how many blocks follow |
//! | sequence | number |
//! | parent | distance from the inode itself |
//! | modification time | number |
//! | access time | distance from the modification time |
//! | attributes | number: their place in the pool |
//! | each block | distance of its id from the first that is ever given out, number (stamp), number (length) |
//!
//! A *number* is 7 bits a byte, the lowest first; a *distance* is a number with its sign in the lowest bit. So a file of one
//! block with a name of 12 bytes takes about 45 bytes, and every value of every field can still be told.

use super::attrs::AttrsIx;
use mammoth_protocol::limits::BLOCKS_IN_FILE_ROW;
use mammoth_protocol::{Block, BlockId, GenStamp, InodeId, Seq};

const FILE: u8 = 1;
const OPEN: u8 = 2;
const COUNT_SHIFT: u8 = 2;
const _: () = assert!(BLOCKS_IN_FILE_ROW < 1 << (8 - COUNT_SHIFT));

/// What the bytes of an inode say, but for its blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packed<'a> {
    pub(super) name: &'a str,
    pub(super) is_file: bool,
    /// It has a lease or a construction, which are kept beside.
    pub(super) is_open: bool,
    pub(super) seq: Seq,
    pub(super) parent: InodeId,
    pub(super) mtime_ms: u64,
    pub(super) atime_ms: u64,
    pub(super) attrs: AttrsIx,
}

/// The blocks in a file's own row, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blocks<'a> {
    len: u8,
    rest: Reader<'a>,
}

impl Iterator for Blocks<'_> {
    type Item = Block;

    fn next(&mut self) -> Option<Block> {
        self.len = self.len.checked_sub(1)?;
        let id = BlockId(BlockId::RESERVED.0.wrapping_add(self.rest.distance()));
        Some(Block { id, stamp: GenStamp(self.rest.number()), len: self.rest.number() })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len.into(), Some(self.len.into()))
    }
}

impl ExactSizeIterator for Blocks<'_> {}

/// Appends the bytes of inode `id`.
pub(super) fn pack(id: InodeId, inode: &Packed<'_>, blocks: &[Block], out: &mut Vec<u8>) {
    let flag = |set: bool, flag| if set { flag } else { 0 };
    put_number(out, inode.name.len() as u64);
    out.extend_from_slice(inode.name.as_bytes());
    out.push(flag(inode.is_file, FILE) | flag(inode.is_open, OPEN) | ((blocks.len() as u8) << COUNT_SHIFT));
    put_number(out, inode.seq.0);
    put_distance(out, inode.parent.0.wrapping_sub(id.0) as i64);
    put_number(out, inode.mtime_ms);
    put_distance(out, inode.atime_ms.wrapping_sub(inode.mtime_ms) as i64);
    put_number(out, inode.attrs.0.into());
    for block in blocks {
        put_distance(out, block.id.0.wrapping_sub(BlockId::RESERVED.0));
        put_number(out, block.stamp.0);
        put_number(out, block.len);
    }
}

/// What [`pack`] made of inode `id`.
pub(super) fn unpack(id: InodeId, bytes: &[u8]) -> (Packed<'_>, Blocks<'_>) {
    let mut rest = Reader(bytes);
    let name = str::from_utf8(rest.text()).expect("the bytes were copied from a str");
    let flags = rest.byte();
    let seq = Seq(rest.number());
    let parent = InodeId(id.0.wrapping_add(rest.distance() as u64));
    let mtime_ms = rest.number();
    let atime_ms = mtime_ms.wrapping_add(rest.distance() as u64);
    let attrs = AttrsIx(rest.number() as u32);
    let (is_file, is_open) = (flags & FILE != 0, flags & OPEN != 0);
    let packed = Packed { name, is_file, is_open, seq, parent, mtime_ms, atime_ms, attrs };
    (packed, Blocks { len: flags >> COUNT_SHIFT, rest })
}

/// The name alone.
pub(super) fn name_of(bytes: &[u8]) -> &[u8] {
    Reader(bytes).text()
}

/// The folder alone.
pub(super) fn parent_of(id: InodeId, bytes: &[u8]) -> InodeId {
    let mut rest = Reader(bytes);
    rest.text();
    rest.byte();
    rest.number();
    InodeId(id.0.wrapping_add(rest.distance() as u64))
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_distance(out: &mut Vec<u8>, distance: i64) {
    put_number(out, ((distance << 1) ^ (distance >> 63)) as u64);
}

/// Reads what was packed from the front. Past the end, which nobody who packed gets to, all is zero.
#[derive(Clone, Copy, Debug)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> u64 {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        number
    }

    fn distance(&mut self) -> i64 {
        let number = self.number();
        (number >> 1) as i64 ^ -((number & 1) as i64)
    }

    fn text(&mut self) -> &'a [u8] {
        let len = self.number() as usize;
        let (text, rest) = self.0.split_at_checked(len).unwrap_or_default();
        self.0 = rest;
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block() -> impl Strategy<Value = Block> {
        (any::<i64>(), any::<u64>(), any::<u64>()).prop_map(|(id, stamp, len)| Block {
            id: BlockId(id),
            stamp: GenStamp(stamp),
            len,
        })
    }

    proptest! {
        #[test]
        fn every_value_comes_back(
            (id, seq, parent, mtime_ms, atime_ms) in any::<(u64, u64, u64, u64, u64)>(),
            (attrs, is_file, is_open, name) in any::<(u32, bool, bool, String)>(),
            blocks in proptest::collection::vec(block(), 0..=BLOCKS_IN_FILE_ROW),
        ) {
            let (id, parent, seq, attrs) = (InodeId(id), InodeId(parent), Seq(seq), AttrsIx(attrs));
            let inode = Packed { name: &name, is_file, is_open, seq, parent, mtime_ms, atime_ms, attrs };
            let mut bytes = Vec::new();
            pack(id, &inode, &blocks, &mut bytes);
            let (packed, found) = unpack(id, &bytes);
            prop_assert_eq!(packed, inode);
            prop_assert_eq!(found.len(), blocks.len());
            prop_assert_eq!(found.collect::<Vec<_>>(), blocks);
            prop_assert_eq!((name_of(&bytes), parent_of(id, &bytes)), (name.as_bytes(), parent));
        }
    }

    #[test]
    fn a_usual_file_takes_few_bytes() {
        let inode = Packed {
            name: "part-r-00000",
            is_file: true,
            is_open: false,
            seq: Seq(40_000_000),
            parent: InodeId(9_999_000),
            mtime_ms: 1_800_000_000_000,
            atime_ms: 1_800_000_000_900,
            attrs: AttrsIx(9),
        };
        let block = Block { id: BlockId(BlockId::RESERVED.0 + 10_000_000), stamp: GenStamp(10_001_000), len: 1 << 27 };
        let mut bytes = Vec::new();
        pack(InodeId(10_000_000), &inode, &[block], &mut bytes);
        assert!(bytes.len() <= 45, "{} bytes", bytes.len());
    }
}
