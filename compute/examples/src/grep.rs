//! Grep: what matches a regular expression, and how often. Output lines are `match TAB count`.

/// The version on disk.
pub mod disk {
    use mammoth_mapreduce::prelude::*;
    use regex::Regex;

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

    /// `grep IN OUT REGEX [GROUP]`: with a group, what that group of each match holds.
    ///
    /// # Errors
    /// Other arguments, an expression that is none, a group that it does not have.
    pub fn grep(args: &JobArgs<'_>) -> Result<Job, JobError> {
        let (input, output, pattern, group) = match args.args {
            [input, output, pattern] => (input, output, pattern, "0"),
            [input, output, pattern, group] => (input, output, pattern, group.as_str()),
            _ => return Err(usage("grep IN OUT REGEX [GROUP]")),
        };
        let regex = Regex::new(pattern).map_err(|error| usage(&format!("grep IN OUT REGEX [GROUP]\n{error}")))?;
        let has = |group: &usize| *group < regex.captures_len();
        let group = group.parse().ok().filter(has).ok_or_else(|| {
            usage(&format!("grep IN OUT REGEX [GROUP]\n`{pattern}` has no group `{group}`"))
        })?;
        Ok(Job::new("grep")
            .input(input)
            .output(output)
            .mapper(Matches { pattern: regex, group })
            .fold(Sum::new())
            .reducer(Identity::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::disk::grep;
    use crate::testing::{describe, lines, noise};
    use std::collections::BTreeMap;

    #[test]
    fn it_finds_what_a_loop_finds() {
        let text = noise(20_000);
        let mut naive: BTreeMap<&str, u64> = BTreeMap::new();
        for found in regex::Regex::new("a[b-d]+").unwrap().find_iter(&text) {
            *naive.entry(found.as_str()).or_default() += 1;
        }
        assert!(naive.len() > 3, "the text has something to find");
        let expected: Vec<String> = naive.iter().map(|(found, count)| format!("{found}\t{count}")).collect();
        let job = describe(grep, &["/in", "/out", "a[b-d]+"]).unwrap();
        assert_eq!(lines(job, &text, 1000), expected);
    }

    #[test]
    fn a_group_of_the_match_can_be_counted() {
        let job = describe(grep, &["/in", "/out", "(\\w+)@(\\w+)", "2"]).unwrap();
        assert_eq!(lines(job, "ann@here bob@there\ncid@here\n", 1 << 20), ["here\t2", "there\t1"]);
    }

    #[test]
    fn wrong_arguments_are_said_by_name() {
        let error = |args: &[&str]| describe(grep, args).unwrap_err();
        assert!(error(&["/in", "/out"]).to_string().starts_with("Usage: grep IN OUT REGEX [GROUP]"));
        assert!(error(&["/in", "/out", "a("]).to_string().contains("unclosed group"));
        assert!(error(&["/in", "/out", "a(b)", "2"]).to_string().contains("has no group `2`"));
        assert_eq!(error(&["/in", "/out", "a", "x"]).exit_status(), 255);
    }
}
