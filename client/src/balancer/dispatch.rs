//! Carries a plan out: finds blocks for its pairs, and has them moved, many at a time.
//!
//! One thread decides; each move has a thread of its own that waits for the target's word. Every datanode takes part in a
//! bounded number of moves, in whatever role. A datanode that fails again and again is left alone for the iteration.

use super::choose::{may_move, sender};
use super::mover::{Connections, Move, carry_out};
use super::plan::Pair;
use super::{Balancer, Found};
use crate::error::ClientError;
use crate::types::DatanodeInfo;
use mammoth_platform::Shutdown;
use mammoth_protocol::BlockId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::Scope;
use std::time::Duration;

/// How often the end is looked for while moves are under way.
const LOOK: Duration = Duration::from_millis(200);
/// Failed moves after which a datanode is left alone.
const FAILURES_MAX: u32 = 5;
/// Bytes of blocks that are asked for, for every byte that a source is to give: some cannot go where they are wanted.
const CHOICE: u64 = 4;
/// How long a block that was moved stays where it is, as in HDFS.
const RECENT_MS: u64 = 5400 * 1000;
/// Stack of a thread that waits for a move.
const STACK: usize = 256 * 1024;

/// Blocks that were moved of late, with when.
#[derive(Debug, Default)]
pub(super) struct Recent(BTreeMap<BlockId, u64>);

impl Recent {
    fn forget(&mut self, now_ms: u64) {
        self.0.retain(|_, moved_ms| *moved_ms + RECENT_MS > now_ms);
    }
}

/// Blocks of a source to choose from.
#[derive(Debug, Default)]
struct Supply {
    waiting: VecDeque<(Found, Vec<usize>)>,
    /// Seen in this iteration: blocks come in no order, and again.
    seen: BTreeSet<BlockId>,
    /// Bytes of blocks that may still be asked for.
    budget: u64,
}

/// One iteration under way.
pub(super) struct Dispatch<'a> {
    balancer: &'a Balancer,
    nodes: &'a [DatanodeInfo],
    racks: Vec<&'a str>,
    pool: &'a str,
    pairs: Vec<Pair>,
    supplies: BTreeMap<usize, Supply>,
    recent: &'a mut Recent,
    /// Moves under way and failed ones, by datanode.
    busy: Vec<usize>,
    failures: Vec<u32>,
    under_way: usize,
    moved: u64,
    connections: Connections,
}

impl<'a> Dispatch<'a> {
    pub(super) fn new(
        balancer: &'a Balancer,
        nodes: &'a [DatanodeInfo],
        pool: &'a str,
        pairs: Vec<Pair>,
        recent: &'a mut Recent,
    ) -> Self {
        let mut supplies: BTreeMap<usize, Supply> = BTreeMap::new();
        for pair in &pairs {
            let supply = supplies.entry(pair.source).or_default();
            supply.budget = supply.budget.saturating_add(pair.bytes.saturating_mul(CHOICE));
        }
        recent.forget(balancer.clock().now().monotonic_ms);
        Self {
            balancer,
            nodes,
            racks: nodes.iter().map(|node| node.rack.as_str()).collect(),
            pool,
            pairs,
            supplies,
            recent,
            busy: vec![0; nodes.len()],
            failures: vec![0; nodes.len()],
            under_way: 0,
            moved: 0,
            connections: Connections::default(),
        }
    }

    /// Moves until the plan is carried out, nothing more can be moved, or time is over. Gives the bytes that were moved.
    ///
    /// # Errors
    /// The namenode cannot be asked for blocks.
    pub(super) fn run(mut self, stop: &Shutdown) -> Result<u64, ClientError> {
        let ends_ms = self.now_ms().saturating_add(self.balancer.config.iteration_ms);
        let connections = std::mem::take(&mut self.connections);
        let result = std::thread::scope(|scope| {
            let (done, finished) = sync_channel(self.balancer.config.movers);
            let mut result = Ok(());
            loop {
                let over = stop.is_triggered() || self.now_ms() >= ends_ms || result.is_err();
                while !over && self.under_way < self.balancer.config.movers {
                    match self.next() {
                        Ok(Some(order)) => self.start(scope, order, &connections, done.clone()),
                        Ok(None) => break,
                        Err(error) => {
                            result = Err(error);
                            break;
                        }
                    }
                }
                if self.under_way == 0 {
                    return result;
                }
                if stop.is_triggered() {
                    connections.cut();
                }
                match finished.recv_timeout(LOOK) {
                    Ok((order, outcome)) => self.finish(&order, outcome),
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
                }
            }
        });
        result.map(|()| self.moved)
    }

    fn now_ms(&self) -> u64 {
        self.balancer.clock().now().monotonic_ms
    }

