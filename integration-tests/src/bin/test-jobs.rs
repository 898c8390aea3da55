//! A job program for tests: jobs that misbehave as they are asked, and jobs that need every part of the shuffle.
//!
//! - `misbehave HOW IN OUT` counts words; but the first attempt at the first map panics, aborts, hangs, exits with status 0
//!   before it is done, or leaves processes behind; with `always-…` every attempt does.
//! - `chain HOW THEN IN OUT` is two jobs one after the other that misbehave, or do not for `no`.
//! - `combine IN OUT` counts words with a general combiner; `initials IN OUT` collects them by first letter in a fold whose
//!   accumulators grow; `sort IN OUT` sorts lines by length and text; `join IN OUT` joins lines `l KEY N` and `r KEY N`.
//! - `named NAME IN OUT` has a name for people that may be too long.
//! - `memory`: see [`mammoth_integration_tests::memory`].

use mammoth_integration_tests::memory::memory;
use mammoth_mapreduce::prelude::*;
use mammoth_mapreduce::serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

/// Longer than any test.
const FOREVER: Duration = Duration::from_secs(3600);

#[derive(Clone)]
struct Words {
    how: Option<String>,
}

impl Words {
    fn misbehave(&self, how: &str, context: &TaskContext) {
        let (always, how) = match how.strip_prefix("always-") {
            Some(how) => (true, how),
            None => (false, how),
        };
        let attempt = context.attempt();
        // Attempts of a second life of the jobtracker begin at 1,000.
        if attempt.task.index != 0 || (!always && !attempt.number.is_multiple_of(1000)) {
            return;
        }
        match how {
            "panic" => panic!("the map panics, as it was told"),
            "abort" => std::process::abort(),
            "hang" => std::thread::sleep(FOREVER),
            "exit" => {
                eprintln!("leaving early");
                #[expect(clippy::disallowed_methods, reason = "what a careless user's code does")]
                std::process::exit(0)
            }
            "linger" => {
                // One child in the process's own group, one that left it.
                let mut child = Command::new("sleep").arg("3600").spawn().expect("sleep runs");
                let mut far = Command::new("setsid").args(["sleep", "3601"]).spawn().expect("setsid runs");
                let _ = (child.try_wait(), far.try_wait());
            }
            "slow" => {
                while std::fs::exists("/proc/self").unwrap_or(false) {
                    context.alive();
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
            other => panic!("no such way to misbehave: {other}"),
        }
    }
}

impl Mapper for Words {
    type Key = Text;
    type Value = u64;

    fn setup(&mut self, context: &TaskContext) -> Outcome {
        if let Some(how) = &self.how {
            self.misbehave(how, context);
        }
        Ok(())
    }

    fn map(&mut self, _offset: u64, line: &str, out: &mut Emit<'_, Text, u64>) -> Outcome {
        for word in line.split_whitespace() {
            out.emit(word, &1);
        }
        Ok(())
    }
}

fn misbehave(args: &JobArgs<'_>) -> Result<Job, JobError> {
    let [how, input, output] = args.args else { return Err(usage("misbehave HOW IN OUT")) };
    let words = Words { how: Some(how.clone()) };
    Ok(Job::new("misbehave").input(input).output(output).mapper(words).fold(Sum::new()).reducer(Identity::new()))
}

fn chain(args: &JobArgs<'_>) -> Result<Job, JobError> {
    let [first, second, input, output] = args.args else { return Err(usage("chain HOW THEN IN OUT")) };
    let words = |how: &String| Words { how: Some(how.clone()).filter(|how| how != "no") };
    let count = |name, how| Job::new(name).mapper(words(how)).fold(Sum::new()).reducer(Identity::new());
    Ok(count("first", first).input(input).then(count("second", second).output(output)))
}

fn named(args: &JobArgs<'_>) -> Result<Job, JobError> {
    let [name, input, output] = args.args else { return Err(usage("named NAME IN OUT")) };
    let words = Words { how: None };
    Ok(Job::new(name).input(input).output(output).mapper(words).fold(Sum::new()).reducer(Identity::new()))
}

/// Adds on both sides.
#[derive(Clone)]
struct Add;

impl Combiner for Add {
    type Key = Text;
    type Value = u64;

    fn combine(&mut self, _: &Text, values: &mut Values<'_, u64>, out: &mut Combined<'_, u64>) -> Outcome {
        out.emit(&values.sum());
        Ok(())
    }
}

impl Reducer for Add {
    type Key = Text;
    type Value = u64;

    fn reduce(&mut self, word: &Text, values: &mut Values<'_, u64>, out: &mut Output<'_>) -> Outcome {
        out.emit(word, values.sum::<u64>());
        Ok(())
    }
}

fn combine(args: &JobArgs<'_>) -> Result<Job, JobError> {
    let [input, output] = args.args else { return Err(usage("combine IN OUT")) };
    Ok(Job::new("combine").input(input).output(output).mapper(Words { how: None }).combiner(Add).reducer(Add))
}

/// Words by their first letter.
#[derive(Clone)]
struct Initials;

impl Mapper for Initials {
    type Key = char;
    type Value = Text;

    fn map(&mut self, _offset: u64, line: &str, out: &mut Emit<'_, char, Text>) -> Outcome {
        for word in line.split_whitespace() {
            out.emit(&word.chars().next().unwrap_or(' '), &Text::from(word));
        }
        Ok(())
    }
}

/// All different words.
#[derive(Clone)]
struct Different;

impl Fold for Different {
    type Value = Text;
    type Sum = BTreeSet<Text>;

    fn init(&self) -> BTreeSet<Text> {
        BTreeSet::new()
    }

    fn add(&self, words: &mut BTreeSet<Text>, word: &Text) {
        words.insert(word.clone());
    }

    fn merge(&self, words: &mut BTreeSet<Text>, others: BTreeSet<Text>) {
        words.extend(others);
    }
}

/// Writes how many there are, and the last of them.
#[derive(Clone)]
struct Last;

impl Reducer for Last {
    type Key = char;
    type Value = BTreeSet<Text>;

    fn reduce(&mut self, letter: &char, values: &mut Values<'_, BTreeSet<Text>>, out: &mut Output<'_>) -> Outcome {
        for words in values {
            let last = words.last().map(|word| word.to_string()).unwrap_or_default();
            out.emit(letter, format!("{}\t{last}", words.len()));
        }
        Ok(())
    }
}

fn initials(args: &JobArgs<'_>) -> Result<Job, JobError> {
    let [input, output] = args.args else { return Err(usage("initials IN OUT")) };
    Ok(Job::new("initials").input(input).output(output).mapper(Initials).fold(Different).reducer(Last))
}

/// Lines by length, and by their bytes where those are equal.
#[derive(Clone, Key)]
struct Ordered {
    len: u64,
    line: Text,
}

#[derive(Clone)]
struct Lines;

impl Mapper for Lines {
    type Key = Ordered;
    type Value = ();

    fn map(&mut self, _offset: u64, line: &str, out: &mut Emit<'_, Ordered, ()>) -> Outcome {
        out.emit(&Ordered { len: line.len() as u64, line: Text::from(line) }, &());
        Ok(())
    }
}

impl Reducer for Lines {
    type Key = Ordered;
    type Value = ();

    fn reduce(&mut self, key: &Ordered, values: &mut Values<'_, ()>, out: &mut Output<'_>) -> Outcome {
        for () in values {
            out.line(&*key.line);
        }
        Ok(())
    }
}

fn sort(args: &JobArgs<'_>) -> Result<Job, JobError> {
    let [input, output] = args.args else { return Err(usage("sort IN OUT")) };
    Ok(Job::new("sort").input(input).output(output).mapper(Lines).reducer(Lines).reduces(1))
}

/// A row of one of two tables.
#[derive(Clone, Serialize, Deserialize)]
#[serde(crate = "mammoth_mapreduce::serde")]
enum Row {
    Left(u64),
    Right(u64),
}

#[derive(Clone)]
struct Tables;

impl Mapper for Tables {
    type Key = Text;
    type Value = Row;

    fn map(&mut self, _offset: u64, line: &str, out: &mut Emit<'_, Text, Row>) -> Outcome {
        let [side, key, number] = line.split(' ').collect::<Vec<_>>()[..] else {
            return Err(Failure::new(format!("not three words: `{line}`")));
        };
        let number = number.parse()?;
        out.emit(key, &if side == "l" { Row::Left(number) } else { Row::Right(number) });
        Ok(())
    }
}

/// Writes the number of pairs of a key, and the sum of the products of all pairs.
impl Reducer for Tables {
    type Key = Text;
    type Value = Row;

    fn reduce(&mut self, key: &Text, values: &mut Values<'_, Row>, out: &mut Output<'_>) -> Outcome {
        let (mut left, mut right) = ((0, 0), (0, 0));
        for row in values {
            let (side, number) = match row {
                Row::Left(number) => (&mut left, number),
                Row::Right(number) => (&mut right, number),
            };
            *side = (side.0 + 1, side.1 + number);
        }
        if left.0 * right.0 > 0 {
            out.emit(key, format!("{}\t{}", left.0 * right.0, left.1 * right.1));
        }
        Ok(())
    }
}

fn join(args: &JobArgs<'_>) -> Result<Job, JobError> {
    let [input, output] = args.args else { return Err(usage("join IN OUT")) };
    Ok(Job::new("join").input(input).output(output).mapper(Tables).reducer(Tables))
}

fn main() -> ExitCode {
    mammoth_runtime::program::main(
        jobs![misbehave, chain, named, combine, initials, sort, join],
        mammoth_rdd::apps![memory],
    )
}
