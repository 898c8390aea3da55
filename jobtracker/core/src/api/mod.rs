//! The entrances of the core, as types: commands, reports, and what comes out.
//!
//! | in | through | out |
//! |---|---|---|
//! | [`Command`] | `State::decide`, then `State::apply` for each edit, then `State::tick` | [`Reply`], or a [`Refusal`] |
//! | [`Report`] | `State::observe` | [`Outcome`] with an [`Answer`] |
//! | time | `State::tick` | [`Outcome`] |
//! | questions | methods of `State` | the protocol's status messages |

mod command;
mod config;
mod refusal;
mod report;

pub use command::{Command, Ending, InternalCommand, Reply};
pub use config::CoreConfig;
pub use refusal::Refusal;
pub use report::{Answer, Effect, Outcome, Report};