    fn free(&self, node: usize) -> bool {
        self.busy[node] < self.balancer.config.moves_per_node && self.failures[node] < FAILURES_MAX
    }

    /// The next move to make now; `None` if there is none before another one ends.
    fn next(&mut self) -> Result<Option<Move>, ClientError> {
        for at in 0..self.pairs.len() {
            let Pair { source, target, bytes } = self.pairs[at];
            if bytes == 0 || !self.free(target) {
                continue;
            }
            loop {
                if let Some(order) = self.choose(source, target) {
                    self.pairs[at].bytes = bytes.saturating_sub(order.block.len);
                    // Others have their turn before this pair has its next.
                    self.pairs.rotate_left(at + 1);
                    return Ok(Some(order));
                }
                if !self.fetch(source, target)? {
                    break;
                }
            }
        }
        Ok(None)
    }

    /// Takes a block for a pair off the source's supply.
    fn choose(&mut self, source: usize, target: usize) -> Option<Move> {
        let waiting = &self.supplies.get(&source)?.waiting;
        let fits = |(at, (_, holders)): (usize, &(Found, Vec<usize>))| {
            let may = may_move(&self.racks, holders, source, target);
            let sender = sender(&self.racks, holders, source, target, |node| self.free(node)).filter(|_| may)?;
            Some((at, sender))
        };
        let (at, sender) = waiting.iter().enumerate().find_map(fits)?;
        let (found, _) = self.supplies.get_mut(&source)?.waiting.remove(at)?;
        Some(Move { block: found.block, source, target, sender })
    }

    /// Asks for more blocks of a source; false if there are no more to be had, or one waits that may go to the target once
    /// somebody is free to send it.
    fn fetch(&mut self, source: usize, target: usize) -> Result<bool, ClientError> {
        let Some(supply) = self.supplies.get_mut(&source) else { return Ok(false) };
        let waits = |(_, holders): &(Found, Vec<usize>)| may_move(&self.racks, holders, source, target);
        if supply.budget == 0 || supply.waiting.iter().any(waits) {
            return Ok(false);
        }
        let config = &self.balancer.config;
        let blocks = self.balancer.blocks_of(&self.nodes[source], config.get_blocks_size.min(supply.budget))?;
        let mut news = false;
        let mut bytes = 0_u64;
        for found in blocks {
            bytes = bytes.saturating_add(found.block.len);
            if !supply.seen.insert(found.block.id) || self.recent.0.contains_key(&found.block.id) {
                continue;
            }
            let place = |uuid: &String| self.nodes.iter().position(|node| node.uuid == *uuid);
            let holders: Vec<usize> = found.datanodes.iter().filter_map(place).collect();
            supply.waiting.push_back((found, holders));
            news = true;
        }
        supply.budget = if bytes == 0 { 0 } else { supply.budget.saturating_sub(bytes) };
        Ok(news || supply.budget > 0)
    }

    fn start<'scope>(
        &mut self,
        scope: &'scope Scope<'scope, '_>,
        order: Move,
        connections: &'scope Connections,
        done: SyncSender<(Move, Result<(), String>)>,
    ) where
        'a: 'scope,
    {
        for node in [order.target, order.sender] {
            self.busy[node] += 1;
        }
        self.under_way += 1;
        let (config, pool, nodes) = (self.balancer.client.config(), self.pool, self.nodes);
        let own = order.clone();
        let report = done.clone();
        let work = move || {
            let outcome = carry_out(config, pool, nodes, &own, connections);
            let _gone = report.send((own, outcome));
        };
        let thread = std::thread::Builder::new().name("move".to_owned()).stack_size(STACK);
        if let Err(error) = thread.spawn_scoped(scope, work) {
            self.finish(&order, Err(error.to_string()));
        }
    }

    fn finish(&mut self, order: &Move, outcome: Result<(), String>) {
        for node in [order.target, order.sender] {
            self.busy[node] -= 1;
        }
        self.under_way -= 1;
        let name = |node: usize| self.nodes[node].transfer_addr();
        let (from, to, through) = (name(order.source), name(order.target), name(order.sender));
        match outcome {
            Ok(()) => {
                self.moved = self.moved.saturating_add(order.block.len);
                self.recent.0.insert(order.block.id, self.now_ms());
                tracing::info!(block = %order.block, from, to, through, "moved");
            }
            Err(error) => {
                tracing::warn!(block = %order.block, from, to, through, error, "not moved");
                self.failures[order.target] += 1;
                self.failures[order.sender] += 1;
                // The pair still has to move as much.
                let of_pair = |pair: &&mut Pair| (pair.source, pair.target) == (order.source, order.target);
                if let Some(pair) = self.pairs.iter_mut().find(of_pair) {
                    pair.bytes = pair.bytes.saturating_add(order.block.len);
                }
            }
        }
    }
}
