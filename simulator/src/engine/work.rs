//! What things are really made from.

use mammoth_engine_core::api::StageId;
use std::collections::{BTreeMap, BTreeSet};

/// Which computations of indeterminate stages went into an output, a block or a result. Two of one stage must never meet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) of: BTreeMap<StageId, BTreeSet<u32>>,
}

impl Made {
    /// Something made from this and that.
    pub(super) fn add(&mut self, other: &Self) {
        for (stage, generations) in &other.of {
            self.of.entry(*stage).or_default().extend(generations);
        }
    }

    /// The stage of which two computations met, if there is one.
    pub(super) fn mixed(&self) -> Option<StageId> {
        self.of.iter().find(|(_, generations)| generations.len() > 1).map(|(stage, _)| *stage)
    }
}
