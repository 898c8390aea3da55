//! A reduce: one partition of every map's output in, one file out.

use super::TaskEnv;
use super::plan::JobPlan;
use crate::error::RuntimeError;
use crate::link::Link;

/// What a reduce has: its partition of the maps' output, sorted, and where its output goes.
pub struct ReduceTask<'a> {
    /// Its surroundings.
    pub env: &'a TaskEnv<'a>,
}

pub(super) fn run(env: &TaskEnv<'_>, plan: &JobPlan, _link: &Link, _maps: u32) -> Result<(), RuntimeError> {
    plan.code.reduce(ReduceTask { env })
}
