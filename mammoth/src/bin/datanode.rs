//! The `datanode` program.

fn main() {}
