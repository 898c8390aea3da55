//! The mapper that the tests of whole programs share.

use mammoth_mapreduce::prelude::*;

/// Gives every word a one.
#[derive(Clone)]
pub(crate) struct Words;

impl Mapper for Words {
    type Key = Text;
    type Value = u64;

    fn map(&mut self, _offset: u64, line: &str, out: &mut Emit<'_, Text, u64>) -> Outcome {
        for word in line.split_whitespace() {
            out.emit(word, &1);
        }
        Ok(())
    }
}
