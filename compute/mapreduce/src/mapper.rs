//! Mappers, and where their records go.

use crate::failure::Outcome;
use mammoth_runtime::error::RuntimeError;
use mammoth_runtime::key::{Key, KeyEncode};
use mammoth_runtime::task::{Counter, MapTask, TaskContext};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Borrow;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::{Mutex, PoisonError};

/// What can be a value: anything that serde can write and read back.
pub trait Data: Serialize + DeserializeOwned + Send + 'static {}

impl<T: Serialize + DeserializeOwned + Send + 'static> Data for T {}

/// Turns lines into records. One clone works through one split, line by line.
///
/// `In` is what a line is given as: `str` (what is no UTF-8 is replaced by `U+FFFD`), or `[u8]` for the bytes as they are.
pub trait Mapper<In: Line + ?Sized = str>: Clone + Send + 'static {
    /// What records are grouped by.
    type Key: Key;
    /// What a record holds beside its key.
    type Value: Data;

    /// Called once before the first line.
    ///
    /// # Errors
    /// Whatever shall fail the attempt.
    fn setup(&mut self, _context: &TaskContext) -> Outcome {
        Ok(())
    }

    /// Called for every line, with the position of its first byte in its file.
    ///
    /// # Errors
    /// Whatever shall fail the attempt.
    fn map(&mut self, offset: u64, line: &In, out: &mut Emit<'_, Self::Key, Self::Value>) -> Outcome;

    /// Called once after the last line.
    ///
    /// # Errors
    /// Whatever shall fail the attempt.
    fn cleanup(&mut self, _out: &mut Emit<'_, Self::Key, Self::Value>) -> Outcome {
        Ok(())
    }
}

/// What a line can be given as.
pub trait Line {
    /// The line of some bytes; `replaced` is for a text that is not what the bytes are.
    fn of<'a>(bytes: &'a [u8], replaced: &'a mut String) -> &'a Self;
}

impl Line for str {
    fn of<'a>(bytes: &'a [u8], replaced: &'a mut String) -> &'a Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(_) => {
                replaced.clear();
                for chunk in bytes.utf8_chunks() {
                    replaced.push_str(chunk.valid());
                    if !chunk.invalid().is_empty() {
                        replaced.push(char::REPLACEMENT_CHARACTER);
                    }
                }
                replaced
            }
        }
    }
}

impl Line for [u8] {
    fn of<'a>(bytes: &'a [u8], _replaced: &'a mut String) -> &'a Self {
        bytes
    }
}

/// Takes a mapper's records. A failure is kept until somebody asks.
pub(crate) trait Sink<V> {
    /// Takes a record by its encoded key.
    fn put(&mut self, key: &[u8], value: &V);

    /// The first failure so far.
    fn check(&mut self) -> Result<(), RuntimeError>;
}

/// Where a mapper's records go. Also the way to the task's surroundings: it derefs to [`TaskContext`].
pub struct Emit<'a, K, V> {
    sink: &'a mut dyn Sink<V>,
    context: &'a TaskContext,
    key: Vec<u8>,
    of: PhantomData<fn(K)>,
}

impl<'a, K: Key, V> Emit<'a, K, V> {
    pub(crate) fn new(sink: &'a mut dyn Sink<V>, context: &'a TaskContext) -> Self {
        Self { sink, context, key: Vec::with_capacity(256), of: PhantomData }
    }

    /// Gives a record on. The key may be borrowed: a `&str` for a `String` or `Text`. Nothing is allocated for it.
    ///
    /// Should the record have nowhere to go (a disk that is full), the attempt fails after this line's call of the mapper.
    #[inline]
    pub fn emit<Q: KeyEncode + ?Sized>(&mut self, key: &Q, value: &V)
    where
        K: Borrow<Q>,
    {
        self.key.clear();
        key.encode_key(&mut self.key);
        self.sink.put(&self.key, value);
    }

    /// The counter of that name; see [`TaskContext::counter`].
    #[must_use]
    pub fn counter(&self, group: &str, name: &str) -> Counter {
        self.context.counter(group, name)
    }
}

impl<K, V> Deref for Emit<'_, K, V> {
    type Target = TaskContext;

    fn deref(&self) -> &TaskContext {
        self.context
    }
}

/// A mapper without its type: runs one over a whole split.
pub(crate) trait MapLoop<V>: Send + Sync {
    fn run(&self, task: &mut MapTask<'_>, sink: &mut dyn Sink<V>) -> Result<(), RuntimeError>;
}

/// See [`MapLoop`]. The lock is only for cloning, so that a mapper need not be `Sync`.
pub(crate) struct MapperLoop<M, In: ?Sized> {
    mapper: Mutex<M>,
    input: PhantomData<fn(&In)>,
}

impl<M, In: ?Sized> MapperLoop<M, In> {
    pub(crate) fn new(mapper: M) -> Self {
        Self { mapper: Mutex::new(mapper), input: PhantomData }
    }
}

impl<In, M> MapLoop<M::Value> for MapperLoop<M, In>
where
    In: Line + ?Sized,
    M: Mapper<In>,
{
    fn run(&self, task: &mut MapTask<'_>, sink: &mut dyn Sink<M::Value>) -> Result<(), RuntimeError> {
        let mut mapper = self.mapper.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let context = task.env.context();
        let failed = |failure: crate::Failure| failure.of("map");
        mapper.setup(&context).map_err(failed)?;
        let mut out = Emit::new(sink, &context);
        let mut replaced = String::new();
        while let Some((offset, bytes)) = task.next_record()? {
            mapper.map(offset, In::of(bytes, &mut replaced), &mut out).map_err(failed)?;
            out.sink.check()?;
        }
        mapper.cleanup(&mut out).map_err(failed)?;
        out.sink.check()
    }
}
