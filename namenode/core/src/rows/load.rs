//! Loading: rows of the checkpoint come in, then the tail of the log on top of them.

use super::{RowKey, Rows};
use mammoth_protocol::Seq;
use mammoth_protocol::journaled::CorruptRow;
use std::collections::BTreeSet;

/// Present from the first loaded row to the end of loading.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate {
    /// The record whose edits are being replayed.
    record: Seq,
    /// Rows that this record has changed: they carry its sequence already and yet its further edits of them count.
    opened: BTreeSet<RowKey>,
    /// The first thing that cannot be.
    damage: Option<CorruptRow>,
}

impl Gate {
    /// Whether an edit of record `seq` is still missing in a row that carries `row_seq`.
    pub(super) fn lets_in(&mut self, key: RowKey, row_seq: Option<Seq>, seq: Seq) -> bool {
        if self.record != seq {
            self.record = seq;
            self.opened.clear();
        }
        if self.opened.contains(&key) {
            return true;
        }
        if row_seq.is_some_and(|row| row >= seq) {
            return false;
        }
        self.opened.insert(key);
        true
    }
}

impl Rows {
    /// Rows are being loaded: what is derived from them is not there yet.
    pub(crate) fn is_loading(&self) -> bool {
        self.gate.is_some()
    }

    /// Loading begins, also where the checkpoint has no row yet.
    pub(crate) fn begin_load(&mut self) {
        self.gate.get_or_insert_default();
    }

    /// Takes one row of the checkpoint.
    ///
    /// # Errors
    /// A key or value that is no row.
    pub(crate) fn load_row(&mut self, key: &[u8], value: &[u8]) -> Result<(), CorruptRow> {
        self.begin_load();
        let parsed =
            RowKey::decode(key).ok_or_else(|| CorruptRow { what: format!("{key:02x?} is no key of a row") })?;
        self.decode_row(parsed, value)
    }

    /// Ends loading: forgets calls below the floor, for good.
    ///
    /// # Errors
    /// An edit of the tail did not fit its row.
    pub(crate) fn finish_load(&mut self) -> Result<(), CorruptRow> {
        let damage = self.gate.take().and_then(|gate| gate.damage);
        self.drop_forgotten();
        damage.map_or(Ok(()), Err)
    }

    /// Takes the calls at or below the floor out of memory and out of the checkpoint.
    pub(super) fn drop_forgotten(&mut self) {
        let floor = self.meta.retry_floor;
        while let Some(entry) = self.retries.first_entry().filter(|entry| *entry.key() <= floor) {
            let seq = *entry.key();
            entry.remove();
            self.touch(RowKey::Retry(seq));
        }
    }

    /// An edit that does not fit its row. Live, `decide` has checked everything, so it is a bug; on replay, the log or the
    /// checkpoint was changed by somebody else, and loading ends with an error.
    pub(super) fn mismatch(&mut self, seq: Seq, key: RowKey, what: &str) {
        match &mut self.gate {
            Some(gate) if gate.damage.is_none() => {
                gate.damage = Some(CorruptRow { what: format!("record {seq} does not fit row {key:?}: {what}") });
            }
            Some(_) => {}
            None => debug_assert!(false, "record {seq} does not fit row {key:?}: {what}"),
        }
    }
}
