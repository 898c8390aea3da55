//! What the tests of the examples share.

use mammoth_mapreduce::{Job, JobArgs, JobError, LocalInput, Settings};

/// The job that a function describes for some arguments.
pub(crate) fn describe(
    define: fn(&JobArgs<'_>) -> Result<Job, JobError>,
    args: &[&str],
) -> Result<Job, JobError> {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let settings = Settings::load(None, &[]).expect("there is nothing to load");
    define(&JobArgs { args: &args, settings: &settings })
}

/// All lines of a job's output over a text that is cut into splits of about that size, sorted.
pub(crate) fn lines(job: Job, text: &str, split: u64) -> Vec<String> {
    let result = job.run_local(LocalInput::text(text).in_splits_of(split)).unwrap();
    let mut lines = result.lines();
    lines.sort();
    lines
}

/// Text of about so many bytes: words of a few letters, some very often, in lines of different lengths and ends.
pub(crate) fn noise(len: usize) -> String {
    let mut text = String::new();
    let mut state = 7_u32;
    while text.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let word = (state >> 16) % ((state >> 8) % 50 + 1);
        for letter in 0..=word % 4 {
            text.push(char::from(b'a' + ((word >> letter) % 7) as u8));
        }
        text.push_str(match (state >> 24) % 23 {
            0 => "\n",
            1 => "\r\n",
            2 => "\t",
            3 => "  ",
            _ => " ",
        });
    }
    text
}
