//! What must be true, by what clients were told.
//!
//! Each client works below a folder of its own, one call at a time, so its view is exact: after an answer it knows what is
//! there; while a call is unanswered, the state before and the state after are both right.

use crate::datanode::History;
use mammoth_protocol::{BlockId, StorageId};
use std::collections::BTreeMap;

/// What a client knows of a file's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Closed by the client: these blocks with these bytes.
    Closed(Vec<(BlockId, History)>),
    /// Open, or left open: only that it exists; its bytes begin with these, which a pipeline acknowledged.
    Open(Vec<(BlockId, History)>),
    /// Truncated to these; its last block may be longer until it is cut, and only then it is closed.
    Cut(Vec<(BlockId, History)>),
}

/// What a client knows of one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// A folder.
    Dir,
    /// A file and the replicas that it wants.
    File(Content, u16),
}

/// A change that a client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A folder is made.
    Mkdir(String),
    /// A file is created, in place of another if there is one.
    Create(String, u16),
    /// A path goes, with all below it.
    Delete(String),
    /// A path and all below it get another name.
    Rename(String, String),
    /// A file wants another number of replicas.
    SetReplication(String, u16),
    /// A file is closed with this content.
    Close(String, Vec<(BlockId, History)>),
    /// A file is opened again.
    Reopen(String),
    /// A file is truncated to this content.
    Truncate(String, Vec<(BlockId, History)>),
    /// The content of files goes to the end of another.
    Concat(String, Vec<String>),
    /// Nothing that shows in the names.
    Inner,
}

impl Change {
    /// Whether it shows in the names, or in what they name.
    #[must_use]
    pub fn shows(&self) -> bool {
        *self != Self::Inner
    }
}

/// One client's view of its folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// By path.
    pub known: BTreeMap<String, Known>,
}

impl View {
    /// The view after a change.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Mkdir(path) => {
                self.known.insert(path.clone(), Known::Dir);
            }
            Change::Create(path, replication) => {
                self.known.insert(path.clone(), Known::File(Content::Open(Vec::new()), *replication));
            }
            Change::Delete(path) => {
                self.known.retain(|known, _| !is_below(known, path));
            }
            Change::Rename(from, to) => {
                let moved = self.known.keys().filter(|known| is_below(known, from)).cloned().collect::<Vec<_>>();
                for old in moved {
                    if let Some(known) = self.known.remove(&old) {
                        self.known.insert(format!("{to}{}", &old[from.len()..]), known);
                    }
                }
            }
            Change::SetReplication(path, replication) => {
                if let Some(Known::File(_, wanted)) = self.known.get_mut(path) {
                    *wanted = *replication;
                }
            }
            Change::Close(path, blocks) => {
                if let Some(Known::File(content, _)) = self.known.get_mut(path) {
                    *content = Content::Closed(blocks.clone());
                }
            }
            Change::Reopen(path) => {
                if let Some(Known::File(content, _)) = self.known.get_mut(path)
                    && let Content::Closed(blocks) | Content::Cut(blocks) = content
                {
                    *content = Content::Open(std::mem::take(blocks));
                }
            }
            Change::Truncate(path, blocks) => {
                if let Some(Known::File(content, _)) = self.known.get_mut(path) {
                    *content = Content::Cut(blocks.clone());
                }
            }
            Change::Concat(target, sources) => self.concat(target, sources),
            Change::Inner => {}
        }
    }

    fn concat(&mut self, target: &str, sources: &[String]) {
        let mut more = Vec::new();
        for source in sources {
            if let Some(Known::File(Content::Closed(blocks), _)) = self.known.remove(source) {
                more.extend(blocks);
            }
        }
        if let Some(Known::File(Content::Closed(blocks), _)) = self.known.get_mut(target) {
            blocks.extend(more);
        }
    }

    /// The content of a file that the client closed.
    #[must_use]
    pub fn closed(&self, path: &str) -> Option<&Vec<(BlockId, History)>> {
        match self.known.get(path) {
            Some(Known::File(Content::Closed(blocks), _)) => Some(blocks),
            _ => None,
        }
    }

    /// Blocks that are known of a file.
    #[must_use]
    pub fn blocks(&self, path: &str) -> Vec<BlockId> {
        let Some(Known::File(content, _)) = self.known.get(path) else { return Vec::new() };
        let (Content::Closed(blocks) | Content::Open(blocks) | Content::Cut(blocks)) = content;
        blocks.iter().map(|(id, _)| *id).collect()
    }

    /// Replicas that a file wants.
    #[must_use]
    pub fn replication(&self, path: &str) -> u16 {
        match self.known.get(path) {
            Some(Known::File(_, replication)) => *replication,
            _ => 0,
        }
    }

    /// Paths of files that are open, or were left open.
    #[must_use]
    pub fn open_files(&self) -> Vec<String> {
        let open = |known: &Known| matches!(known, Known::File(Content::Open(_) | Content::Cut(_), _));
        self.known.iter().filter(|(_, known)| open(known)).map(|(path, _)| path.clone()).collect()
    }

    /// Paths of all files.
    #[must_use]
    pub fn files(&self) -> Vec<String> {
        let file = |known: &Known| matches!(known, Known::File(..));
        self.known.iter().filter(|(_, known)| file(known)).map(|(path, _)| path.clone()).collect()
    }

    /// Paths of folders.
    #[must_use]
    pub fn dirs(&self) -> Vec<String> {
        self.known.iter().filter(|(_, known)| **known == Known::Dir).map(|(path, _)| path.clone()).collect()
    }

    /// Why what is there contradicts this view, if it does.
    #[must_use]
    pub fn contradiction(&self, actual: &BTreeMap<String, Actual>) -> Option<String> {
        if let Some(missing) = self.known.keys().find(|path| !actual.contains_key(*path)) {
            return Some(format!("{missing} is gone"));
        }
        if let Some(extra) = actual.keys().find(|path| !self.known.contains_key(*path)) {
            return Some(format!("{extra} is there and should not be"));
        }
        self.known.iter().find_map(|(path, known)| difference(path, known, &actual[path]))
    }
}

