//! Grep: what matches a regular expression, and how often. Output lines are `count TAB match`, in one file: the most frequent
//! first, those of equal counts in byte order.

use mammoth_mapreduce::{JobError, refuse, usage};
use regex::Regex;

/// What the arguments of both versions say.
struct Wanted<'a> {
    input: &'a str,
    output: &'a str,
    pattern: Regex,
    /// 0 is the whole match.
    group: usize,
}

impl<'a> Wanted<'a> {
    fn of(args: &'a [String]) -> Result<Self, JobError> {
        let (input, output, pattern, group) = match args {
            [input, output, pattern] => (input, output, pattern, "0"),
            [input, output, pattern, group] => (input, output, pattern, group.as_str()),
            _ => return Err(usage("grep IN OUT REGEX [GROUP]")),
        };
        let regex = Regex::new(pattern).map_err(|error| refuse(not_regular(pattern, &error)))?;
        let has = |group: &usize| *group < regex.captures_len();
        let number = group.parse().ok().filter(has);
        let group = number.ok_or_else(|| refuse(format!("`{pattern}' has no group `{group}'")))?;
        Ok(Self { input, output, pattern: regex, group })
    }
}

/// One line: the library draws a picture above its reason.
fn not_regular(pattern: &str, error: &regex::Error) -> String {
    let text = error.to_string();
    let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
    format!("`{pattern}' is no regular expression: {why}")
}

/// The version on disk.
pub mod disk {
    use super::Wanted;
    use mammoth_mapreduce::prelude::*;
    use regex::Regex;
    use std::cmp::Reverse;

    #[derive(Clone)]
    struct Matches {
        pattern: Regex,
        group: usize,
    }

    impl Mapper for Matches {
        type Key = Text;
        type Value = u64;

        fn map(&mut self, _offset: u64, line: &str, out: &mut Emit<'_, Text, u64>) -> Outcome {
            if self.group == 0 {
                for found in self.pattern.find_iter(line) {
                    out.emit(found.as_str(), &1);
                }
                return Ok(());
            }
            for groups in self.pattern.captures_iter(line) {
                if let Some(found) = groups.get(self.group) {
                    out.emit(found.as_str(), &1);
                }
            }
            Ok(())
        }
    }

    /// Lines of the first job, turned round.
    #[derive(Clone)]
    struct Turn;

    type ByCount = (Reverse<u64>, Text);

    impl Mapper for Turn {
        type Key = ByCount;
        type Value = ();

        fn map(&mut self, _offset: u64, line: &str, out: &mut Emit<'_, ByCount, ()>) -> Outcome {
            // What matched may have tabs of its own.
            let (found, count) = line.rsplit_once('\t').ok_or_else(|| Failure::new(format!("no tab in `{line}`")))?;
            out.emit(&(Reverse(count.parse()?), Text::from(found)), &());
            Ok(())
        }
    }

    #[derive(Clone)]
    struct Write;

    impl Reducer for Write {
        type Key = ByCount;
        type Value = ();

        fn reduce(&mut self, key: &ByCount, _values: &mut Values<'_, ()>, out: &mut Output<'_>) -> Outcome {
            let (Reverse(count), found) = key;
            out.emit(count, found);
            Ok(())
        }
    }

    /// `grep IN OUT REGEX [GROUP]`: with a group, what that group of each match holds.
    ///
    /// # Errors
    /// Other arguments, an expression that is none, a group that it does not have.
    pub fn grep(args: &JobArgs<'_>) -> Result<Job, JobError> {
        let Wanted { input, output, pattern, group } = Wanted::of(args.args)?;
        let search = Job::new("grep-search").input(input).mapper(Matches { pattern, group });
        let sort = Job::new("grep-sort").output(output).mapper(Turn).reducer(Write).reduces(1);
        Ok(search.fold(Sum::new()).reducer(Identity::new()).then(sort))
    }
}

/// The version in memory.
pub mod memory {
    use super::Wanted;
    use mammoth_mapreduce::JobError;
    use mammoth_rdd::{AppResult, Context, Text};
    use regex::Regex;
    use serde::{Deserialize, Serialize};
    use std::cmp::Reverse;

