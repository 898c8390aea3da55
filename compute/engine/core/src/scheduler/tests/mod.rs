//! The scheduler, rule by rule.

mod cost;
mod endings;
mod failures;
mod indeterminate;
mod losses;
mod placing;
mod properties;
mod stages;
