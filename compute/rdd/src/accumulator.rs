//! [`Accumulator`]: a sum that tasks add to.

use crate::{Context, Data};
use mammoth_engine::Total;
use mammoth_engine::task::{AccumulatorState, TaskContext};
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::fmt::Display;
use std::marker::PhantomData;
use std::ops::AddAssign;

/// A sum that tasks add to and the driver reads. Hand it to operations as (a part of) their state.
///
/// What a task added counts once, when the task's work does: not for tasks that fail, nor twice for work that is done twice. A
/// task that is run again because its output was lost has been counted before, and counts again.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Accumulator<T> {
    number: u32,
    /// In the driver only.
    #[serde(skip)]
    context: Option<Context>,
    types: PhantomData<fn() -> T>,
}

impl<T> Clone for Accumulator<T> {
    fn clone(&self) -> Self {
        Self { number: self.number, context: self.context.clone(), types: PhantomData }
    }
}

/// The sum, in the driver.
struct Sum<T>(T);

impl<T: Data + AddAssign + Display> Total for Sum<T> {
    fn add(&mut self, encoded: &[u8]) -> Result<(), String> {
        let part: T = postcard::from_bytes(encoded).map_err(|error| error.to_string())?;
        self.0 += part;
        Ok(())
    }

    fn show(&self) -> String {
        self.0.to_string()
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// A task's part.
struct Part<T>(T);

impl<T: Data> AccumulatorState for Part<T> {
    fn encode(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_allocvec(&self.0)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

impl<T: Data + Default + AddAssign + Display> Accumulator<T> {
    pub(crate) fn new(context: &Context, name: &str, start: T) -> Self {
        let number = context.engine().add_accumulator(name, Box::new(Sum(start)));
        Self { number, context: Some(context.clone()), types: PhantomData }
    }

    /// Adds, in a task or in the driver.
    pub fn add(&self, amount: T) {
        if let Some(context) = &self.context {
            context.engine().with_accumulator(self.number, |total| {
                if let Some(sum) = total.as_any().downcast_mut::<Sum<T>>() {
                    sum.0 += amount;
                }
            });
            return;
        }
        TaskContext::with_current(|task| {
            let Some(task) = task else { return };
            task.accumulate(self.number, || Part(T::default()), |part| part.0 += amount);
        });
    }

    /// The sum so far: of tasks whose work counts. In a task: that task's own part.
    #[must_use]
    pub fn value(&self) -> T {
        let mut value = T::default();
        match &self.context {
            Some(context) => {
                context.engine().with_accumulator(self.number, |total| {
                    if let Some(sum) = total.as_any().downcast_mut::<Sum<T>>() {
                        value = sum.0.clone();
                    }
                });
            }
            None => TaskContext::with_current(|task| {
                let Some(task) = task else { return };
                task.accumulate(self.number, || Part(T::default()), |part: &mut Part<T>| value = part.0.clone());
            }),
        }
        value
    }
}
