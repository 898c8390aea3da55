//! Which of a stage's waiting partitions an executor may take at which nearness, without looking at those that it may not.
//!
//! How far from its data a partition may go depends on facts (who holds its blocks, which hosts have executors) and on time: one
//! level further for each wait, counted from when it began to wait and from the last launch near to its data, whichever was
//! later. Facts are noted when they change, by marking partitions as stale; of time, the part that is the partition's own moves
//! each partition on when its wait is over, and the part that all share is asked for with every question. So each partition is
//! looked at when something about it changes, not whenever an executor has room.

use crate::api::Locality;
use mammoth_protocol::jobs::ExecutorId;
use std::collections::{BTreeMap, BTreeSet};

/// What a partition can be near to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Near {
    /// An executor that is used holds a block of it.
    pub(crate) process: bool,
    /// An executor that is used is on a host with its data.
    pub(crate) node: bool,
}

impl Near {
    /// How far from its data a partition may go after some waits.
    pub(crate) fn farthest(self, waits: u64) -> Locality {
        match (self.process, self.node, waits) {
            (true, _, 0) => Locality::Process,
            (true, true, 1) | (false, true, 0) => Locality::Node,
            (true, false, _) | (_, true, _) | (false, false, _) => Locality::Any,
        }
    }

    /// Waits after which it may go to any executor.
    fn to_any(self) -> usize {
        usize::from(self.process) + usize::from(self.node)
    }

    /// Waits after which it may go to a host with its data.
    fn to_node(self) -> usize {
        usize::from(self.process)
    }
}

/// What is known of a waiting partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) near: Near,
    /// Executors that hold blocks of it, and of which of the stage's cached datasets, by its position. Of a bound partition, only
    /// executors that can run it.
    pub(crate) held: Vec<(ExecutorId, usize)>,
    /// The only executors that can run it, if not all can, and whether each is on a host with its data.
    pub(crate) bound: Option<Vec<(ExecutorId, bool)>>,
    /// Waits of its own that are over, as far as they matter.
    pub(crate) waits: usize,
    /// When the next one is, if it matters.
    pub(crate) due_ms: Option<u64>,
}

impl Entry {
    /// Counts the waits that are over by now.
    pub(crate) fn waited(mut self, since_ms: u64, now_ms: u64, wait_ms: u64) -> Self {
        let all = if self.bound.is_some() { 0 } else { self.near.to_any() };
        let over = waits_over(since_ms, now_ms, wait_ms);
        self.waits = all.min(usize::try_from(over).unwrap_or(usize::MAX));
        let next_ms = wait_ms.saturating_mul(self.waits as u64 + 1);
        self.due_ms = (self.waits < all).then(|| since_ms.saturating_add(next_ms));
        self
    }
}

/// Waits that fit between two times.
pub(crate) fn waits_over(since_ms: u64, now_ms: u64, wait_ms: u64) -> u64 {
    now_ms.saturating_sub(since_ms).checked_div(wait_ms).unwrap_or(u64::MAX)
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Partitions that must be looked at again.
    stale: BTreeSet<u32>,
    entries: BTreeMap<u32, Entry>,
    sets: Sets,
    /// When the next wait of a partition is over.
    due: BTreeSet<(u64, u32)>,
}

/// Partitions by what may take them; none of the sets is empty.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sets {
    /// By executor and position of the dataset of which it holds a block.
    held: BTreeMap<(ExecutorId, usize), BTreeSet<u32>>,
    /// By executor that can run them while others cannot.
    bound: BTreeMap<ExecutorId, BTreeSet<u32>>,
    /// Those of them that have their data on its host.
    bound_near: BTreeMap<ExecutorId, BTreeSet<u32>>,
    /// By host with their data: after no wait, and after one.
    node: [BTreeMap<String, BTreeSet<u32>>; 2],
    /// For every executor: after no wait, after one, after two.
    any: [BTreeSet<u32>; 3],
}

fn add<K: Ord>(sets: &mut BTreeMap<K, BTreeSet<u32>>, key: K, partition: u32) {
    sets.entry(key).or_default().insert(partition);
}

fn take<K: Ord + std::borrow::Borrow<Q>, Q: Ord + ?Sized>(
    sets: &mut BTreeMap<K, BTreeSet<u32>>,
    key: &Q,
    partition: u32,
) {
    let Some(set) = sets.get_mut(key) else { return };
    set.remove(&partition);
    if set.is_empty() {
        sets.remove(key);
    }
}

fn first<K: Ord + std::borrow::Borrow<Q>, Q: Ord + ?Sized>(sets: &BTreeMap<K, BTreeSet<u32>>, key: &Q) -> Option<u32> {
    sets.get(key)?.first().copied()
}

impl Sets {
    fn add(&mut self, partition: u32, entry: &Entry, hosts: &[String]) {
        for key in &entry.held {
            add(&mut self.held, *key, partition);
        }
        if let Some(bound) = &entry.bound {
            for (executor, near) in bound {
                add(&mut self.bound, *executor, partition);
                if *near {
                    add(&mut self.bound_near, *executor, partition);
                }
            }
            return;
        }
        let (to_node, to_any) = (entry.near.to_node(), entry.near.to_any());
        if entry.near.node
            && entry.waits >= to_node
            && let Some(node) = self.node.get_mut(to_node)
        {
            for host in hosts {
                match node.get_mut(host) {
                    Some(set) => drop(set.insert(partition)),
                    None => add(node, host.clone(), partition),
                }
            }
        }
        if entry.waits >= to_any
            && let Some(any) = self.any.get_mut(to_any)
        {
            any.insert(partition);
        }
    }

