//! A decision in the making.

use crate::access::Access;
use crate::paths::{At, Resolved};
use crate::rows::{Created, Edit, Meta, NewFile};
use crate::state::State;
use mammoth_protocol::{BlockId, Caller, DfsPath, ErrorCode, FsError, GenStamp, InodeId, Now};

/// The edits so far, and what they are decided from.
pub(super) struct Draft<'a> {
    pub(super) state: &'a State,
    pub(super) now: Now,
    pub(super) entropy: u64,
    pub(super) caller: &'a Caller,
    edits: Vec<Edit>,
    /// The counters as the edits so far will leave them.
    meta: Meta,
}

impl<'a> Draft<'a> {
    pub(super) fn new(state: &'a State, now: Now, entropy: u64, caller: &'a Caller) -> Self {
        Self { state, now, entropy, caller, edits: Vec::new(), meta: state.rows.meta }
    }

    /// Adds an edit.
    pub(super) fn push(&mut self, edit: Edit) {
        self.meta = edit.allocates(&self.meta);
        self.edits.push(edit);
    }

    /// Whether nothing changes so far.
    pub(super) fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.edits.len()
    }

    pub(super) fn into_edits(self) -> Vec<Edit> {
        self.edits
    }

    /// The id of the next inode; taken by the edit that names it.
    pub(super) fn next_inode(&self) -> InodeId {
        InodeId(self.meta.last_inode.0 + 1)
    }

    /// The id of the next block; taken by the edit that names it.
    pub(super) fn next_block(&self) -> BlockId {
        BlockId(self.meta.last_block.0 + 1)
    }

    /// The next stamp; taken by the edit that names it.
    pub(super) fn next_stamp(&self) -> GenStamp {
        GenStamp(self.meta.last_stamp.0 + 1)
    }

    /// The highest stamp ever given out.
    pub(super) fn last_stamp(&self) -> GenStamp {
        self.meta.last_stamp
    }

    /// Refuses in safe mode; `what` begins the sentence.
    pub(super) fn guard(&self, what: &str) -> Result<(), FsError> {
        self.state.check_safe_mode(self.now, what)
    }

    /// Checks of the caller's permissions.
    pub(super) fn access(&self) -> Access<'a> {
        Access::new(self.state, self.caller)
    }

    /// Looks a path up that is about to change, and that the caller can get to.
    pub(super) fn resolve<'p>(&self, path: &'p DfsPath) -> Result<Resolved<'p>, FsError> {
        if let Some(name) = path.reserved() {
            return Err(FsError::new(
                ErrorCode::InvalidPath,
                format!("Invalid path name {path}: {name} is a reserved name"),
            ));
        }
        let resolved = self.state.resolve(At::Current, path);
        self.access().traverse(&resolved)?;
        Ok(resolved)
    }

    /// A folder's content changes now.
    pub(super) fn touch_folder(&mut self, id: InodeId) {
        self.push(Edit::Times { id, mtime_ms: Some(self.now.wall_ms), atime_ms: None });
    }

    /// Refuses if a folder takes no further entry.
    pub(super) fn check_room(&self, folder: InodeId, path: &str) -> Result<(), FsError> {
        let (items, limit) = (self.state.tree.child_count(folder), self.state.config.directory_entries_max);
        if items < limit {
            return Ok(());
        }
        Err(FsError::new(
            ErrorCode::MaxDirectoryItemsExceeded,
            format!("The directory item limit of {path} is exceeded: limit={limit} items={items}"),
        ))
    }

    /// Makes the missing folders of a path, down to (but without) its last name, and returns the folder that the last name
    /// belongs in, with that folder's group. `mode_of` turns the mode of the deepest existing folder into that of new ones.
    pub(super) fn make_ancestors(
        &mut self,
        resolved: &Resolved<'_>,
        mode_of: impl FnOnce(u16) -> u16,
    ) -> Result<(InodeId, Box<str>), FsError> {
        let mut parent = resolved.deepest();
        let above = self.state.rows.inode(parent).ok_or_else(|| crate::errors::not_found(resolved.path))?;
        let group = above.attrs.group.clone();
        let replaces = |name| self.state.tree.child(&self.state.rows.inodes, parent, name).is_some();
        if !resolved.missing_names().next().is_some_and(replaces) {
            self.check_room(parent, &resolved.deepest_path())?;
        }
        self.touch_folder(parent);
        let mode = mode_of(above.attrs.mode);
        for name in resolved.missing_names().take(resolved.missing - 1) {
            parent = self.create_inode(parent, name, &group, mode, None);
        }
        Ok((parent, group))
    }

    /// Makes one inode, owned by the caller. A new entry has its folder's group.
    pub(super) fn create_inode(
        &mut self,
        parent: InodeId,
        name: &str,
        group: &str,
        mode: u16,
        file: Option<NewFile>,
    ) -> InodeId {
        let id = self.next_inode();
        self.push(Edit::Created(Box::new(Created {
            id,
            parent,
            name: name.into(),
            owner: self.caller.user.as_str().into(),
            group: group.into(),
            mode,
            mtime_ms: self.now.wall_ms,
            file,
        })));
        id
    }
}
