//! The retry cache: a call that changed something and whose answer was lost is told the same again, and does nothing twice.
//!
//! Only calls that are not idempotent by the file's own state are remembered. They are hard state, in the same record as what
//! they changed: a namenode that restarts in between remembers both or neither.

use super::draft::Draft;
use crate::api::{Command, Reply};
use crate::rows::Edit;
use crate::state::State;
use mammoth_protocol::limits::{RETRY_ENTRIES_MAX, RETRY_KEEP_MS};
use mammoth_protocol::{Caller, FsError, Now, Seq};

/// Calls that one decision forgets at most.
const FORGET_SLICE: usize = 10_000;
/// Places that a remembered block keeps, so that a row stays within its limit.
const PLACES_MAX: usize = 16;

/// What this call was told before, if it is a retry.
pub(super) fn recall(state: &State, caller: &Caller, command: &Command) -> Option<Reply> {
    let call = caller.call.filter(|_| is_remembered(command))?;
    state.rows.retries.get(state.calls.get(&call)?).map(|retry| retry.reply.clone())
}

/// Remembers a call that changes something and succeeds.
pub(super) fn remember(draft: &mut Draft<'_>, command: &Command, reply: &Reply) {
    let Some(call) = draft.caller.call else { return };
    // A truncation that finds nothing to do is remembered too: a late copy of it must not cut what was written since.
    let counts = !draft.is_empty() || matches!(command, Command::Truncate { .. });
    if !is_remembered(command) || !counts || matches!(reply, Reply::Refused(_)) {
        return;
    }
    let mut reply = reply.clone();
    if let Reply::Appended { last: Some(last), .. } = &mut reply {
        last.places.truncate(PLACES_MAX);
    }
    let wall_ms = draft.now.wall_ms;
    draft.push(Edit::Remembered { call, reply, wall_ms });
}

fn is_remembered(command: &Command) -> bool {
    match command {
        Command::Create { .. }
        | Command::Append { .. }
        | Command::Truncate { .. }
        | Command::Concat { .. }
        | Command::UpdatePipeline { .. }
        | Command::Rename { .. }
        | Command::Rename2 { .. }
        | Command::Delete { .. } => true,
        Command::Mkdirs { .. }
        | Command::AddBlock { .. }
        | Command::AbandonBlock { .. }
        | Command::Complete { .. }
        | Command::Fsync { .. }
        | Command::UpdateBlockForPipeline { .. }
        | Command::RecoverLease { .. }
        | Command::SetReplication { .. }
        | Command::SetPermission { .. }
        | Command::SetOwner { .. }
        | Command::SetTimes { .. }
        | Command::CommitBlockSync(_)
        | Command::Internal(_) => false,
    }
}

impl State {
    /// Up to which remembered call, if any, is to be forgotten now: those that are old, and those above the limit.
    pub(crate) fn retries_due(&self, now: Now) -> Option<Seq> {
        let excess = self.rows.retries.len().saturating_sub(RETRY_ENTRIES_MAX);
        let due =
            self.rows.retries.iter().take(FORGET_SLICE).enumerate().take_while(|(nth, (_, retry))| {
                *nth < excess || retry.wall_ms.saturating_add(RETRY_KEEP_MS) < now.wall_ms
            });
        due.last().map(|(_, (seq, _))| *seq)
    }
}

/// Forgets the calls that are due.
pub(super) fn forget(draft: &mut Draft<'_>) -> Result<Reply, FsError> {
    if let Some(floor) = draft.state.retries_due(draft.now) {
        draft.push(Edit::Forgotten { floor });
    }
    Ok(Reply::Unit)
}