/// What the namenode says of one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actual {
    /// A folder.
    pub is_dir: bool,
    /// Somebody writes it.
    pub open: bool,
    /// Its blocks with their lengths.
    pub blocks: Vec<(BlockId, u64)>,
    /// Replicas that it wants.
    pub replication: u16,
    /// Volumes that its last block is being written to.
    pub pipeline: Vec<StorageId>,
}

fn difference(path: &str, known: &Known, actual: &Actual) -> Option<String> {
    match known {
        Known::Dir if !actual.is_dir => Some(format!("{path} should be a folder")),
        Known::Dir => None,
        Known::File(..) if actual.is_dir => Some(format!("{path} should be a file")),
        Known::File(_, wanted) if *wanted != actual.replication => {
            Some(format!("{path} wants {} replicas instead of {wanted}", actual.replication))
        }
        Known::File(Content::Closed(blocks), _) => {
            let lengths: Vec<_> = blocks.iter().map(|(id, history)| (*id, length(history))).collect();
            (actual.open || lengths != actual.blocks)
                .then(|| format!("{path} was closed with {lengths:?} and is {actual:?}"))
        }
        Known::File(Content::Cut(blocks), _) => {
            let mut lengths: Vec<_> = blocks.iter().map(|(id, history)| (*id, length(history))).collect();
            if let (true, Some((id, len)), Some((is, longer))) = (actual.open, lengths.last_mut(), actual.blocks.last())
                && id == is
            {
                *len = (*len).max(*longer);
            }
            (lengths != actual.blocks).then(|| format!("{path} was truncated to {blocks:?} and is {actual:?}"))
        }
        Known::File(Content::Open(acked), _) => {
            let there = |id: &BlockId| actual.blocks.iter().any(|(is, _)| is == id);
            let gone = acked.iter().find(|(id, history)| length(history) > 0 && !there(id));
            gone.map(|(id, _)| format!("{path} lost {id}: acknowledged {acked:?}, there {:?}", actual.blocks))
        }
    }
}

/// Length of a history.
#[must_use]
pub fn length(history: &History) -> u64 {
    history.last().map_or(0, |(_, upto)| *upto)
}

/// Whether `whole` begins with the bytes of `start`.
#[must_use]
pub fn begins_with(whole: &History, start: &History) -> bool {
    let mut cut = whole.clone();
    crate::datanode::cut(&mut cut, length(start));
    cut == *start
}

/// Whether a path is another or lies below it.
#[must_use]
pub fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renames_move_everything_below() {
        let mut view = View::default();
        for change in [
            Change::Mkdir("/a".into()),
            Change::Mkdir("/ab".into()),
            Change::Create("/a/f".into(), 3),
            Change::Rename("/a".into(), "/c".into()),
        ] {
            view.apply(&change);
        }
        assert_eq!(view.known.keys().collect::<Vec<_>>(), ["/ab", "/c", "/c/f"]);
    }

    #[test]
    fn histories_compare_by_their_bytes() {
        let whole = vec![(1, 10), (2, 20)];
        assert!(begins_with(&whole, &vec![(1, 10), (2, 15)]));
        assert!(begins_with(&whole, &vec![(1, 4)]));
        assert!(!begins_with(&whole, &vec![(2, 4)]));
        assert!(!begins_with(&whole, &vec![(1, 10), (2, 25)]));
    }
}
