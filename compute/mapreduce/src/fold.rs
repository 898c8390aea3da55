//! Folds: combining that is declared, so that a map keeps one accumulator for each key in a hash table, and sorts only those.

use crate::mapper::Data;
use std::marker::PhantomData;
use std::ops::AddAssign;

/// Folds the values of a key into one accumulator. Values arrive in any order and in any groups, on the map side and on the
/// reduce side, so `add` and `merge` must give the same for all of them.
pub trait Fold: Clone + Send + Sync + 'static {
    /// What the mapper emits.
    type Value: Data;
    /// What the reducer gets, once for each key.
    type Sum: Data;

    /// The accumulator of no values.
    fn init(&self) -> Self::Sum;

    /// Adds one value.
    fn add(&self, sum: &mut Self::Sum, value: &Self::Value);

    /// Adds another accumulator.
    fn merge(&self, sum: &mut Self::Sum, other: Self::Sum);
}

/// The sum of numbers. Integers wrap around at their ends only in builds without overflow checks; use a type that fits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum<T>(PhantomData<fn(T)>);

impl<T> Sum<T> {
    /// The sum of numbers.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: Data + AddAssign + Default + Copy> Fold for Sum<T> {
    type Value = T;
    type Sum = T;

    fn init(&self) -> T {
        T::default()
    }

    #[inline]
    fn add(&self, sum: &mut T, value: &T) {
        *sum += *value;
    }

    #[inline]
    fn merge(&self, sum: &mut T, other: T) {
        *sum += other;
    }
}

/// The number of values, whatever they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count<T>(PhantomData<fn(T)>);

impl<T> Count<T> {
    /// The number of values.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: Data + Clone> Fold for Count<T> {
    type Value = T;
    type Sum = u64;

    fn init(&self) -> u64 {
        0
    }

    #[inline]
    fn add(&self, sum: &mut u64, _value: &T) {
        *sum += 1;
    }

    #[inline]
    fn merge(&self, sum: &mut u64, other: u64) {
        *sum += other;
    }
}

/// The largest value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Max<T>(PhantomData<fn(T)>);

impl<T> Max<T> {
    /// The largest value.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: Data + Ord + Clone> Fold for Max<T> {
    type Value = T;
    type Sum = Option<T>;

    fn init(&self) -> Option<T> {
        None
    }

    fn add(&self, sum: &mut Option<T>, value: &T) {
        if sum.as_ref().is_none_or(|largest| largest < value) {
            *sum = Some(value.clone());
        }
    }

    fn merge(&self, sum: &mut Option<T>, other: Option<T>) {
        if let Some(value) = other {
            self.add(sum, &value);
        }
    }
}
