//! Steps: what is done to records partition by partition.

use super::{Func, State};
use mammoth_engine::batch::{BATCH_RECORDS, Batch, Records};
use mammoth_engine::ops::{Step, StepOp, Stepped};
use mammoth_engine::task::{TaskContext, TaskError};
use std::marker::PhantomData;
use std::sync::Arc;

/// What an operation that gives any number of records for one puts them into.
#[derive(Debug)]
pub struct Emit<'a, U> {
    out: &'a mut Vec<U>,
}

impl<U> Emit<'_, U> {
    /// Gives a record.
    #[inline]
    pub fn push(&mut self, record: U) {
        self.out.push(record);
    }
}

impl<U> Extend<U> for Emit<'_, U> {
    #[inline]
    fn extend<I: IntoIterator<Item = U>>(&mut self, records: I) {
        self.out.extend(records);
    }
}

type Types<T, U, S, F> = PhantomData<fn(T, S, U) -> F>;

/// One record for each, by value.
pub(crate) struct Map<T, U, S, F> {
    state: S,
    function: F,
    types: PhantomData<fn(T) -> U>,
}

pub(crate) struct MapOp<T, U, S, F>(Types<T, U, S, F>);

impl<T, U, S, F> StepOp for MapOp<T, U, S, F>
where
    T: Send + 'static,
    U: Send + 'static,
    S: State,
    F: Fn(&S, T) -> U + Func,
{
    const NAME: &'static str = "map";
    type State = S;
    type Function = F;

    fn make(state: S, function: F, _task: &Arc<TaskContext>) -> Result<Box<dyn Step>, TaskError> {
        Ok(Box::new(Map { state, function, types: PhantomData }))
    }
}

impl<T, U, S, F> Step for Map<T, U, S, F>
where
    T: Send + 'static,
    U: Send + 'static,
    S: State,
    F: Fn(&S, T) -> U + Func,
{
    fn apply(&mut self, input: Option<Batch>) -> Result<Stepped, TaskError> {
        let Some(batch) = input else { return Ok(Stepped::default()) };
        let items = batch.into_vec::<T>()?;
        let out: Vec<U> = items.into_iter().map(|item| (self.function)(&self.state, item)).collect();
        Ok(Stepped::all(Batch::owned(out)))
    }
}

/// One record for each, by reference.
pub(crate) struct MapRef<T, U, S, F> {
    state: S,
    function: F,
    types: PhantomData<fn(T) -> U>,
}

pub(crate) struct MapRefOp<T, U, S, F>(Types<T, U, S, F>);

impl<T, U, S, F> StepOp for MapRefOp<T, U, S, F>
where
    T: Send + 'static,
    U: Send + 'static,
    S: State,
    F: Fn(&S, &T) -> U + Func,
{
    const NAME: &'static str = "map_ref";
    type State = S;
    type Function = F;

    fn make(state: S, function: F, _task: &Arc<TaskContext>) -> Result<Box<dyn Step>, TaskError> {
        Ok(Box::new(MapRef { state, function, types: PhantomData }))
    }
}

impl<T, U, S, F> Step for MapRef<T, U, S, F>
where
    T: Send + 'static,
    U: Send + 'static,
    S: State,
    F: Fn(&S, &T) -> U + Func,
{
    fn apply(&mut self, input: Option<Batch>) -> Result<Stepped, TaskError> {
        let Some(batch) = input else { return Ok(Stepped::default()) };
        let records = batch.records::<T>()?;
        let out: Vec<U> = records.as_slice().iter().map(|item| (self.function)(&self.state, item)).collect();
        Ok(Stepped::all(Batch::owned(out)))
    }
}

/// Those records for which the closure says so.
pub(crate) struct Filter<T, S, F> {
    state: S,
    function: F,
    types: PhantomData<fn(T)>,
}

pub(crate) struct FilterOp<T, S, F>(Types<T, T, S, F>);

impl<T, S, F> StepOp for FilterOp<T, S, F>
where
    T: Send + 'static,
    S: State,
    F: Fn(&S, &T) -> bool + Func,
{
    const NAME: &'static str = "filter";
    type State = S;
    type Function = F;

    fn make(state: S, function: F, _task: &Arc<TaskContext>) -> Result<Box<dyn Step>, TaskError> {
        Ok(Box::new(Filter { state, function, types: PhantomData }))
    }
}

