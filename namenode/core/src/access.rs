//! Permissions: who may do what, by POSIX bits.

use crate::errors::{denied, not_a_folder};
use crate::paths::Resolved;
use crate::rows::Inode;
use crate::state::State;
use mammoth_protocol::{Auth, Caller, FsError, InodeId};

/// Bits of a permission that is asked for; they add up.
pub(crate) type Action = u8;

pub(crate) const READ: Action = 4;
pub(crate) const WRITE: Action = 2;
pub(crate) const EXECUTE: Action = 1;
pub(crate) const ALL: Action = 7;

const STICKY: u16 = 0o1000;

/// Checks of one caller. Every check passes for the superuser, and if permissions are switched off; the tree's own rule,
/// that only folders have something below them, holds for everybody.
#[derive(Clone, Copy)]
pub(crate) struct Access<'a> {
    state: &'a State,
    caller: &'a Caller,
}

impl<'a> Access<'a> {
    pub(crate) fn new(state: &'a State, caller: &'a Caller) -> Self {
        Self { state, caller }
    }

    /// Whether the caller may do everything.
    pub(crate) fn is_superuser(self) -> bool {
        let config = &self.state.config;
        self.caller.auth == Auth::Internal
            || self.caller.user == config.superuser
            || self.caller.groups.contains(&config.supergroup)
    }

    fn passes(self) -> bool {
        !self.state.config.permissions || self.is_superuser()
    }

    /// Every inode above the last name is a folder that the caller may pass through.
    pub(crate) fn traverse(self, resolved: &Resolved<'_>) -> Result<(), FsError> {
        let names = resolved.chain.len() + resolved.missing - 1;
        for (depth, id) in resolved.chain.iter().take(names).enumerate() {
            let Some(inode) = self.state.rows.inode(*id) else { continue };
            if !inode.is_dir() {
                return Err(not_a_folder(resolved.prefix(depth)));
            }
            self.check(&inode, EXECUTE, || resolved.prefix(depth))?;
        }
        Ok(())
    }

    /// The path's own inode, if it exists, allows `action`.
    pub(crate) fn on_path(self, resolved: &Resolved<'_>, action: Action) -> Result<(), FsError> {
        match resolved.last().and_then(|id| self.state.rows.inode(id)) {
            Some(inode) => self.check(&inode, action, || resolved.path.to_string()),
            None => Ok(()),
        }
    }

    /// The folder in which the first missing name would be made (of a path that exists, the folder that it is in) allows
    /// `action`.
    pub(crate) fn on_ancestor(self, resolved: &Resolved<'_>, action: Action) -> Result<(), FsError> {
        let depth =
            if resolved.missing == 0 { resolved.chain.len().saturating_sub(2) } else { resolved.chain.len() - 1 };
        match resolved.chain.get(depth).and_then(|id| self.state.rows.inode(*id)) {
            Some(inode) => self.check(&inode, action, || resolved.prefix(depth)),
            None => Ok(()),
        }
    }

    /// The caller may take the path's inode out of its folder: write there, and the sticky bit does not forbid it.
    pub(crate) fn on_removal(self, resolved: &Resolved<'_>) -> Result<(), FsError> {
        let Some(parent) = resolved.parent().and_then(|id| self.state.rows.inode(id)) else { return Ok(()) };
        let parent_path = || resolved.prefix(resolved.chain.len() + resolved.missing - 2);
        if let Some(inode) = resolved.last().and_then(|id| self.state.rows.inode(id)) {
            self.check_sticky(&parent, &inode, parent_path, || resolved.path.to_string())?;
        }
        self.check(&parent, WRITE, parent_path)
    }

    /// A folder, however the caller came to it, allows `action`.
    pub(crate) fn on_folder(self, id: InodeId, action: Action) -> Result<(), FsError> {
        match self.state.rows.inode(id) {
            Some(inode) => self.check(&inode, action, || self.state.path_of(id)),
            None => Ok(()),
        }
    }

