//! What a task added to accumulators. It reaches the driver with the task's success, and counts once.

use std::any::Any;
use std::collections::BTreeMap;

/// What one task added to one accumulator.
pub trait AccumulatorState: Any + Send {
    /// For the driver.
    ///
    /// # Errors
    /// A value that cannot be encoded.
    fn encode(&self) -> Result<Vec<u8>, postcard::Error>;

    /// To add to it.
    fn as_any(&mut self) -> &mut dyn Any;
}

/// By accumulator.
#[derive(Default)]
pub struct Accumulators {
    states: BTreeMap<u32, Box<dyn AccumulatorState>>,
}

impl Accumulators {
    /// The task's part of an accumulator; `None` if another type was used under the same number.
    pub fn get<S: AccumulatorState>(&mut self, accumulator: u32, start: impl FnOnce() -> S) -> Option<&mut S> {
        self.states.entry(accumulator).or_insert_with(|| Box::new(start())).as_any().downcast_mut()
    }

    pub(crate) fn encode(&self) -> Result<Vec<(u32, Vec<u8>)>, postcard::Error> {
        self.states.iter().map(|(number, state)| Ok((*number, state.encode()?))).collect()
    }
}
