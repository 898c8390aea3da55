//! Options of one command, parsed by the rules of Hadoop's shell: options come first, each in its own argument, `--` ends them
//! and a lone `-` is an operand.

use crate::fault::Fault;
use std::collections::{BTreeMap, BTreeSet};

/// What a command accepts.
pub(crate) struct Format {
    min: usize,
    max: usize,
    flags: &'static [&'static str],
    values: &'static [&'static str],
    lenient: bool,
}

/// What a command was given.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    given: BTreeSet<&'static str>,
    values: BTreeMap<&'static str, String>,
    /// What is left after the options.
    pub(crate) operands: Vec<String>,
}

impl Format {
    /// Between `min` and `max` operands, and these flags (without their dash, so `-x` stands for a long option `--x`).
    pub(crate) const fn new(min: usize, max: usize, flags: &'static [&'static str]) -> Self {
        Self { min, max, flags, values: &[], lenient: false }
    }

    /// At least `min` operands.
    pub(crate) const fn at_least(min: usize, flags: &'static [&'static str]) -> Self {
        Self::new(min, usize::MAX, flags)
    }

    /// Options that take the next argument as their value.
    pub(crate) const fn values(self, values: &'static [&'static str]) -> Self {
        Self { values, ..self }
    }

    /// Unknown options are operands.
    pub(crate) const fn lenient(self) -> Self {
        Self { lenient: true, ..self }
    }

    /// Parses `args`.
    pub(crate) fn parse(&self, mut args: Vec<String>) -> Result<Parsed, Fault> {
        let mut parsed = Parsed::default();
        let mut position = 0;
        while let Some(arg) = args.get(position) {
            let Some(option) = arg.strip_prefix('-').filter(|rest| !rest.is_empty()) else { break };
            if option == "-" {
                args.remove(position);
                break;
            }
            if let Some(flag) = self.flags.iter().find(|flag| **flag == option) {
                parsed.given.insert(flag);
                args.remove(position);
            } else if let Some(name) = self.values.iter().find(|name| **name == option) {
                args.remove(position);
                // As in Hadoop, an option at the end gives way to the operands that the command needs.
                let takes = args.len() > self.min && args.get(position).is_some_and(|next| !next.starts_with('-'));
                let value = if takes { args.remove(position) } else { String::new() };
                parsed.values.insert(name, value);
            } else if self.lenient {
                position += 1;
            } else {
                return Err(Fault::Usage(format!("Illegal option {arg}")));
            }
        }
        self.check_count(args.len())?;
        parsed.operands = args;
        Ok(parsed)
    }

    /// Refuses too few or too many operands.
    pub(crate) fn check_count(&self, count: usize) -> Result<(), Fault> {
        if count < self.min {
            return Err(Fault::Usage(format!("Not enough arguments: expected {} but got {count}", self.min)));
        }
        if count > self.max {
            return Err(Fault::Usage(format!("Too many arguments: expected {} but got {count}", self.max)));
        }
        Ok(())
    }
}

impl Parsed {
    /// Whether the flag was given.
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.given.contains(flag)
    }

    /// Every flag that was given.
    pub(crate) fn flags(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.given.iter().copied()
    }

    /// The value of an option, `None` if it was not given or given without one.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of an option as a whole number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, Fault> {
        self.value(name).map(number).transpose()
    }
}

/// A whole number, refused in Java's words.
pub(crate) fn number(text: &str) -> Result<i64, Fault> {
    text.parse().map_err(|_| Fault::Usage(format!("For input string: \"{text}\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    fn message(format: &Format, words: &[&str]) -> String {
        format.parse(strings(words)).unwrap_err().to_string()
    }

    #[test]
    fn options_end_at_the_first_operand() {
        let format = Format::at_least(1, &["f", "skipTrash"]).values(&["t"]);
        let parsed = format.parse(strings(&["-f", "-skipTrash", "-t", "4", "a", "-f"])).unwrap();
        assert!(parsed.has("f") && parsed.has("skipTrash"));
        assert_eq!(parsed.number("t").unwrap(), Some(4));
        assert_eq!(parsed.operands, ["a", "-f"]);
    }

    #[test]
    fn a_lone_dash_is_an_operand_and_two_end_the_options() {
        let format = Format::at_least(1, &["f"]);
        assert_eq!(format.parse(strings(&["-", "-f"])).unwrap().operands, ["-", "-f"]);
        let parsed = format.parse(strings(&["--", "-f"])).unwrap();
        assert!(!parsed.has("f"));
        assert_eq!(parsed.operands, ["-f"]);
    }

    #[test]
    fn a_valued_option_leaves_the_operands_that_are_needed() {
        let format = Format::at_least(2, &[]).values(&["t"]);
        let parsed = format.parse(strings(&["-t", "a", "b"])).unwrap();
        assert_eq!((parsed.value("t"), parsed.operands.len()), (None, 2));
    }

    #[test]
    fn refusals_use_hadoops_words() {
        let format = Format::new(1, 1, &["-ignore-fail-on-non-empty"]);
        assert!(format.parse(strings(&["--ignore-fail-on-non-empty", "a"])).unwrap().has("-ignore-fail-on-non-empty"));
        assert_eq!(message(&format, &["-z", "a"]), "Illegal option -z");
        assert_eq!(message(&format, &[]), "Not enough arguments: expected 1 but got 0");
        assert_eq!(message(&format, &["a", "b"]), "Too many arguments: expected 1 but got 2");
        assert_eq!(number("x").unwrap_err().to_string(), "For input string: \"x\"");
    }

    #[test]
    fn lenient_formats_keep_unknown_options_as_operands() {
        let parsed = Format::at_least(2, &["R"]).lenient().parse(strings(&["-w", "-R", "/f"])).unwrap();
        assert!(parsed.has("R"));
        assert_eq!(parsed.operands, ["-w", "/f"]);
    }
}
