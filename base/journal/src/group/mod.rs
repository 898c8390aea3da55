//! Group commit as a pure state machine: what may leave, and when.
//!
//! Decisions come in with the effects that depend on them (replies, commands to datanodes); records go out in groups; an
//! effect is released only once its record is durable, in the order of the decisions. No thread, no disk: the runtime
//! drives it from the namenode's thread, the simulator from its event loop.

#[cfg(test)]
mod tests;

use crate::log::codec;
use mammoth_protocol::{Seq, Term};
use std::collections::VecDeque;

/// Groups that may be on their way to the disk: one that is being synced and one that waits behind it.
pub const GROUPS_IN_FLIGHT_MAX: usize = 2;
/// Bytes of records not yet handed out at which the driver should take no further commands.
const OPEN_BYTES_FULL: usize = 16 * 1024 * 1024;
/// Effects that wait at which the driver should take no further commands.
const WAITING_FULL: usize = 100_000;

/// Records to write and sync as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Sequence of the first.
    pub first: Seq,
    /// Sequence of the last.
    pub last: Seq,
    /// The encoded records.
    pub bytes: Vec<u8>,
}

impl Group {
    /// How many records it holds.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.last.0 + 1 - self.first.0
    }
}

/// A decision that was not taken into the log; nothing changed.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused<E> {
    /// Why.
    pub reason: String,
    /// The effect that came with it.
    pub effect: E,
}

/// Decisions between their making and their durability; `E` is what depends on them.
#[derive(Debug)]
pub struct GroupCommit<E> {
    term: Term,
    decided: Seq,
    synced: Seq,
    /// Encoded records that no group has taken yet.
    open: Vec<u8>,
    open_first: Seq,
    in_flight: VecDeque<Seq>,
    waiting: VecDeque<(Seq, E)>,
    failed: Option<String>,
    bytes_decided: u64,
}

impl<E> GroupCommit<E> {
    /// Starts behind record `last`, which is durable.
    #[must_use]
    pub fn new(term: Term, last: Seq) -> Self {
        Self {
            term,
            decided: last,
            synced: last,
            open: Vec::new(),
            open_first: Seq(last.0 + 1),
            in_flight: VecDeque::new(),
            waiting: VecDeque::new(),
            failed: None,
            bytes_decided: 0,
        }
    }

    /// The sequence that the next decision gets.
    #[must_use]
    pub fn next_seq(&self) -> Seq {
        Seq(self.decided.0 + 1)
    }

    /// Sequence of the last decision.
    #[must_use]
    pub fn decided_seq(&self) -> Seq {
        self.decided
    }

    /// Sequence up to which all is durable.
    #[must_use]
    pub fn synced_seq(&self) -> Seq {
        self.synced
    }

    /// Bytes of records since the start.
    #[must_use]
    pub fn bytes_decided(&self) -> u64 {
        self.bytes_decided
    }

    /// Whether everything decided is durable.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.decided == self.synced
    }

    /// Why nothing can be committed any more.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// Whether so much waits that the driver should take no further commands until something is synced.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.open.len() >= OPEN_BYTES_FULL || self.waiting.len() >= WAITING_FULL
    }

    /// Takes a decision: `encode` appends its edits. `effect` is released when it is durable.
    ///
    /// # Errors
    /// The log failed before, or the edits are too long for a record.
    pub fn decided(&mut self, encode: impl FnOnce(&mut Vec<u8>), effect: E) -> Result<Seq, Refused<E>> {
        if let Some(reason) = &self.failed {
            return Err(Refused { reason: reason.clone(), effect });
        }
        let seq = self.next_seq();
        let place = seq.0 - self.open_first.0;
        let Ok(place) = u32::try_from(place) else {
            return Err(Refused { reason: "too many records wait to be written".to_owned(), effect });
        };
        let before = self.open.len();
        if let Err(too_long) = codec::encode_record(&mut self.open, seq, self.term, place, encode) {
            return Err(Refused { reason: too_long.to_string(), effect });
        }
        self.bytes_decided += (self.open.len() - before) as u64;
        self.decided = seq;
        self.waiting.push_back((seq, effect));
        Ok(seq)
    }

    /// Holds an effect that depends on what was decided so far without a decision of its own: a read, or a refusal, that saw
    /// state which is not durable. Gives it back if all of that is durable.
    ///
    /// # Errors
    /// The log failed before: what the effect saw may never have happened.
    pub fn hold(&mut self, effect: E) -> Result<Option<E>, Refused<E>> {
        if let Some(reason) = &self.failed {
            return Err(Refused { reason: reason.clone(), effect });
        }
        if self.is_idle() {
            return Ok(Some(effect));
        }
        self.waiting.push_back((self.decided, effect));
        Ok(None)
    }

    /// What to write and sync next, everything decided so far; `None` if there is nothing or enough is on its way.
    pub fn next_group(&mut self) -> Option<Group> {
        if self.open.is_empty() || self.in_flight.len() >= GROUPS_IN_FLIGHT_MAX || self.failed.is_some() {
            return None;
        }
        let group = Group { first: self.open_first, last: self.decided, bytes: std::mem::take(&mut self.open) };
        self.open_first = self.next_seq();
        self.in_flight.push_back(group.last);
        Some(group)
    }

    /// Everything up to `upto` is durable: what may leave now, in order. Says nothing new after a failure, as effects were
    /// refused then.
    ///
    /// # Panics
    /// If `upto` was never handed out: whoever says so has lost track, and an effect would leave too early.
    pub fn synced(&mut self, upto: Seq) -> Vec<E> {
        assert!(upto.0 < self.open_first.0, "record {upto} was never handed out");
        if self.failed.is_some() {
            return Vec::new();
        }
        self.synced = self.synced.max(upto);
        while self.in_flight.front().is_some_and(|last| *last <= self.synced) {
            self.in_flight.pop_front();
        }
        let ready = self.waiting.iter().take_while(|(seq, _)| *seq <= self.synced).count();
        self.waiting.drain(..ready).map(|(_, effect)| effect).collect()
    }

    /// A write or sync failed: nothing is committed from now on. Gives back every effect that waited, in order; whether
    /// their decisions survive is unknown until the next start, so clients must not be told that they did not happen.
    pub fn failed(&mut self, reason: impl Into<String>) -> Vec<E> {
        if self.failed.is_none() {
            self.failed = Some(reason.into());
        }
        self.open = Vec::new();
        self.in_flight.clear();
        self.waiting.drain(..).map(|(_, effect)| effect).collect()
    }
}
