//! Operations on any records, partition by partition. Nothing is computed before an action.

use crate::ops::cache::KeepOp;
use crate::ops::steps::{FilterOp, FlatMapOp, FlatMapRefOp, MapOp, MapRefOp};
use crate::ops::{Emit, Func, State};
use crate::rdd::{Derived, operation};
use crate::{Data, Rdd};
use mammoth_engine::code;
use std::panic::Location;

impl<T: Send + 'static> Rdd<T> {
    /// One record for each.
    #[must_use]
    #[track_caller]
    pub fn map<U: Send + 'static, F: Fn(T) -> U + Func>(&self, function: F) -> Rdd<U> {
        self.mapped("map", false, (), move |(): &(), record| function(record))
    }

    /// As [`Rdd::map`], with a state that travels beside the closure.
    #[must_use]
    #[track_caller]
    pub fn map_with<U, S, F>(&self, state: S, function: F) -> Rdd<U>
    where
        U: Send + 'static,
        S: State,
        F: Fn(&S, T) -> U + Func,
    {
        self.mapped("map", false, state, function)
    }

    /// `keeps`: the closure leaves keys as they are.
    #[track_caller]
    pub(crate) fn mapped<U, S, F>(&self, name: &str, keeps: bool, state: S, function: F) -> Rdd<U>
    where
        U: Send + 'static,
        S: State,
        F: Fn(&S, T) -> U + Func,
    {
        let derived = Derived { name, keeps_partitioner: keeps, call_site: Location::caller() };
        self.derive(&derived, code::step::<MapOp<T, U, S, F>>(function), &state)
    }

    /// One record for each, which is only looked at: records of a cached dataset are not copied for it.
    #[must_use]
    #[track_caller]
    pub fn map_ref<U: Send + 'static, F: Fn(&T) -> U + Func>(&self, function: F) -> Rdd<U> {
        self.map_ref_with((), move |(): &(), record| function(record))
    }

    /// As [`Rdd::map_ref`], with a state that travels beside the closure.
    #[must_use]
    #[track_caller]
    pub fn map_ref_with<U, S, F>(&self, state: S, function: F) -> Rdd<U>
    where
        U: Send + 'static,
        S: State,
        F: Fn(&S, &T) -> U + Func,
    {
        let derived = Derived { name: "map_ref", keeps_partitioner: false, call_site: Location::caller() };
        self.derive(&derived, code::step::<MapRefOp<T, U, S, F>>(function), &state)
    }

    /// The records for which the closure says so.
    #[must_use]
    #[track_caller]
    pub fn filter<F: Fn(&T) -> bool + Func>(&self, function: F) -> Self {
        self.filter_with((), move |(): &(), record| function(record))
    }

    /// As [`Rdd::filter`], with a state that travels beside the closure.
    #[must_use]
    #[track_caller]
    pub fn filter_with<S: State, F: Fn(&S, &T) -> bool + Func>(&self, state: S, function: F) -> Self {
        let derived = Derived { name: "filter", keeps_partitioner: true, call_site: Location::caller() };
        self.derive(&derived, code::step::<FilterOp<T, S, F>>(function), &state)
    }

    /// Any number of records for each.
    #[must_use]
    #[track_caller]
    pub fn flat_map<I, F>(&self, function: F) -> Rdd<I::Item>
    where
        I: IntoIterator<Item: Send + 'static> + 'static,
        F: Fn(T) -> I + Func,
    {
        self.flat_map_with((), move |(): &(), record| function(record))
    }

    /// As [`Rdd::flat_map`], with a state that travels beside the closure.
    #[must_use]
    #[track_caller]
    pub fn flat_map_with<I, S, F>(&self, state: S, function: F) -> Rdd<I::Item>
    where
        I: IntoIterator<Item: Send + 'static> + 'static,
        S: State,
        F: Fn(&S, T) -> I + Func,
    {
        let derived = Derived { name: "flat_map", keeps_partitioner: false, call_site: Location::caller() };
        self.derive(&derived, code::step::<FlatMapOp<T, I, S, F>>(function), &state)
    }

    /// Any number of records for each, pushed: nothing is allocated for a record, and the record is only looked at.
    #[must_use]
    #[track_caller]
    pub fn flat_map_ref<U, F>(&self, function: F) -> Rdd<U>
    where
        U: Send + 'static,
        F: Fn(&T, &mut Emit<'_, U>) + Func,
    {
        self.flat_map_ref_with((), move |(): &(), record, out| function(record, out))
    }

    /// As [`Rdd::flat_map_ref`], with a state that travels beside the closure.
    #[must_use]
    #[track_caller]
    pub fn flat_map_ref_with<U, S, F>(&self, state: S, function: F) -> Rdd<U>
    where
        U: Send + 'static,
        S: State,
        F: Fn(&S, &T, &mut Emit<'_, U>) + Func,
    {
        let derived = Derived { name: "flat_map", keeps_partitioner: false, call_site: Location::caller() };
        self.derive(&derived, code::step::<FlatMapRefOp<T, U, S, F>>(function), &state)
    }

    /// Each record behind a key.
    #[must_use]
    #[track_caller]
    pub fn key_by<K: Send + 'static, F: Fn(&T) -> K + Func>(&self, function: F) -> Rdd<(K, T)> {
        self.mapped("key_by", false, (), move |(): &(), record| (function(&record), record))
    }
}

impl<T: Data> Rdd<T> {
    /// Has its partitions kept in the executors' memory once they are computed. When memory is short, those that were not used
    /// for the longest time are given up, and computed again when they are needed.
    #[must_use]
    pub fn cache(self) -> Self {
        let (op, _) = operation(&self.context(), code::cache::<KeepOp<T>>(), &());
        self.handle.set_cache(Some(op));
        self
    }

    /// Has its partitions kept no longer.
    pub fn unpersist(&self) {
        self.handle.set_cache(None);
    }
}
