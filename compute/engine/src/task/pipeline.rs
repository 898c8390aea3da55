//! From a stage's nodes to something that gives batches.
//!
//! A run of steps becomes a flat array that batches are pushed through in a loop. Only sources that read others (joins, caches)
//! hold pipelines in turn.

use crate::blocks::{BlockSource, CachingSource};
use crate::code::{self, Make};
use crate::error::CodeError;
use crate::ops::{CacheCodec, Sink, Source, SourceArgs, Step};
use crate::program::{OpCode, Payload, Program, ProgramInput, ProgramNode, UNION, input_partition};
use crate::shuffle::ShuffleInput;
use crate::task::{TaskContext, TaskError};
use crate::wire::TaskOrder;
use std::sync::Arc;

/// A source and the steps after it.
struct Pipeline {
    source: Box<dyn Source>,
    steps: Vec<Box<dyn Step>>,
    /// Steps that have more of a batch that they were given; the last one is asked first.
    pending: Vec<usize>,
    task: Arc<TaskContext>,
}

impl Source for Pipeline {
    fn next(&mut self) -> Result<Option<crate::batch::Batch>, TaskError> {
        'batch: loop {
            self.task.check()?;
            let (mut batch, first) = match self.pending.pop() {
                Some(at) => {
                    let stepped = self.steps[at].apply(None)?;
                    if stepped.more {
                        self.pending.push(at);
                    }
                    match stepped.batch {
                        Some(batch) => (batch, at + 1),
                        None => continue,
                    }
                }
                None => match self.source.next()? {
                    Some(batch) => (batch, 0),
                    None => return Ok(None),
                },
            };
            for at in first..self.steps.len() {
                let stepped = self.steps[at].apply(Some(batch))?;
                if stepped.more {
                    self.pending.push(at);
                }
                match stepped.batch {
                    Some(next) => batch = next,
                    None => continue 'batch,
                }
            }
            return Ok(Some(batch));
        }
    }
}

/// Builds what a task runs.
pub(crate) struct Builder<'a> {
    pub(crate) program: &'a Program,
    pub(crate) order: &'a TaskOrder,
    pub(crate) task: &'a Arc<TaskContext>,
}

