//! A job for tests that need one but do not run it.

use super::{JobPlan, MapTask, ReduceTask, TaskCode};
use crate::error::RuntimeError;
use crate::input::TextInput;
use crate::merge::Combiner;
use std::sync::Arc;

struct NoCode;

impl TaskCode for NoCode {
    fn has_reduce(&self) -> bool {
        true
    }

    fn map(&self, _: MapTask<'_>) -> Result<Vec<u64>, RuntimeError> {
        Ok(Vec::new())
    }

    fn combiner(&self) -> Option<Box<dyn Combiner>> {
        None
    }

    fn reduce(&self, _: ReduceTask<'_>) -> Result<(), RuntimeError> {
        Ok(())
    }
}

pub(crate) fn plan(inputs: &[&str], output: Option<&str>) -> JobPlan {
    JobPlan {
        name: "test".to_owned(),
        inputs: inputs.iter().map(|input| (*input).to_owned()).collect(),
        output: output.map(str::to_owned),
        reduces: None,
        settings: Vec::new(),
        format: Arc::new(TextInput),
        code: Arc::new(NoCode),
        then: None,
    }
}
