//! The `namenode` program.

fn main() {}
