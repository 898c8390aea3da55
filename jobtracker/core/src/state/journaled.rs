//! The state as the journal keeps it: edits into records, rows into the checkpoint, and back.

use super::State;
use crate::rows::{Edit, decode_record, encode_record};
use mammoth_protocol::Seq;
use mammoth_protocol::journaled::{CorruptRow, Journaled};

impl Journaled for State {
    type Edit = Edit;

    fn encode_edits(edits: &[Edit], out: &mut Vec<u8>) {
        encode_record(edits, out);
    }

    fn decode_edits(bytes: &[u8]) -> Result<Vec<Edit>, CorruptRow> {
        decode_record(bytes)
    }

    fn apply(&mut self, seq: Seq, edit: &Edit) {
        self.rows.apply(seq, edit);
        if !self.rows.is_loading() {
            self.after(edit);
        }
    }

    fn load_row(&mut self, key: &[u8], value: &[u8]) -> Result<(), CorruptRow> {
        self.rows.load_row(key, value)
    }

    fn finish_load(&mut self) -> Result<(), CorruptRow> {
        // Without a checkpoint the log is replayed like live edits. Whatever followed from them is of an earlier life.
        self.forget_soft();
        self.rows.finish_load()
    }

    fn take_touched(&mut self, max: usize, out: &mut Vec<Vec<u8>>) {
        self.rows.take_touched(max, out);
    }

    fn encode_row(&self, key: &[u8], out: &mut Vec<u8>) -> bool {
        self.rows.encode_row(key, out)
    }
}
