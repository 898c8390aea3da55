//! Whole datanodes on port 0, with a namenode that only remembers what it is told.

mod doors;
mod fake;
mod orders;
mod relation;
