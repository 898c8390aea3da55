//! Word count: how often each word occurs. Words are what white space separates; output lines are `word TAB count`.

use mammoth_mapreduce::{JobError, usage};

/// Inputs and output, for both versions.
fn places(args: &[String]) -> Result<(&[String], &str), JobError> {
    match args {
        [inputs @ .., output] if !inputs.is_empty() => Ok((inputs, output)),
        _ => Err(usage("wordcount IN... OUT")),
    }
}

/// The version on disk.
pub mod disk {
    use super::places;
    use mammoth_mapreduce::prelude::*;

    #[derive(Clone)]
    struct Words;

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

    /// `wordcount IN... OUT`.
    ///
    /// # Errors
    /// Other arguments.
    pub fn wordcount(args: &JobArgs<'_>) -> Result<Job, JobError> {
        let (inputs, output) = places(args.args)?;
        Ok(Job::new("word count").inputs(inputs).output(output).mapper(Words).fold(Sum::new()).reducer(Identity::new()))
    }
}

/// The version in memory.
pub mod memory {
    use super::places;
    use crate::reduces;
    use mammoth_mapreduce::JobError;
    use mammoth_rdd::{AppResult, Context, Text};

    /// Judges the arguments before anything is started for them.
    ///
    /// # Errors
    /// Other arguments.
    pub fn judge(args: &[String]) -> Result<(), JobError> {
        places(args).map(drop)
    }

    /// `wordcount IN... OUT`.
    ///
    /// # Errors
    /// Other arguments; input that is not there, an output that is.
    pub fn wordcount(context: &Context, args: &[String]) -> AppResult {
        let (inputs, output) = places(args)?;
        context
            .text_files(inputs, 0)?
            .flat_map_ref(|line: &Text, out| {
                out.extend(line.split_whitespace().map(|word| (line.slice_of(word), 1_u64)))
            })
            .reduce_by_key(|a, b| a + b, reduces(context)?)
            .save_pairs_as_text_file(output)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::disk::wordcount;
    use super::memory;
    use crate::testing::{describe, in_memory, lines, noise};
    use std::collections::BTreeMap;

    #[test]
    fn it_counts_what_a_loop_counts() {
        let text = noise(20_000);
        let mut naive: BTreeMap<&str, u64> = BTreeMap::new();
        for word in text.split_whitespace() {
            *naive.entry(word).or_default() += 1;
        }
        let expected: Vec<String> = naive.iter().map(|(word, count)| format!("{word}\t{count}")).collect();
        for (reduces, split) in [(1, 1 << 20), (3, 1000)] {
            let job = describe(wordcount, &["/in", "/out"]).unwrap().reduces(reduces);
            let mut found = lines(job, &text, split);
            found.sort();
            assert_eq!(found, expected, "{reduces} reduces");
            let mut found = in_memory(memory::wordcount, &text, &[], reduces);
            found.sort();
            assert_eq!(found, expected, "{reduces} reduces in memory");
        }
    }

    #[test]
    fn it_wants_inputs_and_an_output() {
        let error = describe(wordcount, &["/in"]).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.exit_status()), ("Usage: wordcount IN... OUT", 255));
    }
}
