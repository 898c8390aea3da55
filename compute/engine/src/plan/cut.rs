//! Cuts a plan at its shuffles: the stages of one action, as programs for executors and as facts for the scheduler.

use super::{Edge, Node, Plan};
use crate::error::EngineError;
use crate::program::{NODES_MAX, OpCode, Payload, Program, ProgramInput, ProgramNode, input_partition};
use mammoth_engine_core::api::{DatasetId, Determinism, Parent, ShuffleId, StageId, StageSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A stage of an action.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) spec: StageSpec,
    pub(crate) program: Program,
    /// By node of the program: what each partition of a source needs to know.
    pub(crate) payloads: Vec<Arc<Vec<Payload>>>,
}

/// A stage that is still to be cut.
struct Pending {
    stage: StageId,
    root: DatasetId,
    sink: OpCode,
    writes: Option<(ShuffleId, u32)>,
}

impl Plan {
    /// The stages of an action on `root`, parents first; the last one, of the id `result`, ends in `sink`.
    pub(crate) fn cut(&self, root: DatasetId, sink: OpCode, result: StageId) -> Result<Vec<Stage>, EngineError> {
        let mut todo = vec![Pending { stage: result, root, sink, writes: None }];
        let mut stages: Vec<Stage> = Vec::new();
        let mut seen = BTreeSet::from([result]);
        while let Some(pending) = todo.pop() {
            let stage = self.cut_one(pending)?;
            for parent in &stage.spec.parents {
                let Some(shuffle) = self.shuffles.get(&parent.shuffle) else { continue };
                if seen.insert(shuffle.stage) {
                    todo.push(Pending {
                        stage: shuffle.stage,
                        root: shuffle.dataset,
                        sink: shuffle.sink.clone(),
                        writes: Some((parent.shuffle, shuffle.partitions)),
                    });
                }
            }
            stages.push(stage);
        }
        // A shuffle is numbered when its reader is made, which is after all that its writer reads: so parents have lower numbers.
        stages.sort_by_key(|stage| (stage.program.writes.is_none(), stage.spec.stage));
        Ok(stages)
    }

    fn cut_one(&self, pending: Pending) -> Result<Stage, EngineError> {
        let members = self.members(pending.root)?;
        let aligned = self.aligned(&members);
        let position: BTreeMap<DatasetId, u32> = (0..).zip(members.iter().copied()).map(|(at, id)| (id, at)).collect();
        let mut nodes = Vec::new();
        let mut payloads = Vec::new();
        for dataset in &members {
            let node = self.node(*dataset)?;
            nodes.push(program_node(*dataset, node, &position));
            payloads.push(Arc::clone(&node.payloads));
        }
        let partitions = self.node(pending.root)?.partitions;
        let name = self.stage_name(&members);
        let determinism = members.iter().filter_map(|id| self.nodes.get(id)).map(|node| node.determinism).max();
        let spec = StageSpec {
            stage: pending.stage,
            name: name.clone(),
            writes: pending.writes.map(|(shuffle, _)| shuffle),
            partitions,
            parents: self.parents(&members, &aligned),
            determinism: determinism.unwrap_or(Determinism::Determinate),
            hosts: self.hosts(pending.root, partitions),
            cached: members.iter().rev().copied().filter(|id| self.is_cached(*id) && aligned.contains(id)).collect(),
        };
        let program = Program { name, nodes, sink: pending.sink, writes: pending.writes };
        Ok(Stage { spec, program, payloads })
    }

    fn node(&self, dataset: DatasetId) -> Result<&Node, EngineError> {
        self.nodes.get(&dataset).ok_or_else(|| EngineError::Plan(format!("dataset {dataset} is not in the plan")))
    }

    /// The nodes of the stage that ends in `root`, inputs first: a node's inputs were there before it, so ids give the order.
    fn members(&self, root: DatasetId) -> Result<Vec<DatasetId>, EngineError> {
        let mut members = BTreeSet::new();
        let mut todo = vec![root];
        while let Some(dataset) = todo.pop() {
            if !members.insert(dataset) {
                continue;
            }
            for input in &self.node(dataset)?.inputs {
                if let Edge::Narrow { dataset, .. } = input {
                    todo.push(*dataset);
                }
            }
            if members.len() > NODES_MAX {
                return Err(EngineError::Plan(format!("a stage has over {NODES_MAX} operations")));
            }
        }
        Ok(members.into_iter().collect())
    }

