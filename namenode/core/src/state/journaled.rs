//! The state as the journal keeps it: edits into records, rows into the checkpoint, and back.

use super::State;
use crate::derived::NAMENODE_HOLDER;
use crate::rows::{Edit, decode_record, encode_record};
use mammoth_protocol::journaled::{CorruptRow, Journaled};
use mammoth_protocol::{InodeId, Seq};

impl Journaled for State {
    type Edit = Edit;

    fn encode_edits(edits: &[Edit], out: &mut Vec<u8>) {
        encode_record(edits, out);
    }

    fn decode_edits(bytes: &[u8]) -> Result<Vec<Edit>, CorruptRow> {
        decode_record(bytes)
    }

    fn apply(&mut self, seq: Seq, edit: &Edit) {
        self.past.seq = self.past.seq.max(seq);
        if self.rows.is_loading() {
            self.rows.apply(seq, edit);
            return;
        }
        self.before(edit);
        self.rows.apply(seq, edit);
        self.after(seq, edit);
        self.publish_past();
    }

    fn load_row(&mut self, key: &[u8], value: &[u8]) -> Result<(), CorruptRow> {
        self.rows.load_row(key, value)
    }

    fn finish_load(&mut self) -> Result<(), CorruptRow> {
        self.rows.finish_load()?;
        self.derive()?;
        self.blocks.loaded(self.clock);
        // A leader may have recovered some of the replicas under the stamp that the row names, and another attempt under the
        // same stamp could agree on another length.
        self.leaderless.clear();
        let recovering =
            |id: &InodeId| self.rows.last_block(*id).and_then(|(_, _, building)| building?.recovery).is_some();
        self.resumed = self.leases.files_of(NAMENODE_HOLDER).filter(recovering).collect();
        self.publish_past();
        Ok(())
    }

    fn take_touched(&mut self, max: usize, out: &mut Vec<Vec<u8>>) {
        self.rows.take_touched(max, out);
    }

    fn encode_row(&self, key: &[u8], out: &mut Vec<u8>) -> bool {
        self.rows.encode_row(key, out)
    }
}
