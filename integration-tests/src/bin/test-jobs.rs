//! A job program that misbehaves as its tests ask, and otherwise counts words.
//!
//! `misbehave HOW IN OUT`: the first attempt at the first map panics, aborts, hangs, exits with status 0 before it is done, or
//! leaves processes behind; with `always-…` every attempt does.
//!
//! `memory`: see [`mammoth_integration_tests::memory`].

use mammoth_integration_tests::memory::memory;
use mammoth_mapreduce::prelude::*;
use std::process::Command;
use std::time::Duration;

/// Longer than any test.
const FOREVER: Duration = Duration::from_secs(3600);

#[derive(Clone)]
struct Words {
    how: String,
}

impl Words {
    fn misbehave(&self, context: &TaskContext) {
        let (always, how) = match self.how.strip_prefix("always-") {
            Some(how) => (true, how),
            None => (false, self.how.as_str()),
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
        self.misbehave(context);
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
    Ok(Job::new("misbehave")
        .input(input)
        .output(output)
        .mapper(Words { how: how.clone() })
        .fold(Sum::new())
        .reducer(Identity::new()))
}

fn main() -> ExitCode {
    mammoth_runtime::program::main(jobs![misbehave], mammoth_rdd::apps![memory])
}
