//! Sinks: what actions do with each partition.

use super::{Encoded, Func, State, encode_error};
use crate::Data;
use mammoth_engine::batch::Batch;
use mammoth_engine::ops::{Finished, Sink, SinkOp};
use mammoth_engine::task::{TaskContext, TaskError};
use std::marker::PhantomData;
use std::sync::Arc;

/// Sends records to the driver, at most so many.
struct Collect<T> {
    limit: u64,
    task: Arc<TaskContext>,
    out: Encoded,
    types: PhantomData<fn(T)>,
}

pub(crate) struct CollectOp<T>(PhantomData<fn(T)>);

/// Closures of operations that have none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoFunction;

impl<T: Data> SinkOp for CollectOp<T> {
    const NAME: &'static str = "collect";
    type State = u64;
    type Function = NoFunction;

    fn make(limit: u64, _: NoFunction, task: &Arc<TaskContext>) -> Result<Box<dyn Sink>, TaskError> {
        let task = Arc::clone(task);
        Ok(Box::new(Collect { limit, task, out: Encoded::default(), types: PhantomData::<fn(T)> }))
    }
}

impl<T: Data> Sink for Collect<T> {
    fn take(&mut self, batch: Batch) -> Result<bool, TaskError> {
        for record in batch.records::<T>()?.as_slice() {
            if self.out.records >= self.limit {
                return Ok(false);
            }
            self.out.push(record).map_err(encode_error)?;
            self.task.check_result(CollectOp::<T>::NAME, self.out.bytes.len())?;
        }
        Ok(self.out.records < self.limit)
    }

    fn finish(self: Box<Self>) -> Result<Finished, TaskError> {
        Ok(Finished { result: self.out.to_bytes().map_err(encode_error)?, partitions: Vec::new() })
    }
}

/// Counts records of whatever type.
struct Count {
    records: u64,
}

pub(crate) struct CountOp;

impl SinkOp for CountOp {
    const NAME: &'static str = "count";
    type State = ();
    type Function = NoFunction;

    fn make(_state: (), _: NoFunction, _task: &Arc<TaskContext>) -> Result<Box<dyn Sink>, TaskError> {
        Ok(Box::new(Count { records: 0 }))
    }
}

impl Sink for Count {
    fn take(&mut self, batch: Batch) -> Result<bool, TaskError> {
        self.records += batch.len() as u64;
        Ok(true)
    }

    fn finish(self: Box<Self>) -> Result<Finished, TaskError> {
        Ok(Finished { result: postcard::to_allocvec(&self.records).map_err(encode_error)?, partitions: Vec::new() })
    }
}

/// Folds records into one value.
struct Fold<T, A, S, F> {
    state: S,
    function: F,
    value: Option<A>,
    types: PhantomData<fn(T)>,
}

pub(crate) struct FoldOp<T, A, S, F>(PhantomData<fn(T, S, A) -> F>);

impl<T, A, S, F> SinkOp for FoldOp<T, A, S, F>
where
    T: Send + 'static,
    A: Data,
    S: State,
    F: Fn(&S, Option<A>, T) -> A + Func,
{
    const NAME: &'static str = "fold";
    type State = S;
    type Function = F;

    fn make(state: S, function: F, _task: &Arc<TaskContext>) -> Result<Box<dyn Sink>, TaskError> {
        Ok(Box::new(Fold { state, function, value: None, types: PhantomData }))
    }
}

impl<T, A, S, F> Sink for Fold<T, A, S, F>
where
    T: Send + 'static,
    A: Data,
    S: State,
    F: Fn(&S, Option<A>, T) -> A + Func,
{
    fn take(&mut self, batch: Batch) -> Result<bool, TaskError> {
        let mut value = self.value.take();
        for record in batch.into_vec::<T>()? {
            value = Some((self.function)(&self.state, value, record));
        }
        self.value = value;
        Ok(true)
    }

    fn finish(self: Box<Self>) -> Result<Finished, TaskError> {
        Ok(Finished { result: postcard::to_allocvec(&self.value).map_err(encode_error)?, partitions: Vec::new() })
    }
}

/// Hands each record to a closure, for its effect.
struct ForEach<T, S, F> {
    state: S,
    function: F,
    types: PhantomData<fn(T)>,
}

pub(crate) struct ForEachOp<T, S, F>(PhantomData<fn(T, S) -> F>);

impl<T, S, F> SinkOp for ForEachOp<T, S, F>
where
    T: Send + 'static,
    S: State,
    F: Fn(&S, &T) + Func,
{
    const NAME: &'static str = "foreach";
    type State = S;
    type Function = F;

    fn make(state: S, function: F, _task: &Arc<TaskContext>) -> Result<Box<dyn Sink>, TaskError> {
        Ok(Box::new(ForEach { state, function, types: PhantomData }))
    }
}

impl<T, S, F> Sink for ForEach<T, S, F>
where
    T: Send + 'static,
    S: State,
    F: Fn(&S, &T) + Func,
{
    fn take(&mut self, batch: Batch) -> Result<bool, TaskError> {
        batch.records::<T>()?.as_slice().iter().for_each(|record| (self.function)(&self.state, record));
        Ok(true)
    }

    fn finish(self: Box<Self>) -> Result<Finished, TaskError> {
        Ok(Finished::default())
    }
}
