//! A stage as executors get it: a binary blob, named by its hash, the same for every task of the stage.

use crate::code::CodeRef;
use crate::error::EngineError;
use mammoth_engine_core::api::{DatasetId, ShuffleId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::ops::Range;

/// State of an operation that is longer travels as a blob of its own, which the executor fetches once for all stages.
pub const CAPTURES_INLINE_MAX: usize = 1024 * 1024;
/// What the driver knows of one partition travels with the task up to this length, and as a blob beyond it.
pub const PAYLOAD_INLINE_MAX: usize = 64 * 1024;
/// Most nodes of a stage.
pub const NODES_MAX: usize = 10_000;

/// A blob's name: the SHA-256 of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlobId(pub [u8; 32]);

impl BlobId {
    /// The name of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Reads what [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut id = [0; 32];
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(id))
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Bytes that travel here or as a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// Here.
    Inline(Vec<u8>),
    /// By name.
    Blob(BlobId),
}

impl Default for Payload {
    fn default() -> Self {
        Self::Inline(Vec::new())
    }
}

/// What a node does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OpCode {
    /// A function of the program.
    Native {
        /// Which.
        descriptor: CodeRef,
        /// Its state.
        captures: Payload,
    },
    /// An operation that the engine itself knows.
    Named {
        /// Which; see [`UNION`].
        name: String,
        /// Of the operation's meaning.
        version: u32,
        /// Its state.
        params: Vec<u8>,
    },
    /// Something that runs beside the executor.
    Foreign {
        /// In what.
        runtime: String,
        /// What that is given.
        payload: Vec<u8>,
    },
}

/// The built-in operation that appends its inputs' partitions: its first partitions are those of its first input, and so on.
pub const UNION: &str = "union";

impl OpCode {
    /// A built-in operation without state.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self::Named { name: name.to_owned(), version: 1, params: Vec::new() }
    }

    /// For people.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Native { descriptor, .. } => &descriptor.name,
            Self::Named { name, .. } => name,
            Self::Foreign { runtime, .. } => runtime,
        }
    }
}

/// What a node reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProgramInput {
    /// Another node of the stage.
    Narrow {
        /// Its position in [`Program::nodes`].
        node: u32,
        /// Partitions of this node that read it, the first one reading partition 0; `None`: each reads its own.
        readers: Option<Range<u32>>,
    },
    /// A shuffle.
    Shuffle {
        /// Which.
        shuffle: ShuffleId,
    },
}

/// One node of a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramNode {
    /// The dataset that it computes.
    pub dataset: DatasetId,
    /// For people.
    pub name: String,
    /// What it does.
    pub op: OpCode,
    /// What it reads.
    pub inputs: Vec<ProgramInput>,
    /// How its batches are kept, if they are.
    pub cache: Option<OpCode>,
}

/// A stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// For people.
    pub name: String,
    /// Inputs before those who read them; the last one is the stage's.
    pub nodes: Vec<ProgramNode>,
    /// What is done with its batches.
    pub sink: OpCode,
    /// The shuffle that the sink writes, and its number of partitions.
    pub writes: Option<(ShuffleId, u32)>,
}

impl Program {
    /// The blob.
    ///
    /// # Errors
    /// None are known.
    pub fn encode(&self) -> Result<Vec<u8>, EngineError> {
        postcard::to_allocvec(self).map_err(|error| EngineError::Codec { what: "a stage", reason: error.to_string() })
    }

    /// The stage of a blob, whose inputs all point backwards.
    ///
    /// # Errors
    /// Bytes that are no stage.
    pub fn decode(bytes: &[u8]) -> Result<Self, EngineError> {
        let bad = |reason: String| EngineError::Codec { what: "a stage", reason };
        let program: Self = postcard::from_bytes(bytes).map_err(|error| bad(error.to_string()))?;
        if program.nodes.is_empty() || program.nodes.len() > NODES_MAX {
            return Err(bad(format!("it has {} nodes", program.nodes.len())));
        }
        for (at, node) in program.nodes.iter().enumerate() {
            for input in &node.inputs {
                if let ProgramInput::Narrow { node: read, .. } = input
                    && *read as usize >= at
                {
                    return Err(bad(format!("node {at} reads node {read}")));
                }
            }
        }
        Ok(program)
    }

    /// The source nodes that a partition reads, with their partition: those whose payload a task needs.
    #[must_use]
    pub fn leaves(&self, partition: u32) -> Vec<(usize, u32)> {
        let mut leaves = Vec::new();
        let mut todo = vec![(self.nodes.len().saturating_sub(1), partition)];
        let mut seen = std::collections::BTreeSet::new();
        while let Some((at, partition)) = todo.pop() {
            let Some(node) = self.nodes.get(at).filter(|_| seen.insert((at, partition))) else { continue };
            if node.inputs.is_empty() {
                leaves.push((at, partition));
            }
            for input in &node.inputs {
                if let ProgramInput::Narrow { node, readers } = input
                    && let Some(partition) = input_partition(readers.as_ref(), partition)
                {
                    todo.push((*node as usize, partition));
                }
            }
        }
        leaves
    }
}

/// The partition of an input that `partition` reads, if it reads that input.
#[must_use]
pub fn input_partition(readers: Option<&Range<u32>>, partition: u32) -> Option<u32> {
    match readers {
        None => Some(partition),
        Some(range) => range.contains(&partition).then(|| partition - range.start),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(inputs: Vec<ProgramInput>) -> ProgramNode {
        let op = OpCode::named(UNION);
        ProgramNode { dataset: DatasetId(0), name: "n".to_owned(), op, inputs, cache: None }
    }

    fn program(nodes: Vec<ProgramNode>) -> Program {
        Program { name: "s".to_owned(), nodes, sink: OpCode::named("x"), writes: None }
    }

    #[test]
    fn a_blob_gives_the_same_stage_and_has_the_name_of_its_bytes() {
        let shuffle = ProgramInput::Shuffle { shuffle: ShuffleId(4) };
        let narrow = ProgramInput::Narrow { node: 0, readers: Some(2..5) };
        let program = program(vec![node(vec![shuffle]), node(vec![narrow])]);
        let blob = program.encode().unwrap();
        assert_eq!(Program::decode(&blob).unwrap(), program);
        let id = BlobId::of(&blob);
        assert_eq!(BlobId::parse(&id.to_string()), Some(id));
        assert_eq!(BlobId::parse("12"), None);
        assert_eq!(BlobId::parse(&"+a".repeat(32)), None, "no signs");
        for cut in 0..blob.len() {
            assert!(Program::decode(&blob[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_stage_that_reads_forwards_is_refused() {
        let own = ProgramInput::Narrow { node: 0, readers: None };
        assert!(Program::decode(&program(vec![node(vec![own])]).encode().unwrap()).is_err());
        assert!(Program::decode(&program(Vec::new()).encode().unwrap()).is_err());
    }

    #[test]
    fn leaves_of_a_union_are_those_of_the_input_that_the_partition_is_of() {
        let inputs = vec![
            ProgramInput::Narrow { node: 0, readers: Some(0..2) },
            ProgramInput::Narrow { node: 1, readers: Some(2..5) },
        ];
        let program = program(vec![node(Vec::new()), node(Vec::new()), node(inputs)]);
        assert_eq!(program.leaves(1), [(0, 1)]);
        assert_eq!(program.leaves(4), [(1, 2)]);
    }
}
