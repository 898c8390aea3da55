//! Shuffles: where a task's outputs of other stages are.

use crate::task::TaskContext;
use crate::wire::PlaceAddress;
use mammoth_engine_core::api::{OutputId, PlaceId, ShuffleId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One partition of a shuffle, as a task reads it.
pub struct ShuffleInput {
    /// Which.
    pub shuffle: ShuffleId,
    /// The partition.
    pub partition: u32,
    /// By partition of the stage that wrote it.
    pub maps: Vec<Option<OutputId>>,
    /// Where outputs lie.
    pub places: BTreeMap<PlaceId, PlaceAddress>,
    /// The task.
    pub task: Arc<TaskContext>,
}
