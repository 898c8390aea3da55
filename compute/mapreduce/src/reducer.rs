//! Reducers, the values they get, and the output they write.

use crate::failure::Outcome;
use crate::mapper::Data;
use mammoth_runtime::error::RuntimeError;
use mammoth_runtime::key::Key;
use mammoth_runtime::output::TextOutput;
use mammoth_runtime::task::TaskContext;
use std::fmt::Display;
use std::marker::PhantomData;
use std::ops::Deref;

/// Turns all values of a key into output. One clone works through one partition, key by key, in the order of the keys.
pub trait Reducer: Clone + Send + 'static {
    /// What records are grouped by.
    type Key: Key;
    /// What the mapper emits, or the accumulator of a fold.
    type Value: Data;

    /// Called once before the first key.
    ///
    /// # Errors
    /// Whatever shall fail the attempt.
    fn setup(&mut self, _context: &TaskContext) -> Outcome {
        Ok(())
    }

    /// Called for every key. Values that are not asked for are passed over.
    ///
    /// # Errors
    /// Whatever shall fail the attempt.
    fn reduce(&mut self, key: &Self::Key, values: &mut Values<'_, Self::Value>, out: &mut Output<'_>) -> Outcome;

    /// Called once after the last key.
    ///
    /// # Errors
    /// Whatever shall fail the attempt.
    fn cleanup(&mut self, _out: &mut Output<'_>) -> Outcome {
        Ok(())
    }
}

/// Where values come from. A failure is kept until somebody asks.
pub(crate) trait ValueSource<V> {
    fn next_value(&mut self) -> Option<V>;
}

/// The values of one key, each once. They cannot be gone through twice, as they need not fit into memory.
pub struct Values<'a, V> {
    source: &'a mut dyn ValueSource<V>,
}

impl<'a, V> Values<'a, V> {
    pub(crate) fn new(source: &'a mut dyn ValueSource<V>) -> Self {
        Self { source }
    }
}

impl<V> Iterator for Values<'_, V> {
    type Item = V;

    #[inline]
    fn next(&mut self) -> Option<V> {
        self.source.next_value()
    }
}

/// A task's output file. Also the way to the task's surroundings: it derefs to [`TaskContext`].
pub struct Output<'a> {
    text: &'a mut TextOutput,
    context: &'a TaskContext,
}

impl<'a> Output<'a> {
    pub(crate) fn new(text: &'a mut TextOutput, context: &'a TaskContext) -> Self {
        Self { text, context }
    }

    /// Writes `key TAB value NEWLINE`.
    ///
    /// Should it have nowhere to go, the attempt fails after this key's call of the reducer.
    pub fn emit(&mut self, key: impl Display, value: impl Display) {
        self.text.record(key, value);
    }

    /// Writes one line as it is.
    pub fn line(&mut self, text: impl Display) {
        self.text.line(text);
    }

    pub(crate) fn check(&mut self) -> Result<(), RuntimeError> {
        self.text.check()
    }
}

impl Deref for Output<'_> {
    type Target = TaskContext;

    fn deref(&self) -> &TaskContext {
        self.context
    }
}

/// Writes every value of every key as it is.
#[derive(Debug)]
pub struct Identity<K, V>(PhantomData<fn(K, V)>);

impl<K, V> Identity<K, V> {
    /// Writes every value of every key as it is.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<K, V> Default for Identity<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> Clone for Identity<K, V> {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl<K: Key + Display, V: Data + Display> Reducer for Identity<K, V> {
    type Key = K;
    type Value = V;

    fn reduce(&mut self, key: &K, values: &mut Values<'_, V>, out: &mut Output<'_>) -> Outcome {
        for value in values {
            out.emit(key, value);
        }
        Ok(())
    }
}
