//! [`Rdd`]: a handle to a dataset of the plan, with the type of its records.

use crate::Context;
use crate::error::Error;
use mammoth_engine::code::CodeRef;
use mammoth_engine::core::api::Determinism;
use mammoth_engine::plan::{Input, NodeSpec, Partitioner};
use mammoth_engine::{BlobHandle, CodeError, DatasetHandle};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use std::panic::Location;

/// Records that can be collected, kept, and sent from one task to another.
pub trait Data: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> Data for T {}

/// A dataset: records of type `T` in partitions, described by how they are computed. Nothing is computed before an action.
///
/// Clones are the same dataset. When the last handle goes, and no dataset made from it is left, what was kept for it goes.
#[derive(Debug)]
pub struct Rdd<T> {
    pub(crate) handle: DatasetHandle,
    records: PhantomData<fn() -> T>,
}

impl<T> Clone for Rdd<T> {
    fn clone(&self) -> Self {
        Self { handle: self.handle.clone(), records: PhantomData }
    }
}

/// What [`Rdd::derive`] needs of an operation.
pub(crate) struct Derived<'a> {
    pub(crate) name: &'a str,
    /// Whether keys stay where they are, so that the partitioner still holds.
    pub(crate) keeps_partitioner: bool,
    pub(crate) call_site: &'static Location<'static>,
}

impl<T> Rdd<T> {
    pub(crate) fn of(handle: DatasetHandle) -> Self {
        Self { handle, records: PhantomData }
    }

    /// A dataset of one operation on this one, partition by partition.
    pub(crate) fn derive<U, S: Serialize>(
        &self,
        derived: &Derived<'_>,
        code: Result<CodeRef, CodeError>,
        state: &S,
    ) -> Rdd<U> {
        let context = self.handle.context();
        let (op, blobs) = operation(&self.context(), code, state);
        let partitioner = if derived.keeps_partitioner { self.handle.partitioner() } else { None };
        let spec = NodeSpec {
            name: derived.name.to_owned(),
            op,
            inputs: vec![Input::Narrow { dataset: self.handle.id(), readers: None }],
            partitions: self.handle.partitions(),
            partitioner,
            determinism: Determinism::Determinate,
            call_site: derived.call_site,
            payloads: Vec::new(),
            hosts: Vec::new(),
            blobs,
        };
        Rdd::of(context.add(spec))
    }

    /// Its context.
    #[must_use]
    pub fn context(&self) -> Context {
        Context::of(self.handle.context().clone())
    }

    /// Number of its partitions.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        self.handle.partitions()
    }

    /// How its records are spread over the partitions, where that is known.
    #[must_use]
    pub fn partitioner(&self) -> Option<Partitioner> {
        self.handle.partitioner()
    }

    /// How it is computed, for people: one line for each dataset, a new indent behind each shuffle.
    #[must_use]
    pub fn to_debug_string(&self) -> String {
        self.handle.describe()
    }

    /// Says that computing a partition of it again may give other records, as with random numbers or the time of day: when a part
    /// of what was made from it is lost, all of that is made again.
    #[must_use]
    pub fn indeterminate(self) -> Self {
        self.handle.set_determinism(Determinism::Indeterminate);
        self
    }

    /// The records of this dataset, then those of another.
    #[must_use]
    #[track_caller]
    pub fn union(&self, other: &Self) -> Self {
        let (first, second) = (self.partitions(), other.partitions());
        let read = |rdd: &Self, from: u32, len: u32| Input::Narrow {
            dataset: rdd.handle.id(),
            readers: Some(from..from.saturating_add(len)),
        };
        let spec = NodeSpec {
            name: "union".to_owned(),
            op: mammoth_engine::program::OpCode::named(mammoth_engine::program::UNION),
            inputs: vec![read(self, 0, first), read(other, first, second)],
            partitions: first.saturating_add(second),
            partitioner: None,
            determinism: Determinism::Determinate,
            call_site: Location::caller(),
            payloads: Vec::new(),
            hosts: Vec::new(),
            blobs: Vec::new(),
        };
        Self::of(self.handle.context().add(spec))
    }
}

/// An operation of the plan. Code that cannot be named, or a state that cannot be serialised, becomes an operation that fails by
/// name when it is run, so that building a plan needs no error at every step.
pub(crate) fn operation<S: Serialize>(
    context: &Context,
    code: Result<CodeRef, CodeError>,
    state: &S,
) -> (mammoth_engine::program::OpCode, Vec<BlobHandle>) {
    let named = code.map_err(|error| error.to_string());
    let made = named.and_then(|code| context.engine().operation(code, state).map_err(|error| error.to_string()));
    made.unwrap_or_else(|reason| (mammoth_engine::program::OpCode::named(&format!("nothing, as {reason}")), Vec::new()))
}

/// As [`operation`], for actions, which can fail.
pub(crate) fn sink<S: Serialize>(
    context: &Context,
    code: Result<CodeRef, CodeError>,
    state: &S,
) -> Result<(mammoth_engine::program::OpCode, Vec<BlobHandle>), Error> {
    let code = code.map_err(mammoth_engine::EngineError::from)?;
    Ok(context.engine().operation(code, state)?)
}
