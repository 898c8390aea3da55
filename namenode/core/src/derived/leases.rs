//! Leases by holder. Which file has which holder is hard state; when a holder was last heard of is soft: after a restart
//! every holder counts as heard of at the start, so that none loses a file because the namenode was away.

use mammoth_protocol::InodeId;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Who writes which files, and when each was last heard of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leases {
    holders: BTreeMap<Box<str>, Holder>,
    /// (last renewal, holder), to find the silent ones without looking at all.
    by_renewal: BTreeSet<(u64, Box<str>)>,
    /// All files that anybody writes.
    files: BTreeSet<InodeId>,
}

#[derive(Clone, Debug)]
struct Holder {
    renewed_ms: u64,
    files: BTreeSet<InodeId>,
}

impl Leases {
    /// `client` writes `file`, and was heard of now.
    pub(crate) fn insert(&mut self, client: &str, file: InodeId, now_ms: u64) {
        if !self.holders.contains_key(client) {
            self.holders.insert(client.into(), Holder { renewed_ms: now_ms, files: BTreeSet::new() });
            self.by_renewal.insert((now_ms, client.into()));
        }
        let Some(holder) = self.holders.get_mut(client) else { return };
        holder.files.insert(file);
        self.files.insert(file);
        self.renew(client, now_ms);
    }

    /// `client` no longer writes `file`.
    pub(crate) fn remove(&mut self, client: &str, file: InodeId) {
        let Some(holder) = self.holders.get_mut(client) else { return };
        if holder.files.remove(&file) {
            self.files.remove(&file);
        }
        if holder.files.is_empty() {
            self.by_renewal.remove(&(holder.renewed_ms, client.into()));
            self.holders.remove(client);
        }
    }

    /// `client` was heard of. Without any files it has nothing to renew.
    pub(crate) fn renew(&mut self, client: &str, now_ms: u64) {
        let Some(holder) = self.holders.get_mut(client) else { return };
        let before = (holder.renewed_ms, client.into());
        holder.renewed_ms = holder.renewed_ms.max(now_ms);
        self.by_renewal.remove(&before);
        self.by_renewal.insert((holder.renewed_ms, before.1));
    }

    /// Whether nothing was heard of `client` for `limit_ms`.
    pub(crate) fn expired(&self, client: &str, limit_ms: u64, now_ms: u64) -> bool {
        self.holders.get(client).is_none_or(|holder| holder.renewed_ms.saturating_add(limit_ms) < now_ms)
    }

    /// Files of holders of whom nothing was heard for `limit_ms`, the most silent first.
    pub(crate) fn overdue(&self, limit_ms: u64, now_ms: u64) -> impl Iterator<Item = (&str, InodeId)> {
        self.by_renewal
            .iter()
            .take_while(move |(renewed, _)| renewed.saturating_add(limit_ms) < now_ms)
            .filter_map(|(_, client)| self.holders.get_key_value(client))
            .flat_map(|(client, holder)| holder.files.iter().map(|file| (&**client, *file)))
    }

    /// The files of a holder.
    pub(crate) fn files_of(&self, client: &str) -> impl Iterator<Item = InodeId> {
        self.holders.get(client).into_iter().flat_map(|holder| holder.files.iter().copied())
    }

    /// Number of files that a holder writes.
    pub(crate) fn count_of(&self, client: &str) -> usize {
        self.holders.get(client).map_or(0, |holder| holder.files.len())
    }

    /// Number of files that anybody writes.
    pub(crate) fn count(&self) -> usize {
        self.files.len()
    }

    /// Files above an id that anybody writes, by id.
    pub(crate) fn files_after(&self, after: InodeId) -> impl Iterator<Item = InodeId> {
        self.files.range((Bound::Excluded(after), Bound::Unbounded)).copied()
    }

    /// All pairs of holder and file, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, InodeId)> {
        self.holders.iter().flat_map(|(client, holder)| holder.files.iter().map(|file| (&**client, *file)))
    }

    /// The two indexes name the same holders with the same times.
    pub(crate) fn is_consistent(&self) -> bool {
        let known = |(renewed, client): &(u64, Box<str>)| {
            self.holders.get(client).is_some_and(|holder| holder.renewed_ms == *renewed && !holder.files.is_empty())
        };
        self.by_renewal.len() == self.holders.len()
            && self.by_renewal.iter().all(known)
            && self.files.len() == self.iter().count()
            && self.iter().all(|(_, file)| self.files.contains(&file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_silent_are_found_in_order_of_their_silence() {
        let mut leases = Leases::default();
        leases.insert("a", InodeId(1), 100);
        leases.insert("b", InodeId(2), 200);
        leases.insert("b", InodeId(3), 200);
        leases.insert("c", InodeId(4), 300);
        leases.renew("a", 250);
        leases.renew("nobody", 250);
        assert_eq!(leases.overdue(50, 260).collect::<Vec<_>>(), [("b", InodeId(2)), ("b", InodeId(3))]);
        assert!(leases.expired("b", 50, 251) && !leases.expired("b", 50, 250) && leases.expired("nobody", 50, 0));
        leases.remove("b", InodeId(2));
        assert_eq!((leases.count_of("b"), leases.count()), (1, 3));
        leases.remove("b", InodeId(3));
        assert_eq!(leases.overdue(0, 260).collect::<Vec<_>>(), [("a", InodeId(1))]);
        assert!(leases.is_consistent());
    }
}