impl Builder<'_> {
    /// Where the stage's batches come from.
    pub(crate) fn root(&self) -> Result<Box<dyn Source>, TaskError> {
        self.node(self.program.nodes.len().saturating_sub(1), self.order.task.partition)
    }

    /// Where they go.
    pub(crate) fn sink(&self) -> Result<Box<dyn Sink>, TaskError> {
        match self.make(&self.program.sink)? {
            (Make::Sink(make), captures) => make(&captures, self.task),
            _ => Err(wrong(&self.program.sink, "sink")),
        }
    }

    fn node(&self, at: usize, partition: u32) -> Result<Box<dyn Source>, TaskError> {
        match self.node_at(at)?.cache {
            Some(_) => self.cached(at, partition),
            None => self.computed(at, partition),
        }
    }

    /// A partition of a cached node: from its block, else computed and kept on the way.
    fn cached(&self, at: usize, partition: u32) -> Result<Box<dyn Source>, TaskError> {
        let node = self.node_at(at)?;
        let codec: Arc<dyn CacheCodec> = match &node.cache {
            Some(op) => match self.make(op)? {
                (Make::Cache(make), _) => Arc::from(make()),
                _ => return Err(wrong(op, "cache")),
            },
            None => return self.computed(at, partition),
        };
        let block = (node.dataset, partition);
        if let Some(found) = self.task.env.blocks.get(block) {
            return Ok(Box::new(BlockSource::new(found, codec, Arc::clone(self.task))));
        }
        let inner = self.computed(at, partition)?;
        Ok(Box::new(CachingSource::new(block, inner, codec, Arc::clone(self.task))))
    }

    fn computed(&self, at: usize, partition: u32) -> Result<Box<dyn Source>, TaskError> {
        let mut steps = Vec::new();
        let (mut at, mut partition) = (at, partition);
        let source = loop {
            let node = self.node_at(at)?;
            if !steps.is_empty() && node.cache.is_some() {
                break self.cached(at, partition)?;
            }
            if is_union(&node.op)? {
                (at, partition) = union_input(node, partition)?;
                // A union that reads a cached input goes through the cache, even as the first node here.
                if self.node_at(at)?.cache.is_some() {
                    break self.cached(at, partition)?;
                }
                continue;
            }
            match self.make(&node.op)? {
                (Make::Step(make), captures) => {
                    steps.push(make(&captures, self.task)?);
                    (at, partition) = only_input(node, partition)?;
                }
                (Make::Source(make), captures) => break make(self.source_args(at, partition, &captures)?)?,
                _ => return Err(wrong(&node.op, "source or step")),
            }
        };
        if steps.is_empty() {
            return Ok(source);
        }
        steps.reverse();
        Ok(Box::new(Pipeline { source, steps, pending: Vec::new(), task: Arc::clone(self.task) }))
    }

    fn source_args<'c>(&self, at: usize, partition: u32, captures: &'c [u8]) -> Result<SourceArgs<'c>, TaskError> {
        let node = self.node_at(at)?;
        let mut narrow = Vec::new();
        let mut shuffles = Vec::new();
        for input in &node.inputs {
            match input {
                ProgramInput::Narrow { node, readers } => {
                    if let Some(partition) = input_partition(readers.as_ref(), partition) {
                        narrow.push(self.node(*node as usize, partition)?);
                    }
                }
                ProgramInput::Shuffle { shuffle } => {
                    let outputs = self.order.shuffles.iter().find(|(known, _)| known == shuffle);
                    let maps = outputs.map(|(_, maps)| maps.clone());
                    let maps =
                        maps.ok_or_else(|| TaskError::fatal(format!("the task was not told of shuffle {shuffle}")))?;
                    let (places, task) = (self.order.places.clone(), Arc::clone(self.task));
                    let inputs = self.order.shuffles.len();
                    shuffles.push(ShuffleInput { shuffle: *shuffle, partition, maps, places, inputs, task });
                }
            }
        }
        let known = self.order.payloads.iter().find(|(node, of, _)| *node as usize == at && *of == partition);
        let payload = match known {
            Some((_, _, Payload::Blob(blob))) => self.task.env.blob_once(*blob)?,
            Some((_, _, Payload::Inline(bytes))) => bytes.clone(),
            None => Vec::new(),
        };
        Ok(SourceArgs { captures, partition, payload, narrow, shuffles, task: Arc::clone(self.task) })
    }

    fn node_at(&self, at: usize) -> Result<&ProgramNode, TaskError> {
        self.program.nodes.get(at).ok_or_else(|| TaskError::fatal(format!("the stage has no node {at}")))
    }

    fn make(&self, op: &OpCode) -> Result<(Make, Vec<u8>), TaskError> {
        match op {
            OpCode::Native { descriptor, captures } => Ok((code::resolve(descriptor)?, self.bytes(captures)?)),
            OpCode::Named { name, version, .. } => {
                Err(CodeError::Unsupported(format!("{name} version {version}")).into())
            }
            OpCode::Foreign { runtime, .. } => Err(CodeError::Unsupported(format!("code for {runtime}")).into()),
        }
    }

    fn bytes(&self, payload: &Payload) -> Result<Vec<u8>, TaskError> {
        match payload {
            Payload::Inline(bytes) => Ok(bytes.clone()),
            Payload::Blob(blob) => Ok(self.task.env.blob(*blob)?.to_vec()),
        }
    }
}

fn wrong(op: &OpCode, wanted: &'static str) -> TaskError {
    CodeError::WrongKind { name: op.name().to_owned(), wanted }.into()
}

fn is_union(op: &OpCode) -> Result<bool, TaskError> {
    match op {
        OpCode::Named { name, version, .. } if name == UNION && *version == 1 => Ok(true),
        OpCode::Named { name, version, .. } => Err(CodeError::Unsupported(format!("{name} version {version}")).into()),
        _ => Ok(false),
    }
}

fn union_input(node: &ProgramNode, partition: u32) -> Result<(usize, u32), TaskError> {
    let inputs = node.inputs.iter().filter_map(|input| match input {
        ProgramInput::Narrow { node, readers } => Some((*node as usize, input_partition(readers.as_ref(), partition)?)),
        ProgramInput::Shuffle { .. } => None,
    });
    inputs
        .into_iter()
        .next()
        .ok_or_else(|| TaskError::fatal(format!("no input of {} has partition {partition}", node.name)))
}

fn only_input(node: &ProgramNode, partition: u32) -> Result<(usize, u32), TaskError> {
    match node.inputs.as_slice() {
        [ProgramInput::Narrow { node: read, readers }] => input_partition(readers.as_ref(), partition)
            .map(|partition| (*read as usize, partition))
            .ok_or_else(|| TaskError::fatal(format!("the input of {} has no partition {partition}", node.name))),
        _ => Err(TaskError::fatal(format!("{} has not one input", node.name))),
    }
}
