//! Operations on pairs of key and value.
//!
//! Within each partition what these operations give lies in the order of the encoded keys. Where both sides of an operation are
//! spread by the same rule already, nothing is shuffled.

use crate::ops::join::{CogroupOp, JoinOp, NeighboursOp, Sides};
use crate::ops::sinks::NoFunction;
use crate::ops::wide::{FoldSink, GroupedOp, KeySample, ReducedOp, SampleOp, SortSink, SortedOp, Spread};
use crate::ops::{Func, State};
use crate::rdd::operation;
use crate::{Data, Error, Key, Rdd};
use mammoth_engine::code::{self, CodeRef};
use mammoth_engine::core::api::Determinism;
use mammoth_engine::plan::{Input, NodeSpec, Partitioner, ShuffleSpec};
use mammoth_engine::program::BlobId;
use mammoth_engine::{BlobHandle, CodeError};
use serde::Serialize;
use std::cmp::Reverse;
use std::panic::Location;

/// For each key all values of both sides.
pub type Cogrouped<K, V, W> = Rdd<(K, (Vec<V>, Vec<W>))>;

/// Keys that are sampled for each partition that is to come.
const SAMPLES_PER_PARTITION: u32 = 60;
/// Most keys that are sampled of one partition.
const SAMPLES_MAX: u32 = 100_000;

/// An operation that reads shuffles, before it is in the plan.
struct WideNode<'a, S> {
    name: &'a str,
    code: Result<CodeRef, CodeError>,
    state: S,
    inputs: Vec<Input>,
    blobs: Vec<BlobHandle>,
    partitioner: Partitioner,
    call_site: &'static Location<'static>,
}

const fn partitions_of(partitioner: &Partitioner) -> u32 {
    match partitioner {
        Partitioner::Hash { partitions } | Partitioner::Range { partitions, .. } => *partitions,
    }
}

