//! The `mammoth` program.

fn main() {}
