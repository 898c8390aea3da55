//! The block map: which volume holds which replica, who lives, and what must be copied or deleted. SOFT state: nothing here
//! is ever written down, all of it is rebuilt from what datanodes report.
//!
//! The namespace tells which blocks there are (`insert` … `remove`, called by `apply`); datanodes tell where replicas are
//! (`register`, `heartbeat`, `incremental`, `full`, `bad`); `tick` compares the two and leaves orders that the next heartbeat
//! of a datanode takes along. Repair is level-triggered: an order that gets lost is simply given again, because the difference
//! between wanted and confirmed is still there.
//!
//! ```text
//!   table      one small entry a block: identity, wanted number, its good replicas, its condition
//!   odd        side table: pipelines and replicas of blocks under construction, bad and doomed replicas
//!   cluster    datanodes and volumes by index; each volume knows its blocks, its orders, how far it has reported
//!   queues     blocks by condition, for those that repair has to do with
//! ```
//!
//! | file | is about |
//! |---|---|
//! | `lifecycle` | blocks come, change and go |
//! | `membership`, `reports`, `events` | what datanodes say |
//! | `judge`, `replicas` | what a replica is worth; the tally after every change |
//! | `admin` | datanodes that are to leave, or to be away for a while |
//! | `repair`, `placement`, `pending` | copies |
//! | `spread` | blocks that lie on one rack although there are several |
//! | `balance` | replicas that the balancer moves |
//! | `trim`, `deletion`, `orders` | deletions; I6 is decided in `deletion` |
//! | `verify` | complaints of readers |
//! | `recovery` | who leads the recovery of a last block |
//! | `table`, `compact` | many blocks in little memory |
//! | `safe` | safe mode (I7), and the survey after start-up |
//! | `places`, `numbers`, `work` | questions |
//! | `check` | the invariants, by name |
//!
//! A *good* replica is one that its volume has named since this namenode started, finalized, of the block's stamp and length,
//! not corrupt and not doomed, on a volume that works, of a datanode that lives.
//!
//! It never reads a clock, never draws a random number (choices come from an `entropy` argument), and never changes hard state:
//! what the namespace must do comes out of `tick` as commands.

mod admin;
mod balance;
mod check;
mod cluster;
mod compact;
mod deletion;
mod events;
mod judge;
mod lifecycle;
mod membership;
mod mix;
mod numbers;
mod odd;
mod orders;
mod pending;
mod placement;
mod places;
mod queues;
mod recovery;
mod repair;
mod replicas;
mod reports;
mod safe;
mod spread;
mod table;
#[cfg(test)]
mod tests;
mod trim;
mod types;
mod verify;
mod volumes;
mod work;

pub use types::{BlockMeta, BlockNumbers, BlockTick, TargetRequest};

use crate::api::{CoreConfig, HostRules};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use mammoth_protocol::{BlockId, Now};
use std::collections::{BTreeMap, VecDeque};

/// All soft state of a namenode about blocks and datanodes.
#[derive(Clone, Debug)]
pub struct BlockMap {
    config: CoreConfig,
    /// The latest time that anybody mentioned.
    now: Now,
    table: table::BlockTable,
    odd: HashMap<table::Slot, odd::Odd, FixedState>,
    /// What [`Self::odd`] gives for a block with nothing in `odd`.
    nothing_odd: odd::Odd,
    cluster: cluster::Cluster,
    queues: queues::Queues,
    tally: replicas::Tally,
    pending: pending::Pending,
    recoveries: BTreeMap<BlockId, recovery::Recovery>,
    safety: safe::Safety,
    /// Blocks in slots below this are in their queues.
    surveyed: u32,
    /// Volumes that are gone and still have replicas in the map.
    draining: VecDeque<cluster::VolumeIx>,
    /// What the operator wants of datanodes.
    hosts: HostRules,
    /// Blocks that may be in a wrong queue, as the operator wants something else of a datanode of theirs.
    unsettled: VecDeque<table::Slot>,
    /// Whether there are several racks, and how far blocks know.
    spread: spread::Spread,
    /// Replicas that the balancer made up for, of blocks with surplus ones.
    hints: BTreeMap<table::Slot, balance::Hint>,
    /// Bytes a second that datanodes may use for balancing, if the operator said so since the start.
    balance_rate: Option<u64>,
    next_round_ms: u64,
    round: repair::Round,
    /// The last trimming round did not get through.
    trim_soon: bool,
}

impl BlockMap {
    /// An empty map, in safe mode until [`Self::loaded`].
    #[must_use]
    pub fn new(config: &CoreConfig) -> Self {
        Self {
            config: config.clone(),
            now: Now::default(),
            table: table::BlockTable::default(),
            odd: HashMap::default(),
            nothing_odd: odd::Odd::default(),
            cluster: cluster::Cluster::default(),
            queues: queues::Queues::default(),
            tally: replicas::Tally::default(),
            pending: pending::Pending::default(),
            recoveries: BTreeMap::new(),
            safety: safe::Safety::new(),
            surveyed: 0,
            draining: VecDeque::new(),
            hosts: HostRules::default(),
            unsettled: VecDeque::new(),
            spread: spread::Spread::default(),
            hints: BTreeMap::new(),
            balance_rate: None,
            next_round_ms: 0,
            round: repair::Round::default(),
            trim_soon: false,
        }
    }

    /// Time passed, as somebody says who tells something else too.
    fn advance(&mut self, now: Now) {
        self.now.monotonic_ms = self.now.monotonic_ms.max(now.monotonic_ms);
        self.now.wall_ms = now.wall_ms;
    }

    /// After this long an order without visible effect is given again.
    const fn resend_ms(&self) -> u64 {
        10 * self.config.heartbeat_ms
    }
}
