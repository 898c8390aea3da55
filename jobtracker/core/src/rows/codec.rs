//! The bytes of rows and log records: a version byte, then postcard of a row or of a list of [`Edit`]s. Fields and variants are
//! told by their order: a change of any of them is a new version, with a step that reads the old one. The golden tests hold
//! every form down.

use super::{Edit, RowKey, Rows};
use mammoth_protocol::jobs::Counters;
use mammoth_protocol::journaled::CorruptRow;
use mammoth_protocol::limits::{COUNTER_NAME_BYTES_MAX, ROW_BYTES_MAX};
use mammoth_protocol::{Seq, versioned};
use serde::Serialize;

/// First byte of every row.
const ROW_VERSION: u8 = 1;
/// First byte of every record of the log.
const RECORD_VERSION: u8 = 1;
/// Bytes of counters in a page, roughly: the rest of the row holds one more counter and what frames them.
const PAGE_BYTES: usize = ROW_BYTES_MAX / 2;

const _: () = assert!(PAGE_BYTES + 2 * COUNTER_NAME_BYTES_MAX + 100 < ROW_BYTES_MAX);

impl RowKey {
    pub(crate) fn encode(self) -> Vec<u8> {
        match self {
            Self::Meta => vec![0],
            Self::Job(number) => [&[1_u8][..], &number.to_be_bytes()].concat(),
            Self::Counters(number, page) => [&[2_u8][..], &number.to_be_bytes(), &page.to_be_bytes()].concat(),
            Self::App(number) => [&[3_u8][..], &number.to_be_bytes()].concat(),
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0] => Some(Self::Meta),
            [1, a, b, c, d] => Some(Self::Job(u32::from_be_bytes([*a, *b, *c, *d]))),
            [2, a, b, c, d, e, f] => {
                Some(Self::Counters(u32::from_be_bytes([*a, *b, *c, *d]), u16::from_be_bytes([*e, *f])))
            }
            [3, a, b, c, d] => Some(Self::App(u32::from_be_bytes([*a, *b, *c, *d]))),
            _ => None,
        }
    }
}

impl Rows {
    /// Appends the row's present value to `out`; `false` if there is no such row.
    pub(crate) fn encode_row(&self, key: &[u8], out: &mut Vec<u8>) -> bool {
        match RowKey::decode(key) {
            Some(RowKey::Meta) => write(&self.meta, out),
            Some(RowKey::Job(number)) => self.jobs.get(&number).is_some_and(|row| write(row, out)),
            Some(RowKey::Counters(number, page)) => {
                self.counters.get(&(number, page)).is_some_and(|row| write(row, out))
            }
            Some(RowKey::App(number)) => self.apps.get(&number).is_some_and(|row| write(row, out)),
            None => false,
        }
    }

    /// Takes one row of the checkpoint.
    ///
    /// # Errors
    /// A key or value that is no row.
    pub(crate) fn load_row(&mut self, key: &[u8], value: &[u8]) -> Result<(), CorruptRow> {
        self.begin_load();
        let key = RowKey::decode(key).ok_or_else(|| CorruptRow { what: format!("{key:02x?} is no key of a row") })?;
        let at = format_args!("row {key:?}");
        match key {
            RowKey::Meta => self.meta = versioned::read(ROW_VERSION, value, at)?,
            RowKey::Job(number) => drop(self.jobs.insert(number, versioned::read(ROW_VERSION, value, at)?)),
            RowKey::Counters(number, page) => {
                let row: (Seq, Counters) = versioned::read(ROW_VERSION, value, at)?;
                self.counters.insert((number, page), row);
            }
            RowKey::App(number) => drop(self.apps.insert(number, versioned::read(ROW_VERSION, value, at)?)),
        }
        Ok(())
    }
}

/// Cuts counters into pages that fit a row each. Names are short by then.
pub(crate) fn pages_of(counters: &Counters) -> Vec<Counters> {
    let mut pages = Vec::new();
    let (mut page, mut bytes) = (Counters::default(), 0);
    for (group, names) in &counters.groups {
        for (name, value) in names {
            if bytes > PAGE_BYTES {
                pages.push(std::mem::take(&mut page));
                bytes = 0;
            }
            page.add(group, name, *value);
            bytes += group.len() + name.len() + 16;
        }
    }
    if !page.is_empty() {
        pages.push(page);
    }
    pages
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
