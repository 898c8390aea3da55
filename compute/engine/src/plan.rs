//! The plan: a flat table of datasets and shuffles, addressed by id.
//!
//! A node is data. It lives as long as a handle to it or a node that reads it does; when the last of these goes, so do its
//! cached blocks, the shuffle that it read, and the blobs that it held.

pub(crate) mod cut;
mod describe;

#[cfg(test)]
mod tests;

use crate::hub::BlobHandle;
use crate::program::{OpCode, Payload};
use mammoth_engine_core::api::{DatasetId, Determinism, ShuffleId, StageId};
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::Location;
use std::sync::Arc;

/// How the records of a dataset are spread over its partitions. Two datasets with equal partitioners have equal keys in
/// partitions of the same number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Partitioner {
    /// By XXH3-64 of the encoded key.
    Hash {
        /// Number of partitions.
        partitions: u32,
    },
    /// By the encoded key's place among bounds, which were drawn for this very dataset.
    Range {
        /// Tells one set of bounds from another.
        bounds: crate::program::BlobId,
        /// Number of partitions.
        partitions: u32,
    },
}

/// What a node reads.
#[derive(Clone, Debug)]
pub enum Input {
    /// Partitions of another dataset, one for one.
    Narrow {
        /// Which.
        dataset: DatasetId,
        /// Partitions of this node that read it, the first one reading partition 0; `None`: each reads its own.
        readers: Option<Range<u32>>,
    },
    /// A shuffle of another dataset.
    Shuffle(ShuffleSpec),
}

/// A shuffle to be made.
#[derive(Clone, Debug)]
pub struct ShuffleSpec {
    /// The dataset that is spread.
    pub dataset: DatasetId,
    /// Writes it.
    pub sink: OpCode,
    /// Number of partitions that it is spread over.
    pub partitions: u32,
}

/// A node to be added.
#[derive(Clone, Debug)]
pub struct NodeSpec {
    /// The operation, for people.
    pub name: String,
    /// What it does.
    pub op: OpCode,
    /// What it reads.
    pub inputs: Vec<Input>,
    /// Number of partitions.
    pub partitions: u32,
    /// How its records are spread, where that is known.
    pub partitioner: Option<Partitioner>,
    /// What computing it again gives.
    pub determinism: Determinism,
    /// The user's call.
    pub call_site: &'static Location<'static>,
    /// For sources: what each partition needs to know.
    pub payloads: Vec<Payload>,
    /// For sources: hosts near to each partition; empty if there are none.
    pub hosts: Vec<Vec<String>>,
    /// Blobs that must be there as long as the node is.
    pub blobs: Vec<BlobHandle>,
}

/// A node that reads a shuffle or another node.
#[derive(Clone, Debug)]
enum Edge {
    Narrow { dataset: DatasetId, readers: Option<Range<u32>> },
    Shuffle(ShuffleId),
}

#[derive(Debug)]
struct Node {
    name: String,
    op: OpCode,
    inputs: Vec<Edge>,
    partitions: u32,
    partitioner: Option<Partitioner>,
    determinism: Determinism,
    call_site: &'static Location<'static>,
    payloads: Arc<Vec<Payload>>,
    hosts: Arc<Vec<Vec<String>>>,
    cache: Option<OpCode>,
    /// Held, not read: they keep the blobs alive.
    _blobs: Vec<BlobHandle>,
    /// Handles, and nodes and shuffles that read it.
    uses: usize,
}

#[derive(Debug)]
struct Shuffle {
    dataset: DatasetId,
    sink: OpCode,
    partitions: u32,
    stage: StageId,
}

/// All datasets of a context.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    nodes: BTreeMap<DatasetId, Node>,
    shuffles: BTreeMap<ShuffleId, Shuffle>,
    next_dataset: u32,
    next_shuffle: u32,
    next_stage: u32,
}