    /// The caller may empty every folder at and below `id`, with all that is in them. Looks at every folder below, except for
    /// the superuser.
    pub(crate) fn on_subtree(self, id: InodeId) -> Result<(), FsError> {
        if self.passes() {
            return Ok(());
        }
        let mut waiting = vec![id];
        while let Some(id) = waiting.pop() {
            let (Some(inode), Some(children)) = (self.state.rows.inode(id), self.state.tree.children(id)) else {
                continue;
            };
            self.check(&inode, ALL, || self.state.path_of(id))?;
            for child in children.iter() {
                let Some(entry) = self.state.rows.inode(child) else { continue };
                self.check_sticky(&inode, &entry, || self.state.path_of(id), || self.state.path_of(child))?;
                if entry.is_dir() {
                    waiting.push(child);
                }
            }
        }
        Ok(())
    }

    /// The caller owns the path's inode.
    pub(crate) fn owns(self, resolved: &Resolved<'_>) -> Result<(), FsError> {
        let Some(inode) = resolved.last().and_then(|id| self.state.rows.inode(id)) else { return Ok(()) };
        if self.passes() || *inode.attrs.owner == *self.caller.user {
            return Ok(());
        }
        let user = &self.caller.user;
        Err(denied(format!("Permission denied. user={user} is not the owner of inode={}", resolved.path)))
    }

    /// The caller may give its inodes to this owner and group.
    pub(crate) fn may_give(self, owner: Option<&str>, group: Option<&str>) -> Result<(), FsError> {
        if self.passes() {
            return Ok(());
        }
        let user = &self.caller.user;
        if owner.is_some_and(|owner| owner != user) {
            return Err(denied(format!("User {user} is not a super user (non-super user cannot change owner).")));
        }
        match group {
            Some(group) if !self.caller.groups.iter().any(|mine| mine == group) => {
                Err(denied(format!("User {user} does not belong to {group}")))
            }
            _ => Ok(()),
        }
    }

    fn check(self, inode: &Inode<'_>, action: Action, path: impl FnOnce() -> String) -> Result<(), FsError> {
        if self.passes() || self.bits_for(inode) & action == action {
            return Ok(());
        }
        let user = &self.caller.user;
        let what = describe(inode, &path());
        Err(denied(format!("Permission denied: user={user}, access={}, inode={what}", action_name(action))))
    }

    fn check_sticky(
        self,
        parent: &Inode<'_>,
        inode: &Inode<'_>,
        parent_path: impl FnOnce() -> String,
        path: impl FnOnce() -> String,
    ) -> Result<(), FsError> {
        let user = &*self.caller.user;
        let owns = *parent.attrs.owner == *user || *inode.attrs.owner == *user;
        if parent.attrs.mode & STICKY == 0 || owns || self.passes() {
            return Ok(());
        }
        let (path, parent) = (describe(inode, &path()), describe(parent, &parent_path()));
        Err(denied(format!("Permission denied by sticky bit: user={user}, path={path}, parent={parent}")))
    }

    /// The three bits that count for the caller: the owner's, else the group's, else the others'.
    fn bits_for(self, inode: &Inode<'_>) -> Action {
        let attrs = &inode.attrs;
        let shift = if *attrs.owner == *self.caller.user {
            6
        } else if self.caller.groups.iter().any(|group| **group == *attrs.group) {
            3
        } else {
            0
        };
        ((attrs.mode >> shift) & 7) as Action
    }
}

/// `"/a":alice:staff:drwxr-xr-x`
fn describe(inode: &Inode<'_>, path: &str) -> String {
    let attrs = &inode.attrs;
    let kind = if inode.is_dir() { 'd' } else { '-' };
    format!("\"{path}\":{}:{}:{kind}{}", attrs.owner, attrs.group, mode_text(attrs.mode))
}

/// `rwxr-xr-x`, with `t` or `T` at the end for the sticky bit.
fn mode_text(mode: u16) -> String {
    let mut text: String =
        (0..9).map(|bit| if mode & (0o400 >> bit) == 0 { '-' } else { ['r', 'w', 'x'][bit % 3] }).collect();
    if mode & STICKY != 0 {
        text.pop();
        text.push(if mode & 1 == 0 { 'T' } else { 't' });
    }
    text
}

fn action_name(action: Action) -> &'static str {
    match action & ALL {
        0 => "NONE",
        1 => "EXECUTE",
        2 => "WRITE",
        3 => "WRITE_EXECUTE",
        4 => "READ",
        5 => "READ_EXECUTE",
        6 => "READ_WRITE",
        _ => "ALL",
    }
}
