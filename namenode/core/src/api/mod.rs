//! The entrances of the core, as types: commands and queries of clients, reports of datanodes, and what comes out.
//!
//! | in | through | out |
//! |---|---|---|
//! | [`Command`] | `State::decide`, then `State::apply` for each edit | [`Reply`], or a refusal |
//! | [`Query`] | `State::query` | [`Answer`], or a refusal |
//! | [`Report`] | `State::observe` | [`Outcome`] |
//! | time | `State::tick` | [`Outcome`] |

mod command;
mod config;
mod hosts;
mod ledger;
mod query;
mod report;
mod status;

pub use command::{Command, InternalCommand, Reply};
pub use config::CoreConfig;
pub use hosts::{AdminState, AdminWish, HostName, HostRules};
pub use ledger::{BlockEntry, BlockOn, Deletions, Ledger, PendingEntry};
pub use query::{Answer, DatanodeKind, Query};
pub use report::{Outcome, ReplicaOn, Report, SafeModeAction};
pub use status::{
    BlockState, ContentSummary, DatanodeStatus, FileBlocks, FileStatus, FsStats, Health, Listing, LocatedBlock,
    OpenFile, Place, ReplicaStanding, ReplicaStatus, SafeMode,
};