    /// Travels as text, and is an expression again once for each task.
    #[derive(Clone, Serialize, Deserialize)]
    #[serde(try_from = "(String, usize)", into = "(String, usize)")]
    struct Search {
        pattern: Regex,
        group: usize,
    }

    impl TryFrom<(String, usize)> for Search {
        type Error = regex::Error;

        fn try_from((pattern, group): (String, usize)) -> Result<Self, regex::Error> {
            Ok(Self { pattern: Regex::new(&pattern)?, group })
        }
    }

    impl From<Search> for (String, usize) {
        fn from(search: Search) -> Self {
            (search.pattern.as_str().to_owned(), search.group)
        }
    }

    /// Judges the arguments before anything is started for them.
    ///
    /// # Errors
    /// Other arguments, an expression that is none, a group that it does not have.
    pub fn judge(args: &[String]) -> Result<(), JobError> {
        Wanted::of(args).map(drop)
    }

    /// `grep IN OUT REGEX [GROUP]`: with a group, what that group of each match holds.
    ///
    /// # Errors
    /// Other arguments, an expression that is none, a group that it does not have; input that is not there, an output that is.
    pub fn grep(context: &Context, args: &[String]) -> AppResult {
        let Wanted { input, output, pattern, group } = Wanted::of(args)?;
        context
            .text_file(input, 0)?
            .flat_map_ref_with(Search { pattern, group }, |search: &Search, line: &Text, out| {
                if search.group == 0 {
                    out.extend(search.pattern.find_iter(line).map(|found| (line.slice_of(found.as_str()), 1_u64)));
                    return;
                }
                let groups = search.pattern.captures_iter(line).filter_map(|groups| groups.get(search.group));
                out.extend(groups.map(|found| (line.slice_of(found.as_str()), 1_u64)));
            })
            .reduce_by_key(|a, b| a + b, 0)
            .map(|(found, count)| ((Reverse(count), found), ()))
            .sort_by_key(1)?
            .map(|((Reverse(count), found), ())| (count, found))
            .save_pairs_as_text_file(output)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::disk::grep;
    use super::memory;
    use crate::testing::{describe, in_memory, lines, noise};
    use std::collections::BTreeMap;

    #[test]
    fn it_finds_what_a_loop_finds() {
        let text = noise(20_000);
        let mut naive: BTreeMap<&str, u64> = BTreeMap::new();
        for found in regex::Regex::new("a[b-d]+").unwrap().find_iter(&text) {
            *naive.entry(found.as_str()).or_default() += 1;
        }
        assert!(naive.len() > 3, "the text has something to find");
        let mut expected: Vec<(&str, u64)> = naive.into_iter().collect();
        expected.sort_by_key(|(found, count)| (std::cmp::Reverse(*count), *found));
        let expected: Vec<String> = expected.iter().map(|(found, count)| format!("{count}\t{found}")).collect();
        let job = describe(grep, &["/in", "/out", "a[b-d]+"]).unwrap();
        assert_eq!(lines(job, &text, 1000), expected);
        assert_eq!(in_memory(memory::grep, &text, &["a[b-d]+"], 1), expected);
    }

    #[test]
    fn a_group_of_the_match_can_be_counted() {
        let job = describe(grep, &["/in", "/out", "(\\w+)@(\\w+)", "2"]).unwrap();
        let text = "ann@here bob@there\ncid@here\n";
        assert_eq!(lines(job, text, 1 << 20), ["2\there", "1\tthere"]);
        assert_eq!(in_memory(memory::grep, text, &["(\\w+)@(\\w+)", "2"], 1), ["2\there", "1\tthere"]);
    }

    #[test]
    fn wrong_arguments_are_said_by_name() {
        let error = |args: &[&str]| describe(grep, args).unwrap_err();
        assert!(error(&["/in", "/out"]).to_string().starts_with("Usage: grep IN OUT REGEX [GROUP]"));
        assert_eq!(error(&["/in", "/out"]).exit_status(), 255);
        for (args, text) in [
            (&["/in", "/out", "a("][..], "`a(' is no regular expression: unclosed group"),
            (&["/in", "/out", "a(b)", "2"], "`a(b)' has no group `2'"),
            (&["/in", "/out", "a", "x"], "`a' has no group `x'"),
        ] {
            assert_eq!((error(args).to_string().as_str(), error(args).exit_status()), (text, 1));
        }
    }
}
