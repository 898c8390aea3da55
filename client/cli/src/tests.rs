//! Whole command lines.

mod copies;
mod lines;
mod listings;
mod names;
