//! Actions: what runs a plan and gives a result.

use crate::ops::sinks::{CollectOp, CountOp, FoldOp, ForEachOp, NoFunction};
use crate::ops::{Encoded, Func, State};
use crate::rdd::sink;
use crate::{Data, Error, Rdd};
use mammoth_engine::code::{self, CodeRef};
use mammoth_engine::{Action, CodeError, EngineError};
use serde::Serialize;
use std::collections::BTreeMap;
use std::panic::Location;

/// By how much more partitions a `take` looks at when those before were not enough.
const TAKE_GROWTH: u64 = 4;

impl<T> Rdd<T> {
    /// Runs a sink on partitions of this dataset.
    pub(crate) fn run<S: Serialize>(
        &self,
        name: &'static str,
        code: Result<CodeRef, CodeError>,
        state: &S,
        partitions: Option<Vec<u32>>,
        call_site: &'static Location<'static>,
    ) -> Result<BTreeMap<u32, Vec<u8>>, Error> {
        let (sink, blobs) = sink(&self.context(), code, state)?;
        let action = Action { name, sink, blobs, partitions, call_site };
        Ok(self.handle.context().run(&self.handle, action)?)
    }

    /// The number of records.
    ///
    /// # Errors
    /// Why it could not be computed.
    #[track_caller]
    pub fn count(&self) -> Result<u64, Error> {
        let results = self.run("count", code::sink::<CountOp>(NoFunction), &(), None, Location::caller())?;
        let mut sum = 0;
        for result in results.values() {
            sum += postcard::from_bytes::<u64>(result).map_err(Error::Result)?;
        }
        Ok(sum)
    }
}

impl<T: Data> Rdd<T> {
    /// All records, in the order of the partitions.
    ///
    /// # Errors
    /// Why they could not be computed; more than the driver may hold.
    #[track_caller]
    pub fn collect(&self) -> Result<Vec<T>, Error> {
        let code = code::sink::<CollectOp<T>>(NoFunction);
        let results = self.run("collect", code, &u64::MAX, None, Location::caller())?;
        let mut records = Vec::new();
        for result in results.into_values() {
            let encoded = Encoded::from_bytes(&result).map_err(Error::Result)?;
            encoded.each(|record| records.push(record)).map_err(Error::Result)?;
        }
        Ok(records)
    }

    /// The first `count` records: looks at the first partition, then at four times as many more each time until there are enough.
    ///
    /// # Errors
    /// Why they could not be computed.
    #[track_caller]
    pub fn take(&self, count: usize) -> Result<Vec<T>, Error> {
        let call_site = Location::caller();
        let mut records: Vec<T> = Vec::new();
        let total = u64::from(self.partitions());
        let (mut next, mut step) = (0_u64, 1_u64);
        while records.len() < count && next < total {
            let end = total.min(next + step);
            let partitions = (next..end).filter_map(|partition| u32::try_from(partition).ok()).collect();
            let wanted = (count - records.len()) as u64;
            let results =
                self.run("take", code::sink::<CollectOp<T>>(NoFunction), &wanted, Some(partitions), call_site)?;
            for result in results.into_values() {
                let encoded = Encoded::from_bytes(&result).map_err(Error::Result)?;
                encoded.each(|record| records.push(record)).map_err(Error::Result)?;
            }
            next = end;
            step = next.saturating_mul(TAKE_GROWTH);
        }
        records.truncate(count);
        Ok(records)
    }

    /// The first record.
    ///
    /// # Errors
    /// There is none, or it could not be computed.
    #[track_caller]
    pub fn first(&self) -> Result<T, Error> {
        let mut records = self.take(1)?;
        records.pop().ok_or_else(|| EngineError::Empty("first").into())
    }

    /// All records made one by a closure, whose order and grouping must not matter. Partitions are joined in their order.
    ///
    /// # Errors
    /// There are no records, or it could not be computed.
    #[track_caller]
    pub fn reduce<F: Fn(T, T) -> T + Func>(&self, function: F) -> Result<T, Error> {
        let call_site = Location::caller();
        let step = move |(): &(), sum: Option<T>, record: T| match sum {
            Some(sum) => function(sum, record),
            None => record,
        };
        let parts = self.folded::<T, (), _>("reduce", (), step, call_site)?;
        parts.into_iter().reduce(function).ok_or_else(|| EngineError::Empty("reduce").into())
    }

    /// All records folded into a value of another type: each partition from `zero` on, then all of them.
    ///
    /// # Errors
    /// Why it could not be computed.
    #[track_caller]
    pub fn aggregate<A, F, G>(&self, zero: A, add: F, merge: G) -> Result<A, Error>
    where
        A: Data,
        F: Fn(A, T) -> A + Func,
        G: Fn(A, A) -> A,
    {
        let call_site = Location::caller();
        let step = move |zero: &A, sum: Option<A>, record: T| add(sum.unwrap_or_else(|| zero.clone()), record);
        let parts = self.folded("aggregate", zero.clone(), step, call_site)?;
        Ok(parts.into_iter().fold(zero, merge))
    }

    fn folded<A, S, F>(
        &self,
        name: &'static str,
        state: S,
        function: F,
        call_site: &'static Location<'static>,
    ) -> Result<Vec<A>, Error>
    where
        A: Data,
        S: State,
        F: Fn(&S, Option<A>, T) -> A + Func,
    {
        let results = self.run(name, code::sink::<FoldOp<T, A, S, F>>(function), &state, None, call_site)?;
        let mut parts = Vec::new();
        for result in results.values() {
            parts.extend(postcard::from_bytes::<Option<A>>(result).map_err(Error::Result)?);
        }
        Ok(parts)
    }
}

impl<T: Send + 'static> Rdd<T> {
    /// Hands each record to a closure, for its effect on the executor.
    ///
    /// # Errors
    /// Why that could not be done.
    #[track_caller]
    pub fn foreach<F: Fn(&T) + Func>(&self, function: F) -> Result<(), Error> {
        self.foreach_with((), move |(): &(), record| function(record))
    }

    /// As [`Rdd::foreach`], with a state that travels beside the closure.
    ///
    /// # Errors
    /// Why that could not be done.
    #[track_caller]
    pub fn foreach_with<S: State, F: Fn(&S, &T) + Func>(&self, state: S, function: F) -> Result<(), Error> {
        let code = code::sink::<ForEachOp<T, S, F>>(function);
        self.run("foreach", code, &state, None, Location::caller())?;
        Ok(())
    }
}
