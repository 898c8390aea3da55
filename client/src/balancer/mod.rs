//! The balancer: moves replicas from datanodes that are fuller than the others to emptier ones, as `hdfs balancer` does.
//!
//! ```text
//!   plan      datanodes in, pairs of giver and taker out       pure
//!   choose    which replica may move, who sends it             pure
//!   dispatch  finds blocks for the pairs and has them moved    mover: one move
//!   lock      one balancer at a time
//! ```
//!
//! It never deletes anything: a target fetches a replica and reports whom it relieves, and the namenode deletes the old one
//! once the new one is confirmed. To stop it at any moment loses nothing but work.

mod choose;
mod dispatch;
mod lock;
mod mover;
mod plan;

use crate::client::DfsClient;
use crate::config::Components;
use crate::error::ClientError;
use crate::rpc::namenode::{CallOptions, Namenode};
use crate::types::{AdminState, DatanodeInfo, ReportKind};
use dispatch::{Dispatch, Recent};
use mammoth_platform::{Clock, PlatformError, Settings, Shutdown, keys};
use mammoth_protocol::hadoop::{NAMENODE_PROTOCOL, hdfs};
use mammoth_protocol::{Block, BlockId, GenStamp};
use std::collections::BTreeSet;
use std::time::Duration;

/// How a balancer goes about it.
#[derive(Clone, Debug, PartialEq)]
pub struct BalancerConfig {
    /// Percent of its capacity by which a datanode's use may differ from that of all, 1 to 100.
    pub threshold: f64,
    /// Iterations in a row without a move after which it gives up; `None` = never.
    pub idle_iterations: Option<u32>,
    /// Datanodes that take part, by `host`, `ip`, `host:port` or `ip:port`; empty = all.
    pub include: BTreeSet<String>,
    /// Datanodes that take no part.
    pub exclude: BTreeSet<String>,
    /// Datanodes that give; empty = all.
    pub sources: BTreeSet<String>,
    /// Bytes that one datanode gives or takes in an iteration.
    pub max_size_to_move: u64,
    /// Bytes of blocks that are asked for at once.
    pub get_blocks_size: u64,
    /// Smaller blocks are not moved, bytes.
    pub min_block_size: u64,
    /// Moves at the same time.
    pub movers: usize,
    /// Of these, moves that one datanode takes part in.
    pub moves_per_node: usize,
    /// Milliseconds of an iteration in which moves are begun.
    pub iteration_ms: u64,
    /// Pause between two iterations: until deletions are carried out and datanodes have told how full they are.
    pub pause: Duration,
}

impl BalancerConfig {
    /// The values of a configuration, and HDFS's for the options of its command.
    ///
    /// # Errors
    /// A value out of its range.
    pub fn from_settings(settings: &Settings) -> Result<Self, ClientError> {
        Self::read(settings).map_err(|error| ClientError::Invalid(error.to_string()))
    }

    fn read(settings: &Settings) -> Result<Self, PlatformError> {
        // What is too much is noticed in the next round, deleted by the next heartbeat's order, told with the one after.
        let heartbeats = settings.millis(keys::DFS_HEARTBEAT_INTERVAL)?.saturating_mul(3);
        let pause_ms = heartbeats.saturating_add(settings.millis(keys::DFS_NAMENODE_REDUNDANCY_INTERVAL)?);
        Ok(Self {
            threshold: 10.0,
            idle_iterations: Some(5),
            include: BTreeSet::new(),
            exclude: BTreeSet::new(),
            sources: BTreeSet::new(),
            max_size_to_move: settings.bytes(keys::DFS_BALANCER_MAX_SIZE_TO_MOVE)?,
            get_blocks_size: settings.bytes(keys::DFS_BALANCER_GETBLOCKS_SIZE)?,
            min_block_size: settings.bytes(keys::DFS_BALANCER_GETBLOCKS_MIN_BLOCK_SIZE)?,
            movers: settings.int(keys::DFS_BALANCER_MOVER_THREADS)?,
            moves_per_node: settings.int(keys::DFS_DATANODE_BALANCE_MAX_CONCURRENT_MOVES)?,
            iteration_ms: settings.millis(keys::DFS_BALANCER_MAX_ITERATION_TIME)?,
            pause: Duration::from_millis(pause_ms),
        })
    }
}

/// Why a balancer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BalancerEnd {
    /// Every datanode is within the threshold.
    Balanced,
    /// Nobody may give what others could take.
    NoMoveBlock,
    /// Nothing was moved in too many iterations in a row.
    NoMoveProgress,
    /// Another balancer runs.
    AlreadyRunning,
    /// It was told to stop.
    Interrupted,
}

/// One iteration, at its end. Sizes are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BalancerIteration {
    /// From 0.
    pub number: u32,
    /// Moved so far.
    pub already_moved: u64,
    /// What lay beyond the threshold at its begin.
    pub left_to_move: u64,
    /// What it set out to move; `None` if nothing had to be.
    pub being_moved: Option<u64>,
    /// It was the last one.
    pub end: Option<BalancerEnd>,
}

/// A block that the namenode offers for moving.
#[derive(Debug)]
struct Found {
    block: Block,
    /// Ids of the datanodes that have it.
    datanodes: Vec<String>,
}

/// A balancer of one file system.
pub struct Balancer {
    client: DfsClient,
    /// The same namenode under the protocol that knows datanodes' blocks.
    namenode: Namenode,
    config: BalancerConfig,
}

