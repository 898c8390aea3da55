//! The `dfs` program.

fn main() {}