impl<K: Key, V: Data> Rdd<(K, V)>
where
    K: Send + 'static,
{
    fn wide<U, S: Serialize>(&self, wide: WideNode<'_, S>) -> Rdd<U> {
        let (op, mut blobs) = operation(&self.context(), wide.code, &wide.state);
        blobs.extend(wide.blobs);
        let spec = NodeSpec {
            name: wide.name.to_owned(),
            op,
            inputs: wide.inputs,
            partitions: partitions_of(&wide.partitioner),
            partitioner: Some(wide.partitioner),
            determinism: Determinism::Determinate,
            call_site: wide.call_site,
            payloads: Vec::new(),
            hosts: Vec::new(),
            blobs,
        };
        Rdd::of(self.handle.context().add(spec))
    }

    /// A hash partitioner of so many partitions; 0: as many as this dataset has.
    fn by_hash(&self, partitions: u32) -> Partitioner {
        Partitioner::Hash { partitions: if partitions == 0 { self.partitions().max(1) } else { partitions } }
    }

    /// This dataset as the input of an operation that needs it spread: as it is if it is spread so, else over a shuffle.
    fn spread(&self, partitioner: &Partitioner, blobs: &mut Vec<BlobHandle>) -> (Input, bool) {
        if self.partitioner().as_ref() == Some(partitioner) {
            return (Input::Narrow { dataset: self.handle.id(), readers: None }, false);
        }
        let spread = Spread::Hash { partitions: partitions_of(partitioner) };
        (self.shuffled(code::sink::<SortSink<K, V>>(NoFunction), &spread, partitions_of(partitioner), blobs), true)
    }

    fn shuffled<S: Serialize>(
        &self,
        code: Result<CodeRef, CodeError>,
        state: &S,
        partitions: u32,
        blobs: &mut Vec<BlobHandle>,
    ) -> Input {
        let (sink, more) = operation(&self.context(), code, state);
        blobs.extend(more);
        Input::Shuffle(ShuffleSpec { dataset: self.handle.id(), sink, partitions })
    }

    /// One pair for each key, its values made one by a closure, whose order and grouping must not matter. Values are summed before
    /// they are shuffled, too. Into so many partitions (0: as many as there are).
    #[must_use]
    #[track_caller]
    pub fn reduce_by_key<F: Fn(V, V) -> V + Func>(&self, function: F, partitions: u32) -> Self {
        let call_site = Location::caller();
        let partitioner = self.by_hash(partitions);
        let mut blobs = Vec::new();
        if self.partitioner().as_ref() == Some(&partitioner) {
            let inputs = vec![Input::Narrow { dataset: self.handle.id(), readers: None }];
            let code = code::source::<NeighboursOp<K, V, F>>(function);
            return self.wide(WideNode {
                name: "reduce_by_key",
                code,
                state: (),
                inputs,
                blobs,
                partitioner,
                call_site,
            });
        }
        let sink = code::sink::<FoldSink<K, V, F>>(function);
        let inputs = vec![self.shuffled(sink, &(), partitions_of(&partitioner), &mut blobs)];
        let code = code::source::<ReducedOp<K, V, F>>(function);
        self.wide(WideNode { name: "reduce_by_key", code, state: (), inputs, blobs, partitioner, call_site })
    }

    /// One pair for each key: all its values, in the order of the partitions and of each partition's records.
    #[must_use]
    #[track_caller]
    pub fn group_by_key(&self, partitions: u32) -> Rdd<(K, Vec<V>)> {
        let call_site = Location::caller();
        let partitioner = self.by_hash(partitions);
        let mut blobs = Vec::new();
        let spread = Spread::Hash { partitions: partitions_of(&partitioner) };
        let sink = code::sink::<SortSink<K, V>>(NoFunction);
        let inputs = vec![self.shuffled(sink, &spread, partitions_of(&partitioner), &mut blobs)];
        let code = code::source::<GroupedOp<K, V>>(NoFunction);
        self.wide(WideNode { name: "group_by_key", code, state: (), inputs, blobs, partitioner, call_site })
    }

    /// The same pairs, spread by the hash of their keys.
    #[must_use]
    #[track_caller]
    pub fn partition_by_hash(&self, partitions: u32) -> Self {
        let call_site = Location::caller();
        let partitioner = self.by_hash(partitions);
        if self.partitioner().as_ref() == Some(&partitioner) {
            return self.clone();
        }
        let mut blobs = Vec::new();
        let (input, _) = self.spread(&partitioner, &mut blobs);
        let code = code::source::<SortedOp<K, V>>(NoFunction);
        let inputs = vec![input];
        self.wide(WideNode { name: "partition_by_hash", code, state: (), inputs, blobs, partitioner, call_site })
    }

    /// The same pairs in the order of their keys over all partitions; those of equal keys in their order here. The bounds between
    /// the partitions are drawn from a sample, for which the dataset is computed once now; the sample is always the same.
    ///
    /// # Errors
    /// Why the sample could not be drawn.
    #[track_caller]
    pub fn sort_by_key(&self, partitions: u32) -> Result<Self, Error> {
        let call_site = Location::caller();
        let partitions = if partitions == 0 { self.partitions().max(1) } else { partitions };
        let bounds = if partitions > 1 { self.bounds(partitions, call_site)? } else { Vec::new() };
        let named = BlobId::of(&postcard::to_allocvec(&bounds).map_err(Error::Record)?);
        let partitions = u32::try_from(bounds.len()).unwrap_or(u32::MAX).saturating_add(1);
        let partitioner = Partitioner::Range { bounds: named, partitions };
        let mut blobs = Vec::new();
        let sink = code::sink::<SortSink<K, V>>(NoFunction);
        let inputs = vec![self.shuffled(sink, &Spread::Range { bounds }, partitions, &mut blobs)];
        let code = code::source::<SortedOp<K, V>>(NoFunction);
        Ok(self.wide(WideNode { name: "sort_by_key", code, state: (), inputs, blobs, partitioner, call_site }))
    }

    /// As [`Rdd::sort_by_key`], the largest keys first.
    ///
    /// # Errors
    /// As [`Rdd::sort_by_key`].
    #[track_caller]
    pub fn sort_by_key_descending(&self, partitions: u32) -> Result<Self, Error> {
        let reversed = self.mapped("reverse", false, (), |(): &(), (key, value): (K, V)| (Reverse(key), value));
        let sorted = reversed.sort_by_key(partitions)?;
        Ok(sorted.mapped("reverse", false, (), |(): &(), (Reverse(key), value): (Reverse<K>, V)| (key, value)))
    }

    /// Encoded keys that cut the dataset into so many parts of about the same length, or fewer.
    fn bounds(&self, partitions: u32, call_site: &'static Location<'static>) -> Result<Vec<Vec<u8>>, Error> {
        let here = self.partitions().max(1);
        let wanted = (partitions.saturating_mul(SAMPLES_PER_PARTITION) / here).clamp(20, SAMPLES_MAX);
        let results = self.run("sort_by_key", code::sink::<SampleOp<K, V>>(NoFunction), &wanted, None, call_site)?;
        // Each sampled key stands for as many records as its partition has, divided by its samples.
        let mut weighted: Vec<(Vec<u8>, f64)> = Vec::new();
        for result in results.values() {
            let sample: KeySample = postcard::from_bytes(result).map_err(Error::Result)?;
            #[expect(clippy::cast_precision_loss, reason = "a weight, for bounds that are estimates anyway")]
            let weight = sample.records as f64 / sample.keys.len().max(1) as f64;
            weighted.extend(sample.keys.into_iter().map(|key| (key, weight)));
        }
        weighted.sort_by(|(a, _), (b, _)| a.cmp(b));
        let total: f64 = weighted.iter().map(|(_, weight)| weight).sum();
        let step = total / f64::from(partitions);
        let mut bounds: Vec<Vec<u8>> = Vec::new();
        let mut passed = 0.0;
        for (key, weight) in weighted {
            let next = step * (bounds.len() + 1) as f64;
            if passed >= next && bounds.len() + 1 < partitions as usize && bounds.last().is_none_or(|last| *last < key)
            {
                bounds.push(key);
            }
            passed += weight;
        }
        Ok(bounds)
    }

    /// Each value changed; keys stay, and so does how they are spread.
    #[must_use]
    #[track_caller]
    pub fn map_values<U: Send + 'static, F: Fn(V) -> U + Func>(&self, function: F) -> Rdd<(K, U)> {
        self.mapped("map_values", true, (), move |(): &(), (key, value): (K, V)| (key, function(value)))
    }

    /// As [`Rdd::map_values`], with a state that travels beside the closure.
    #[must_use]
    #[track_caller]
    pub fn map_values_with<U, S, F>(&self, state: S, function: F) -> Rdd<(K, U)>
    where
        U: Send + 'static,
        S: State,
        F: Fn(&S, V) -> U + Func,
    {
        self.mapped("map_values", true, state, move |state: &S, (key, value): (K, V)| (key, function(state, value)))
    }

    /// The keys.
    #[must_use]
    #[track_caller]
    pub fn keys(&self) -> Rdd<K> {
        self.mapped("keys", false, (), |(): &(), (key, _): (K, V)| key)
    }

    /// The values.
    #[must_use]
    #[track_caller]
    pub fn values(&self) -> Rdd<V> {
        self.mapped("values", false, (), |(): &(), (_, value): (K, V)| value)
    }

    /// For each key that both have, every pair of a value here and a value there. Into so many partitions (0: as many as this
    /// dataset has).
    #[must_use]
    #[track_caller]
    pub fn join<W: Data>(&self, other: &Rdd<(K, W)>, partitions: u32) -> Rdd<(K, (V, W))>
    where
        K: Clone,
    {
        self.paired("join", other, partitions, code::source::<JoinOp<K, V, W>>(NoFunction), Location::caller())
    }

    /// For each key that any of both has, all values here and all values there.
    #[must_use]
    #[track_caller]
    pub fn cogroup<W: Data>(&self, other: &Rdd<(K, W)>, partitions: u32) -> Cogrouped<K, V, W> {
        self.paired("cogroup", other, partitions, code::source::<CogroupOp<K, V, W>>(NoFunction), Location::caller())
    }

    fn paired<W: Data, U>(
        &self,
        name: &str,
        other: &Rdd<(K, W)>,
        partitions: u32,
        code: Result<CodeRef, CodeError>,
        call_site: &'static Location<'static>,
    ) -> Rdd<U> {
        let partitioner = match self.partitioner() {
            Some(known @ Partitioner::Hash { .. }) if partitions == 0 || partitions_of(&known) == partitions => known,
            _ => self.by_hash(partitions),
        };
        let mut blobs = Vec::new();
        let (left, left_shuffled) = self.spread(&partitioner, &mut blobs);
        let (right, right_shuffled) = other.spread(&partitioner, &mut blobs);
        let state = Sides { left: left_shuffled, right: right_shuffled };
        self.wide(WideNode { name, code, state, inputs: vec![left, right], blobs, partitioner, call_site })
    }
}

impl<T: Key + Data> Rdd<T> {
    /// Each record once, into so many partitions (0: as many as there are).
    #[must_use]
    #[track_caller]
    pub fn distinct(&self, partitions: u32) -> Self {
        let keyed = self.mapped("distinct", false, (), |(): &(), record: T| (record, ()));
        keyed
            .reduce_by_key(|(), ()| (), partitions)
            .mapped("distinct", false, (), |(): &(), (record, ()): (T, ())| record)
    }
}