impl<T, S, F> Step for Filter<T, S, F>
where
    T: Send + 'static,
    S: State,
    F: Fn(&S, &T) -> bool + Func,
{
    fn apply(&mut self, input: Option<Batch>) -> Result<Stepped, TaskError> {
        let Some(batch) = input else { return Ok(Stepped::default()) };
        let kept = batch.into_records::<T>()?.filtered(|item| (self.function)(&self.state, item));
        Ok(Stepped::all(Batch::owned(kept)))
    }
}

/// Any number of records for each, by value, as an iterator.
pub(crate) struct FlatMap<T, I: IntoIterator, S, F> {
    state: S,
    function: F,
    /// What is left of the batch, and of the record before that.
    items: std::vec::IntoIter<T>,
    current: Option<I::IntoIter>,
}

pub(crate) struct FlatMapOp<T, I, S, F>(Types<T, I, S, F>);

impl<T, I, S, F> StepOp for FlatMapOp<T, I, S, F>
where
    T: Send + 'static,
    I: IntoIterator<Item: Send + 'static> + 'static,
    S: State,
    F: Fn(&S, T) -> I + Func,
{
    const NAME: &'static str = "flat_map";
    type State = S;
    type Function = F;

    fn make(state: S, function: F, _task: &Arc<TaskContext>) -> Result<Box<dyn Step>, TaskError> {
        Ok(Box::new(FlatMap::<T, I, S, F> { state, function, items: Vec::new().into_iter(), current: None }))
    }
}

impl<T, I, S, F> Step for FlatMap<T, I, S, F>
where
    T: Send + 'static,
    I: IntoIterator<Item: Send + 'static>,
    S: State,
    F: Fn(&S, T) -> I + Func,
{
    fn apply(&mut self, input: Option<Batch>) -> Result<Stepped, TaskError> {
        if let Some(batch) = input {
            self.items = batch.into_vec::<T>()?.into_iter();
        }
        let mut out: Vec<I::Item> = Vec::with_capacity(BATCH_RECORDS);
        loop {
            if let Some(current) = &mut self.current {
                while out.len() < BATCH_RECORDS {
                    match current.next() {
                        Some(record) => out.push(record),
                        None => break,
                    }
                }
                if out.len() >= BATCH_RECORDS {
                    return Ok(Stepped { batch: Some(Batch::owned(out)), more: true });
                }
            }
            match self.items.next() {
                Some(item) => self.current = Some((self.function)(&self.state, item).into_iter()),
                None => {
                    self.current = None;
                    return Ok(Stepped::all(Batch::owned(out)));
                }
            }
        }
    }
}

/// Any number of records for each, by reference, pushed.
pub(crate) struct FlatMapRef<T, U, S, F> {
    state: S,
    function: F,
    items: Records<T>,
    /// Records of `items` that are done.
    done: usize,
    types: PhantomData<fn() -> U>,
}

pub(crate) struct FlatMapRefOp<T, U, S, F>(Types<T, U, S, F>);

impl<T, U, S, F> StepOp for FlatMapRefOp<T, U, S, F>
where
    T: Send + 'static,
    U: Send + 'static,
    S: State,
    F: Fn(&S, &T, &mut Emit<'_, U>) + Func,
{
    const NAME: &'static str = "flat_map_ref";
    type State = S;
    type Function = F;

    fn make(state: S, function: F, _task: &Arc<TaskContext>) -> Result<Box<dyn Step>, TaskError> {
        let items: Records<T> = Records::Owned(Vec::new());
        Ok(Box::new(FlatMapRef { state, function, items, done: 0, types: PhantomData }))
    }
}

impl<T, U, S, F> Step for FlatMapRef<T, U, S, F>
where
    T: Send + 'static,
    U: Send + 'static,
    S: State,
    F: Fn(&S, &T, &mut Emit<'_, U>) + Func,
{
    fn apply(&mut self, input: Option<Batch>) -> Result<Stepped, TaskError> {
        if let Some(batch) = input {
            self.items = batch.into_records::<T>()?;
            self.done = 0;
        }
        let items = self.items.as_slice();
        let mut out = Vec::with_capacity(BATCH_RECORDS);
        for item in items.get(self.done..).unwrap_or_default() {
            if out.len() >= BATCH_RECORDS {
                break;
            }
            (self.function)(&self.state, item, &mut Emit { out: &mut out });
            self.done += 1;
        }
        let more = self.done < items.len();
        let batch = Batch::owned(out);
        Ok(Stepped { batch: (!batch.is_empty()).then_some(batch), more })
    }
}
