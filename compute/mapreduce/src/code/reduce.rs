//! The reduce side: groups of equal keys, and the reducer over them.

use crate::fold::Fold;
use crate::mapper::Data;
use crate::reducer::{Output, Reducer, ValueSource, Values};
use crate::values;
use mammoth_runtime::error::RuntimeError;
use mammoth_runtime::key::Key;
use mammoth_runtime::task::{ReduceGroups, ReduceTask};
use std::sync::{Mutex, PoisonError};

/// A reduce without types.
pub(crate) trait ReduceSide: Send + Sync {
    fn run(&self, task: ReduceTask<'_>) -> Result<(), RuntimeError>;
}

/// How the values of a group reach the reducer.
pub(crate) trait Gather<V>: Send + Sync {
    /// Called at the start of each group.
    fn begin(&mut self);

    /// The next value for the reducer.
    fn next(&mut self, groups: &mut ReduceGroups<'_>) -> Result<Option<V>, RuntimeError>;
}

/// One by one.
pub(crate) struct EachValue;

impl<V: Data> Gather<V> for EachValue {
    fn begin(&mut self) {}

    #[inline]
    fn next(&mut self, groups: &mut ReduceGroups<'_>) -> Result<Option<V>, RuntimeError> {
        groups.next_value()?.map(values::decode).transpose()
    }
}

/// All in one.
#[derive(Clone)]
pub(crate) struct Folded<F> {
    fold: F,
    is_given: bool,
}

impl<F: Fold> Gather<F::Sum> for Folded<F> {
    fn begin(&mut self) {
        self.is_given = false;
    }

    fn next(&mut self, groups: &mut ReduceGroups<'_>) -> Result<Option<F::Sum>, RuntimeError> {
        if std::mem::replace(&mut self.is_given, true) {
            return Ok(None);
        }
        let Some(first) = groups.next_value()? else { return Ok(None) };
        let mut sum: F::Sum = values::decode(first)?;
        while let Some(bytes) = groups.next_value()? {
            self.fold.merge(&mut sum, values::decode(bytes)?);
        }
        Ok(Some(sum))
    }
}

/// A reducer and how it gets its values.
pub(crate) struct Reducing<R, G> {
    reducer: Mutex<R>,
    gather: Box<dyn Fn() -> G + Send + Sync>,
}

impl<R: Reducer> Reducing<R, EachValue> {
    pub(crate) fn new(reducer: R) -> Self {
        Self { reducer: Mutex::new(reducer), gather: Box::new(|| EachValue) }
    }
}

impl<R: Reducer, F: Fold<Sum = R::Value>> Reducing<R, Folded<F>> {
    pub(crate) fn folding(reducer: R, fold: F) -> Self {
        let gather = move || Folded { fold: fold.clone(), is_given: false };
        Self { reducer: Mutex::new(reducer), gather: Box::new(gather) }
    }
}

impl<R: Reducer, G: Gather<R::Value>> ReduceSide for Reducing<R, G> {
    fn run(&self, mut task: ReduceTask<'_>) -> Result<(), RuntimeError> {
        let mut reducer = self.reducer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut gather = (self.gather)();
        let context = task.env.context();
        let failed = |failure: crate::Failure| failure.of("reduce");
        let mut text = task.env.text_output()?;
        reducer.setup(&context).map_err(failed)?;
        let mut groups = task.groups();
        let mut out = Output::new(&mut text, &context);
        while groups.next_group()? {
            let key = R::Key::of_bytes(groups.key())
                .map_err(|error| RuntimeError::Corrupt { what: "a key".to_owned(), why: error.to_string() })?;
            gather.begin();
            let mut source = GroupValues { groups: &mut groups, gather: &mut gather, failure: None };
            let outcome = reducer.reduce(&key, &mut Values::new(&mut source), &mut out);
            source.failure.map_or(Ok(()), Err)?;
            outcome.map_err(failed)?;
            out.check()?;
        }
        reducer.cleanup(&mut out).map_err(failed)?;
        task.finish(text)
    }
}

struct GroupValues<'a, 'g, G> {
    groups: &'a mut ReduceGroups<'g>,
    gather: &'a mut G,
    failure: Option<RuntimeError>,
}

impl<V, G: Gather<V>> ValueSource<V> for GroupValues<'_, '_, G> {
    #[inline]
    fn next_value(&mut self) -> Option<V> {
        match self.gather.next(self.groups) {
            Ok(value) => value,
            Err(error) => {
                self.failure.get_or_insert(error);
                None
            }
        }
    }
}
