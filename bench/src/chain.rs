//! What a step over a number costs: ten maps one after the other in one process, beside the same arithmetic in a loop.

use crate::meter::{Wall, cpu_of_self};
use mammoth_rdd::Context;
use std::hint::black_box;

/// Maps one after the other.
const STEPS: u64 = 10;

/// Prints nanoseconds per number and step.
pub(crate) fn measure(numbers: u64) -> Result<(), String> {
    let context = Context::local("local[1]").map_err(|e| e.to_string())?;
    let (wall, cpu) = (Wall::start(), cpu_of_self());
    let engine = in_engine(&context, numbers).map_err(|e| e.to_string())?;
    let (wall_ns, cpu_ns) = (wall.seconds() * 1e9, (cpu_of_self() - cpu).total() * 1e9);
    context.stop();
    let plain_wall = Wall::start();
    let mut plain = 0_u64;
    for n in 0..black_box(numbers) {
        let mut n = n;
        for step in 0..STEPS {
            // Each step's result is looked at, as it is handed from one map to the next.
            n = black_box((n ^ step).wrapping_mul(3));
        }
        plain = plain.wrapping_add(n);
    }
    let plain_ns = plain_wall.seconds() * 1e9;
    if engine != plain {
        return Err(format!("the chain of maps gave {engine}, the loop {plain}"));
    }
    let each = |ns: f64| ns / (numbers * STEPS) as f64;
    println!(
        "chain of {STEPS} maps over {numbers} numbers, local[1]: {:.2} ns wall, {:.2} ns CPU a number and step; loop {:.2} ns",
        each(wall_ns),
        each(cpu_ns),
        each(plain_ns)
    );
    Ok(())
}

fn in_engine(context: &Context, numbers: u64) -> Result<u64, mammoth_rdd::Error> {
    context
        .range(0..numbers, 4)
        .map(|n| n.wrapping_mul(3))
        .map(|n| (n ^ 1).wrapping_mul(3))
        .map(|n| (n ^ 2).wrapping_mul(3))
        .map(|n| (n ^ 3).wrapping_mul(3))
        .map(|n| (n ^ 4).wrapping_mul(3))
        .map(|n| (n ^ 5).wrapping_mul(3))
        .map(|n| (n ^ 6).wrapping_mul(3))
        .map(|n| (n ^ 7).wrapping_mul(3))
        .map(|n| (n ^ 8).wrapping_mul(3))
        .map(|n| (n ^ 9).wrapping_mul(3))
        .reduce(|a, b| a.wrapping_add(b))
}
