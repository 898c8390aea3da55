//! What a state machine offers so that an edit log and a checkpoint can keep it.

use crate::ids::Seq;

/// A deterministic state machine whose changes are edits and whose hard state is rows.
///
/// One log record is the edits of one decision; all of them carry its sequence. Each edit changes one row only, so that a
/// checkpoint may hold rows of different age and replay can skip an edit's effect on a row that is already past it.
pub trait Journaled: Sized {
    /// One change of one row.
    type Edit;

    /// Appends the encoded edits of one decision to `out`.
    fn encode_edits(edits: &[Self::Edit], out: &mut Vec<u8>);

    /// Reads what [`Self::encode_edits`] wrote.
    ///
    /// # Errors
    /// Bytes that are no list of edits.
    fn decode_edits(bytes: &[u8]) -> Result<Vec<Self::Edit>, CorruptRow>;

    /// Applies one edit of record `seq`; the only code that changes hard state, live and on replay. Between the first
    /// [`Self::load_row`] and [`Self::finish_load`], an effect on a row that is already at or past `seq` is skipped.
    fn apply(&mut self, seq: Seq, edit: &Self::Edit);

    /// Takes one row of the checkpoint; the value holds the sequence of the row's last edit.
    ///
    /// # Errors
    /// A key or value that is no row.
    fn load_row(&mut self, key: &[u8], value: &[u8]) -> Result<(), CorruptRow>;

    /// Builds what is derived from rows, after the checkpoint and the tail of the log are in.
    ///
    /// # Errors
    /// Rows that contradict each other.
    fn finish_load(&mut self) -> Result<(), CorruptRow>;

    /// Moves up to `max` keys of rows touched since they were last taken into `out`, in key order, each once.
    fn take_touched(&mut self, max: usize, out: &mut Vec<Vec<u8>>);

    /// Appends the row's present value to `out`; `false` if the row is gone and must leave the checkpoint.
    fn encode_row(&self, key: &[u8], out: &mut Vec<u8>) -> bool;
}

/// Bytes of a log record or a row that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct CorruptRow {
    /// What was wrong with which row.
    pub what: String,
}
