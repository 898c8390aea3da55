//! An application of the in-memory mode that stops where its tests want something to happen.
//!
//! `memory HOW DIR`: steps are told to the test, and waited for, by files in DIR, a folder of this machine. It waits for `begin`
//! first, and for `go` where HOW says: between two counts of a cached dataset (`cache`) or of a shuffled one (`shuffle`), or in
//! every task (`gate`); `panic` has a task that panics, and counts something else afterwards.

use mammoth_rdd::{AppResult, Context};
use std::path::Path;
use std::time::Duration;

const STEP: Duration = Duration::from_millis(10);

fn tell(dir: &str, step: &str) -> std::io::Result<()> {
    std::fs::write(Path::new(dir).join(step), "")
}

fn await_step(dir: &str, step: &str) {
    while !Path::new(dir).join(step).exists() {
        std::thread::sleep(STEP); // poll
    }
}

/// The application.
///
/// # Errors
/// Other arguments; what the actions give.
pub fn memory(context: &Context, args: &[String]) -> AppResult {
    let [how, dir] = args else { return Err("Usage: memory HOW DIR".into()) };
    await_step(dir, "begin");
    match how.as_str() {
        "cache" => {
            let computed = context.accumulator("computed", 0_u64);
            let cached = context.range(0..80, 8).map_with(computed, |computed, x| {
                computed.add(1);
                // So that one executor does not do all of it.
                std::thread::sleep(STEP);
                x
            });
            twice(dir, || cached.clone().cache().count())
        }
        "shuffle" => {
            let slowly = context.range(0..800, 8).map(|x| {
                if x % 100 == 0 {
                    std::thread::sleep(STEP * 10);
                }
                (x % 40, x)
            });
            let sums = slowly.reduce_by_key(|a, b| a + b, 4);
            twice(dir, || sums.values().reduce(|a, b| a + b))
        }
        "gate" => {
            let gated = context.range(0..6, 6).map_with(dir.clone(), |dir, x| {
                // The test looks for them all.
                let told = tell(dir, &format!("started-{x}"));
                await_step(dir, "go");
                told.map_or(0, |()| x)
            });
            println!("{}", gated.reduce(|a, b| a + b)?);
            Ok(())
        }
        "panic" => {
            let bad = context.range(0..8, 8).map(|x| {
                assert!(x != 5, "no luck with {x}");
                x
            });
            let failure = bad.count().map(|count| format!("{count} counted"));
            println!("{}", context.range(0..100, 6).count()?);
            failure.map(|count| println!("{count}")).map_err(Into::into)
        }
        other => Err(format!("no such way: {other}").into()),
    }
}

/// Does something before and after the test did, and prints both results.
fn twice(dir: &str, action: impl Fn() -> Result<u64, mammoth_rdd::Error>) -> AppResult {
    println!("{}", action()?);
    tell(dir, "ready")?;
    await_step(dir, "go");
    println!("{}", action()?);
    Ok(())
}