/// What went when a node went.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Freed {
    pub(crate) shuffles: Vec<ShuffleId>,
    /// Those that were cached.
    pub(crate) datasets: Vec<DatasetId>,
}

impl Plan {
    /// Adds a node with one handle to it.
    pub(crate) fn add(&mut self, spec: NodeSpec) -> DatasetId {
        let mut inputs = Vec::new();
        for input in spec.inputs {
            inputs.push(match input {
                Input::Narrow { dataset, readers } => {
                    self.use_node(dataset);
                    Edge::Narrow { dataset, readers }
                }
                Input::Shuffle(shuffle) => {
                    self.use_node(shuffle.dataset);
                    let id = ShuffleId(next(&mut self.next_shuffle));
                    let stage = self.next_stage();
                    let ShuffleSpec { dataset, sink, partitions } = shuffle;
                    self.shuffles.insert(id, Shuffle { dataset, sink, partitions, stage });
                    Edge::Shuffle(id)
                }
            });
        }
        let id = DatasetId(next(&mut self.next_dataset));
        let node = Node {
            name: spec.name,
            op: spec.op,
            inputs,
            partitions: spec.partitions,
            partitioner: spec.partitioner,
            determinism: spec.determinism,
            call_site: spec.call_site,
            payloads: Arc::new(spec.payloads),
            hosts: Arc::new(spec.hosts),
            cache: None,
            _blobs: spec.blobs,
            uses: 1,
        };
        self.nodes.insert(id, node);
        id
    }

    pub(crate) fn next_stage(&mut self) -> StageId {
        StageId(next(&mut self.next_stage))
    }

    /// One more handle.
    pub(crate) fn use_node(&mut self, dataset: DatasetId) {
        if let Some(node) = self.nodes.get_mut(&dataset) {
            node.uses += 1;
        }
    }

    /// One handle less; what nothing holds any more goes.
    pub(crate) fn release(&mut self, dataset: DatasetId) -> Freed {
        let mut freed = Freed::default();
        let mut todo = vec![dataset];
        while let Some(dataset) = todo.pop() {
            let Some(node) = self.nodes.get_mut(&dataset) else { continue };
            node.uses = node.uses.saturating_sub(1);
            if node.uses > 0 {
                continue;
            }
            let Some(node) = self.nodes.remove(&dataset) else { continue };
            if node.cache.is_some() {
                freed.datasets.push(dataset);
            }
            for input in node.inputs {
                match input {
                    Edge::Narrow { dataset, .. } => todo.push(dataset),
                    Edge::Shuffle(shuffle) => {
                        freed.shuffles.push(shuffle);
                        todo.extend(self.shuffles.remove(&shuffle).map(|shuffle| shuffle.dataset));
                    }
                }
            }
        }
        freed
    }

    /// Has the dataset's partitions kept from now on, or no longer.
    pub(crate) fn set_cache(&mut self, dataset: DatasetId, cache: Option<OpCode>) {
        if let Some(node) = self.nodes.get_mut(&dataset) {
            node.cache = cache;
        }
    }

    pub(crate) fn is_cached(&self, dataset: DatasetId) -> bool {
        self.nodes.get(&dataset).is_some_and(|node| node.cache.is_some())
    }

    pub(crate) fn partitions(&self, dataset: DatasetId) -> u32 {
        self.nodes.get(&dataset).map_or(0, |node| node.partitions)
    }

    pub(crate) fn partitioner(&self, dataset: DatasetId) -> Option<Partitioner> {
        self.nodes.get(&dataset)?.partitioner.clone()
    }

    pub(crate) fn set_determinism(&mut self, dataset: DatasetId, determinism: Determinism) {
        if let Some(node) = self.nodes.get_mut(&dataset) {
            node.determinism = determinism;
        }
    }

    /// Number of nodes and shuffles.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.nodes.len(), self.shuffles.len())
    }
}

fn next(counter: &mut u32) -> u32 {
    let id = *counter;
    *counter = counter.saturating_add(1);
    id
}