    fn take(&mut self, partition: u32, entry: &Entry, hosts: &[String]) {
        for key in &entry.held {
            take(&mut self.held, key, partition);
        }
        for (executor, _) in entry.bound.iter().flatten() {
            take(&mut self.bound, executor, partition);
            take(&mut self.bound_near, executor, partition);
        }
        if let Some(node) = self.node.get_mut(entry.near.to_node()) {
            for host in hosts {
                take(node, host.as_str(), partition);
            }
        }
        if let Some(any) = self.any.get_mut(entry.near.to_any()) {
            any.remove(&partition);
        }
    }

    /// The first partition that an executor may take at a level of nearness, when `over` waits are over for all.
    fn first(&self, level: Locality, executor: ExecutorId, host: &str, over: u64) -> Option<u32> {
        match level {
            Locality::Process => {
                let held = self.held.range((executor, 0)..=(executor, usize::MAX));
                held.map(|(_, set)| set).next()?.first().copied()
            }
            Locality::Node => {
                let open = open(&self.node, over).filter_map(|node| first(node, host));
                open.chain(first(&self.bound_near, &executor)).min()
            }
            Locality::Any => {
                let open = open(&self.any, over).filter_map(|any| any.first().copied());
                open.chain(first(&self.bound, &executor)).min()
            }
        }
    }

    /// Whether any executor may take anything at that level.
    fn has(&self, level: Locality, over: u64) -> bool {
        match level {
            Locality::Process => !self.held.is_empty(),
            Locality::Node => !self.bound_near.is_empty() || open(&self.node, over).any(|node| !node.is_empty()),
            Locality::Any => !self.bound.is_empty() || open(&self.any, over).any(|any| !any.is_empty()),
        }
    }
}

/// Of what counts after no wait, after one, and so on, what counts after `over`.
fn open<T>(sets: &[T], over: u64) -> impl Iterator<Item = &T> {
    (0..).zip(sets).take_while(move |(waits, _)| *waits <= over).map(|(_, set)| set)
}

impl Index {
    /// Something about the partition has changed.
    pub(crate) fn mark(&mut self, partition: u32) {
        self.stale.insert(partition);
    }

    /// Something about partitions has changed.
    pub(crate) fn mark_all(&mut self, partitions: impl IntoIterator<Item = u32>) {
        self.stale.extend(partitions);
    }

    /// The partitions that must be looked at again by now.
    pub(crate) fn take_stale(&mut self, now_ms: u64) -> BTreeSet<u32> {
        while let Some((_, partition)) = self.due.first().copied().filter(|(at_ms, _)| *at_ms <= now_ms) {
            self.due.pop_first();
            self.stale.insert(partition);
        }
        std::mem::take(&mut self.stale)
    }

    /// Notes what is known of a waiting partition now; `None`: it is given out otherwise.
    pub(crate) fn put(&mut self, partition: u32, entry: Option<Entry>, hosts: &[String]) {
        self.remove(partition, hosts);
        let Some(entry) = entry else { return };
        self.sets.add(partition, &entry, hosts);
        self.due.extend(entry.due_ms.map(|at_ms| (at_ms, partition)));
        self.entries.insert(partition, entry);
    }

    /// The partition does not wait any more.
    pub(crate) fn remove(&mut self, partition: u32, hosts: &[String]) {
        self.stale.remove(&partition);
        let Some(entry) = self.entries.remove(&partition) else { return };
        self.sets.take(partition, &entry, hosts);
        if let Some(at_ms) = entry.due_ms {
            self.due.remove(&(at_ms, partition));
        }
    }

    /// The first partition that an executor may take at a level of nearness, when `over` waits have passed since a task was
    /// launched near to its data. Asked for the levels in order, each until there is no answer.
    pub(crate) fn first(&self, level: Locality, executor: ExecutorId, host: &str, over: u64) -> Option<u32> {
        self.sets.first(level, executor, host, over)
    }

    /// Whether any executor may take anything at that level.
    pub(crate) fn has(&self, level: Locality, over: u64) -> bool {
        self.sets.has(level, over)
    }

    /// What is wrong with the index, if anything: `of` says what an entry should be but for its waits, and which hosts have the
    /// data.
    pub(crate) fn wrong<'a>(
        &self,
        waiting: &[u32],
        of: impl Fn(u32) -> (Option<Entry>, &'a [String]),
    ) -> Option<String> {
        let mut sets = Sets::default();
        let mut due = BTreeSet::new();
        for (partition, entry) in &self.entries {
            let (right, hosts) = of(*partition);
            let right = right.map(|right| Entry { waits: entry.waits, due_ms: entry.due_ms, ..right });
            if right.as_ref() != Some(entry) && !self.stale.contains(partition) {
                return Some(format!("partition {partition} is known as {entry:?}, and is {right:?}"));
            }
            sets.add(*partition, entry, hosts);
            due.extend(entry.due_ms.map(|at_ms| (at_ms, *partition)));
        }
        let known = |partition: &&u32| self.entries.contains_key(*partition) || self.stale.contains(*partition);
        if let Some(partition) = waiting.iter().find(|partition| !known(partition) && of(**partition).0.is_some()) {
            return Some(format!("partition {partition} waits and is not known"));
        }
        (sets != self.sets || due != self.due)
            .then(|| format!("{:?} are not the sets of {:?}", self.sets, self.entries))
    }
}
