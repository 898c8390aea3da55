//! Commands: each is judged by the present state and becomes edits and a reply, or a refusal without effect.
//!
//! One file per family of calls. Nothing here changes the state; edits do, through `apply`.

mod add_block;
mod append;
mod attributes;
mod complete;
mod concat;
mod create;
mod delete;
mod draft;
mod lease;
mod mkdirs;
mod pipeline;
mod reclaim;
pub(crate) mod recovery;
mod rename;
mod retry;
mod truncate;

#[cfg(test)]
mod tests;

pub(crate) use lease::leased_file;

use crate::api::{Command, InternalCommand, Reply};
use crate::rows::Edit;
use crate::state::State;
use draft::Draft;
use mammoth_protocol::limits::PRINCIPAL_BYTES_MAX;
use mammoth_protocol::{Caller, ErrorCode, FsError, Now};

/// What a command leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// To be applied and logged together, as one record; none if the command changes nothing.
    pub edits: Vec<Edit>,
    /// To be given to the caller once the edits, and all before them, are durable.
    pub reply: Reply,
}

impl State {
    /// Judges a command. `entropy` decides between equals where the choice is free.
    ///
    /// # Errors
    /// A refusal: the command has no effect. It, too, may only be told once everything that it saw is durable.
    pub fn decide(&self, now: Now, entropy: u64, caller: &Caller, command: &Command) -> Result<Decision, FsError> {
        if let Some(reply) = retry::recall(self, caller, command) {
            return Ok(Decision { edits: Vec::new(), reply });
        }
        if caller.user.len() > PRINCIPAL_BYTES_MAX {
            return Err(FsError::new(ErrorCode::IllegalArgument, "The user's name is too long"));
        }
        let mut draft = Draft::new(self, now, entropy, caller);
        let reply = decide(&mut draft, command)?;
        retry::remember(&mut draft, command, &reply);
        Ok(Decision { edits: draft.into_edits(), reply })
    }
}

fn decide(draft: &mut Draft<'_>, command: &Command) -> Result<Reply, FsError> {
    match command {
        Command::Mkdirs { path, mode, create_parent } => mkdirs::mkdirs(draft, path, *mode, *create_parent),
        Command::Create { path, mode, overwrite, create_parent, replication, block_size, client } => {
            let wish = create::Wish {
                path,
                mode: *mode,
                overwrite: *overwrite,
                create_parent: *create_parent,
                replication: *replication,
                block_size: *block_size,
                client,
            };
            create::create(draft, &wish)
        }
        Command::Append { path, client, new_block } => append::append(draft, path, client, *new_block),
        Command::AddBlock { path, file, client, previous, exclude, favored } => {
            let wish = add_block::Wish { path, file: *file, client, previous: *previous, exclude, favored };
            add_block::add_block(draft, &wish)
        }
        Command::AbandonBlock { path, file, client, block } => {
            pipeline::abandon_block(draft, path, *file, client, *block)
        }
        Command::Complete { path, file, client, last } => complete::complete(draft, path, *file, client, *last),
        Command::Fsync { path, file, client, last_len } => pipeline::fsync(draft, path, *file, client, *last_len),
        Command::UpdateBlockForPipeline { block, client } => pipeline::new_stamp(draft, *block, client),
        Command::UpdatePipeline { client, old, new, storages } => {
            pipeline::update_pipeline(draft, client, *old, *new, storages)
        }
        Command::RecoverLease { path, client } => recovery::recover_lease(draft, path, client),
        Command::Truncate { path, len, client } => truncate::truncate(draft, path, *len, client),
        Command::Concat { target, sources } => concat::concat(draft, target, sources),
        Command::Rename { src, dst } => rename::rename(draft, src, dst),
        Command::Rename2 { src, dst, overwrite } => rename::rename2(draft, src, dst, *overwrite),
        Command::Delete { path, recursive } => delete::delete(draft, path, *recursive),
        Command::SetReplication { path, replication } => attributes::set_replication(draft, path, *replication),
        Command::SetPermission { path, mode } => attributes::set_permission(draft, path, *mode),
        Command::SetOwner { path, owner, group } => {
            attributes::set_owner(draft, path, owner.as_deref(), group.as_deref())
        }
        Command::SetTimes { path, mtime_ms, atime_ms } => attributes::set_times(draft, path, *mtime_ms, *atime_ms),
        Command::CommitBlockSync(sync) => recovery::commit_block_sync(draft, sync),
        Command::Internal(command) => decide_internal(draft, command),
    }
}

fn decide_internal(draft: &mut Draft<'_>, command: &InternalCommand) -> Result<Reply, FsError> {
    draft.guard("Cannot do the work that is due")?;
    match command {
        InternalCommand::ExpireLease { file, holder } => recovery::expire_lease(draft, *file, holder),
        InternalCommand::ContinueRecovery { file } => recovery::continue_recovery(draft, *file),
        InternalCommand::Reclaim { root } => reclaim::reclaim(draft, *root),
        InternalCommand::ForgetRetries => retry::forget(draft),
    }
}