    /// The shuffles that the stage reads, with the cached datasets that hide each: those on every way from it to the end.
    fn parents(&self, members: &[DatasetId], aligned: &BTreeSet<DatasetId>) -> Vec<Parent> {
        let mut hiding: BTreeMap<DatasetId, BTreeSet<DatasetId>> = BTreeMap::new();
        let mut parents: BTreeMap<ShuffleId, BTreeSet<DatasetId>> = BTreeMap::new();
        for dataset in members.iter().rev() {
            let Some(node) = self.nodes.get(dataset) else { continue };
            let mut hides = hiding.get(dataset).cloned().unwrap_or_default();
            if node.cache.is_some() && aligned.contains(dataset) {
                hides.insert(*dataset);
            }
            for input in &node.inputs {
                match input {
                    Edge::Narrow { dataset, .. } => merge(hiding.entry(*dataset), hides.clone()),
                    Edge::Shuffle(shuffle) => merge(parents.entry(*shuffle), hides.clone()),
                }
            }
        }
        let parent = |(shuffle, behind): (ShuffleId, BTreeSet<DatasetId>)| Parent {
            shuffle,
            behind: behind.into_iter().collect(),
            readers: None,
        };
        parents.into_iter().map(parent).collect()
    }

    /// Nodes of which partition `p` of the stage's last one reads partition `p` only, on every way.
    fn aligned(&self, members: &[DatasetId]) -> BTreeSet<DatasetId> {
        let mut aligned: BTreeSet<DatasetId> = members.iter().copied().collect();
        for dataset in members.iter().rev() {
            let Some(node) = self.nodes.get(dataset) else { continue };
            let straight = aligned.contains(dataset);
            for input in &node.inputs {
                if let Edge::Narrow { dataset, readers } = input
                    && (readers.is_some() || !straight)
                {
                    aligned.remove(dataset);
                }
            }
        }
        aligned
    }

    /// Hosts near to each partition: those of the first source that knows any.
    fn hosts(&self, root: DatasetId, partitions: u32) -> Vec<Vec<String>> {
        let of = |partition: u32| {
            let mut todo = vec![(root, partition)];
            let mut seen = BTreeSet::new();
            while let Some((dataset, partition)) = todo.pop() {
                let Some(node) = self.nodes.get(&dataset).filter(|_| seen.insert((dataset, partition))) else {
                    continue;
                };
                if let Some(hosts) = node.hosts.get(partition as usize).filter(|hosts| !hosts.is_empty()) {
                    return hosts.clone();
                }
                for input in node.inputs.iter().rev() {
                    if let Edge::Narrow { dataset, readers } = input
                        && let Some(partition) = input_partition(readers.as_ref(), partition)
                    {
                        todo.push((*dataset, partition));
                    }
                }
            }
            Vec::new()
        };
        let hosts: Vec<Vec<String>> = (0..partitions).map(of).collect();
        if hosts.iter().all(Vec::is_empty) { Vec::new() } else { hosts }
    }

    fn stage_name(&self, members: &[DatasetId]) -> String {
        let names: Vec<&str> =
            members.iter().filter_map(|id| self.nodes.get(id)).map(|node| node.name.as_str()).collect();
        match names.as_slice() {
            [first, .., last] if names.len() > 6 => format!("{first} → … {} more … → {last}", names.len() - 2),
            _ => names.join(" → "),
        }
    }
}

fn merge<K: Ord>(entry: std::collections::btree_map::Entry<'_, K, BTreeSet<DatasetId>>, hides: BTreeSet<DatasetId>) {
    use std::collections::btree_map::Entry;
    match entry {
        Entry::Vacant(entry) => drop(entry.insert(hides)),
        Entry::Occupied(mut entry) => entry.get_mut().retain(|dataset| hides.contains(dataset)),
    }
}

fn program_node(dataset: DatasetId, node: &Node, position: &BTreeMap<DatasetId, u32>) -> ProgramNode {
    let input = |edge: &Edge| match edge {
        Edge::Narrow { dataset, readers } => {
            ProgramInput::Narrow { node: position.get(dataset).copied().unwrap_or(u32::MAX), readers: readers.clone() }
        }
        Edge::Shuffle(shuffle) => ProgramInput::Shuffle { shuffle: *shuffle },
    };
    ProgramNode {
        dataset,
        name: node.name.clone(),
        op: node.op.clone(),
        inputs: node.inputs.iter().map(input).collect(),
        cache: node.cache.clone(),
    }
}