impl Balancer {
    /// A balancer that has not begun.
    #[must_use]
    pub fn new(client: DfsClient, config: BalancerConfig) -> Self {
        let components = Components::default();
        let client_id = components.entropy.bytes16();
        let namenode = Namenode::speaking(NAMENODE_PROTOCOL, client.config(), &components, client_id);
        Self { client, namenode, config }
    }

    /// Balances until there is nothing more to do or `stop` is triggered; tells `report` of every iteration.
    ///
    /// # Errors
    /// The namenode cannot be asked, or refuses: only administrators may balance.
    pub fn run(&self, stop: &Shutdown, report: &mut dyn FnMut(&BalancerIteration)) -> Result<BalancerEnd, ClientError> {
        // Who may not balance hears so before anything is written.
        let pool = self.pool()?;
        let Some(_lock) = lock::Lock::take(&self.client)? else { return Ok(BalancerEnd::AlreadyRunning) };
        let (mut moved, mut idle, mut recent) = (0_u64, 0, Recent::default());
        for number in 0.. {
            let iteration = self.iteration(number, &pool, &mut moved, &mut idle, &mut recent, stop)?;
            report(&iteration);
            if let Some(end) = iteration.end {
                return Ok(end);
            }
            if stop.wait(self.config.pause) {
                return Ok(BalancerEnd::Interrupted);
            }
        }
        Ok(BalancerEnd::NoMoveProgress)
    }

    fn iteration(
        &self,
        number: u32,
        pool: &str,
        moved: &mut u64,
        idle: &mut u32,
        recent: &mut Recent,
        stop: &Shutdown,
    ) -> Result<BalancerIteration, ClientError> {
        let nodes = self.client.datanode_report(ReportKind::Live)?;
        let loads: Vec<plan::Load> = nodes.iter().map(|node| self.load(node)).collect();
        let rules = plan::Rules { threshold: self.config.threshold, most: self.config.max_size_to_move };
        let plan = plan::plan(&loads, &rules);
        let being_moved = plan.pairs.iter().map(|pair| pair.bytes).sum();
        let iteration = BalancerIteration {
            number,
            already_moved: *moved,
            left_to_move: plan.left,
            being_moved: Some(being_moved),
            end: None,
        };
        if plan.left == 0 {
            return Ok(BalancerIteration { being_moved: None, end: Some(BalancerEnd::Balanced), ..iteration });
        }
        if being_moved == 0 {
            return Ok(BalancerIteration { end: Some(BalancerEnd::NoMoveBlock), ..iteration });
        }
        let bytes = Dispatch::new(self, &nodes, pool, plan.pairs, recent).run(stop)?;
        *moved = moved.saturating_add(bytes);
        *idle = if bytes > 0 { 0 } else { idle.saturating_add(1) };
        let end = if stop.is_triggered() {
            Some(BalancerEnd::Interrupted)
        } else {
            self.config.idle_iterations.filter(|max| *idle >= *max).map(|_| BalancerEnd::NoMoveProgress)
        };
        Ok(BalancerIteration { already_moved: *moved, end, ..iteration })
    }

    fn load(&self, node: &DatanodeInfo) -> plan::Load {
        let listed = |set: &BTreeSet<String>| is_in(set, node);
        let config = &self.config;
        plan::Load {
            rack: node.rack.clone(),
            capacity: node.capacity,
            used: node.dfs_used,
            remaining: node.remaining,
            takes_part: node.admin_state == AdminState::Normal
                && (config.include.is_empty() || listed(&config.include))
                && !listed(&config.exclude),
            may_give: config.sources.is_empty() || listed(&config.sources),
        }
    }

    fn clock(&self) -> &dyn Clock {
        &**self.namenode.clock()
    }

    /// The block pool.
    fn pool(&self) -> Result<String, ClientError> {
        let request = hdfs::VersionRequestProto {};
        let reply: hdfs::VersionResponseProto = self.namenode.call("versionRequest", &request, CallOptions::USER)?;
        Ok(reply.info.block_pool_id)
    }

    /// Some blocks of a datanode, until their lengths add up to `bytes`.
    fn blocks_of(&self, node: &DatanodeInfo, bytes: u64) -> Result<Vec<Found>, ClientError> {
        let request = hdfs::GetBlocksRequestProto {
            datanode: crate::rpc::convert::datanode_proto(node).id,
            size: bytes.max(1),
            min_block_size: Some(self.config.min_block_size),
            time_interval: None,
        };
        let reply: hdfs::GetBlocksResponseProto = self.namenode.call("getBlocks", &request, CallOptions::USER)?;
        let found = |offered: hdfs::BlockWithLocationsProto| Found {
            block: Block {
                id: BlockId(offered.block.block_id.cast_signed()),
                stamp: GenStamp(offered.block.gen_stamp),
                len: offered.block.num_bytes(),
            },
            datanodes: offered.datanode_uuids,
        };
        Ok(reply.blocks.blocks.into_iter().map(found).collect())
    }
}

/// Whether a list names a datanode.
fn is_in(list: &BTreeSet<String>, node: &DatanodeInfo) -> bool {
    let port = node.transfer_port;
    [&node.ip, &node.hostname].into_iter().any(|host| list.contains(host) || list.contains(&format!("{host}:{port}")))
}
