//! Word count, grep and others, each for both modes side by side.
