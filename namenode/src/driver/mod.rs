//! The one thread that owns the state.
//!
//! It takes a batch of requests, decides each by the state as it is, applies the edits, and hands them to the journal as one
//! group; answers leave when the journal says that what they depend on is durable. While one group is being synced the next is
//! decided. In between it gives the core its ticks and the journal a slice of a checkpoint. It never waits for a disk and
//! never for a door.
//!
//! A journal that fails ends it: every caller that waits is told to ask again, later ones are turned away, and the reason goes
//! to the daemon's shutdown.

mod bulk;
mod effect;
mod handle;
#[cfg(test)]
mod tests;
mod unsynced;

pub use effect::Reported;
pub use handle::DriverHandle;

use crate::metrics::{Metrics, Operation};
use bulk::Bulk;
use effect::{Ask, Effect};
use mammoth_journal::{Committed, Failed, Journal, Refused};
use mammoth_namenode_core::api::{Answer, Command, Outcome, Query, Reply, Report};
use mammoth_namenode_core::{Edit, State};
use mammoth_platform::{Clock, Entropy, EntropyPool};
use mammoth_protocol::internal::RegisterRequest;
use mammoth_protocol::{Auth, Caller, Epoch, ErrorCode, FsError, InodeId, Now, Seq, Term};
use mammoth_web::mailbox::{Mailbox, Way};
use std::sync::Arc;
use std::time::Duration;
use unsynced::Unsynced;

/// Requests that one round takes at most, so that ticks and checkpoint slices get their turn.
const BATCH: usize = 512;
/// Milliseconds between two ticks, if there is no more to do at once.
const TICK_MS: u64 = 200;
/// A tick that is so many milliseconds late was not late by chance: the process was stopped, or the machine.
const STOPPED_MS: u64 = 1_000;
/// Milliseconds that datanodes have then, beside two heartbeats, to be heard: their longest pause after a failed call.
const HEAR_MS: u64 = 1_000;
/// Callers that wait for a checkpoint at the same time.
const SAVES_MAX: usize = 100;
/// How long the journal may take for its last group at the end.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

/// What a driver stands on.
pub struct DriverParts {
    /// The state, loaded and resumed.
    pub state: State,
    /// The journal behind it; it must poke the mailbox of `handle`.
    pub journal: Journal<Held>,
    /// Where requests come from.
    pub handle: DriverHandle,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// An answer that waits in the journal until what it depends on is durable.
#[derive(Debug)]
pub struct Held(Effect);

/// The driver.
pub struct Driver {
    state: State,
    journal: Journal<Held>,
    mailbox: Mailbox<Ask>,
    clock: Arc<dyn Clock>,
    entropy: EntropyPool,
    metrics: Arc<Metrics>,
    term: Term,
    /// Registrations of this term.
    registered: u32,
    next_tick_ms: u64,
    /// The next tick was put off already.
    put_off: bool,
    /// The timers as the author of commands.
    internal: Caller,
    unsynced: Unsynced,
    /// Who waits for a checkpoint up to which sequence.
    saves: Vec<(Seq, Way<Seq>)>,
    /// What the query at hand depends on; kept for its room.
    saw: Vec<InodeId>,
    /// Full reports that wait, or are taken in by and by.
    bulk: Bulk,
    /// Answers that leave at the end of the round: one by one, each would wake the thread of its connection.
    leaving: Vec<Held>,
}

impl Driver {
    /// A driver that does not run yet.
    #[must_use]
    pub fn new(parts: DriverParts) -> Self {
        Self {
            term: parts.journal.term(),
            state: parts.state,
            journal: parts.journal,
            mailbox: parts.handle.mailbox,
            clock: parts.clock,
            entropy: EntropyPool::new(parts.entropy),
            metrics: parts.metrics,
            registered: 0,
            next_tick_ms: 0,
            put_off: false,
            internal: Caller { auth: Auth::Internal, ..Caller::default() },
            unsynced: Unsynced::default(),
            saves: Vec::new(),
            saw: Vec::new(),
            bulk: Bulk::default(),
            leaving: Vec::new(),
        }
    }

    /// Runs until the mailbox is closed and empty.
    ///
    /// # Errors
    /// The journal failed.
    pub fn run(mut self) -> Result<(), String> {
        let _closing = self.mailbox.empty_when_dropped();
        let mut more = false;
        loop {
            let room = if self.journal.is_full() { 0 } else { BATCH };
            let batch = self.mailbox.take(room, self.patience(more));
            let began = self.clock.monotonic_ns();
            let now = self.clock.now();
            let nothing_asked = batch.asks.is_empty();
            for ask in batch.asks {
                self.serve(now, ask);
            }
            more = self.tick_if_due(now);
            more |= self.take_bulk(now);
            self.journal.flush();
            if let Some(reason) = self.release() {
                return Err(reason);
            }
            self.saved(now);
            more |= self.journal.step(&mut self.state, now.monotonic_ms);
            self.metrics.waiting(batch.left);
            self.metrics.journal(self.journal.counters());
            self.metrics.busy(self.clock.monotonic_ns().saturating_sub(began) / 1000);
            if batch.closed && nothing_asked && batch.left == 0 {
                return self.end();
            }
        }
    }

    /// How long nothing has to happen.
    fn patience(&self, more: bool) -> Duration {
        if more {
            return Duration::ZERO;
        }
        Duration::from_millis(self.next_tick_ms.saturating_sub(self.clock.now().monotonic_ms))
    }

    fn serve(&mut self, now: Now, ask: Ask) {
        match ask {
            Ask::Command { caller, command, answer } => self.command(now, &caller, &command, answer),
            Ask::Query { caller, query, answer } => self.query(now, &caller, &query, answer),
            Ask::Report { report: Report::Full(slice), answer } => self.bulk.add(slice, answer),
            Ask::Report { report, answer } => self.report(now, report, answer),
            Ask::Register { request, answer } => self.register(now, request, answer),
            Ask::Save { answer } if self.saves.len() < SAVES_MAX => {
                self.saves.push((self.journal.decided_seq(), answer));
            }
            Ask::Save { answer } => {
                let busy = FsError::new(ErrorCode::Retriable, "too many wait for a checkpoint; try again");
                let _gone = answer.send(Err(busy));
            }
        }
    }

    /// Answers those whose checkpoint is complete, and begins one for those that are left, unless one is being made.
    fn saved(&mut self, now: Now) {
        let applied = self.journal.applied_seq();
        for (wanted, answer) in std::mem::take(&mut self.saves) {
            if wanted <= applied {
                let _gone = answer.send(Ok(applied));
            } else {
                self.saves.push((wanted, answer));
            }
        }
        if !self.saves.is_empty() {
            self.journal.checkpoint_now(now.monotonic_ms);
        }
    }

    fn command(&mut self, now: Now, caller: &Caller, command: &Command, answer: Way<Reply>) {
        self.metrics.asked(Operation::Command(command));
        match self.state.decide(now, self.entropy.next_u64(), caller, command) {
            Ok(decision) => {
                if matches!(decision.reply, Reply::Refused(_)) {
                    self.metrics.refused();
                }
                let effect = Held(Effect::Reply(answer, Ok(decision.reply)));
                match self.commit(&decision.edits, effect) {
                    Ok(committed) => self.leave(committed.at_once),
                    Err(refused) => refused.effect.0.refuse(&refused.reason),
                }
            }
            Err(refusal) => {
                self.metrics.refused();
                self.hold(Effect::Reply(answer, Err(refusal)));
            }
        }
    }

    fn query(&mut self, now: Now, caller: &Caller, query: &Query, answer: Way<Answer>) {
        self.metrics.asked(Operation::Query(query));
        self.saw.clear();
        let result = self.state.query(now, self.entropy.next_u64(), caller, query, &mut self.saw);
        if result.is_err() {
            self.metrics.refused();
        }
        let effect = Effect::Answer(answer, result);
        if self.unsynced.concerns(&self.saw) { self.hold(effect) } else { self.leave(Some(Held(effect))) }
    }

    fn commit(&mut self, edits: &[Edit], effect: Held) -> Result<Committed<Held>, Refused<Held>> {
        let committed = self.journal.commit(&mut self.state, edits, effect)?;
        if !edits.is_empty() {
            self.unsynced.changed(committed.seq, edits);
        }
        Ok(committed)
    }

    fn report(&mut self, now: Now, report: Report, answer: Way<Reported>) {
        self.metrics.asked(Operation::Report(&report));
        let mut outcome = self.state.observe(now, report);
        if let Some(refusal) = outcome.refused.take() {
            self.metrics.refused();
            let _gone = answer.send(Err(refusal));
            return;
        }
        let orders = std::mem::take(&mut outcome.orders);
        let has_orders = !orders.is_empty();
        let reported = Reported {
            orders,
            register: outcome.register,
            resync: std::mem::take(&mut outcome.resync),
            ..Reported::default()
        };
        self.carry_out(now, outcome);
        let effect = Effect::Reported(answer, reported);
        // An order may follow from an edit that is not durable; a plain acknowledgement follows from nothing.
        if has_orders { self.hold(effect) } else { self.leave(Some(Held(effect))) }
    }

    fn register(&mut self, now: Now, request: RegisterRequest, answer: Way<Epoch>) {
        // Above every epoch of this term and of all before.
        self.registered = self.registered.wrapping_add(1);
        let epoch = Epoch((self.term.0 << 32) | u64::from(self.registered));
        let report = Report::Register { request, epoch };
        self.metrics.asked(Operation::Report(&report));
        let mut outcome = self.state.observe(now, report);
        let result = match outcome.refused.take() {
            Some(refusal) => Err(refusal),
            None => Ok(epoch),
        };
        self.carry_out(now, outcome);
        let _gone = answer.send(result);
    }

    /// Work that a report or a tick found due, decided like a client's commands. One that is refused is found again.
    fn carry_out(&mut self, now: Now, outcome: Outcome) {
        for command in outcome.commands {
            self.metrics.asked(Operation::Command(&command));
            let decided = self.state.decide(now, self.entropy.next_u64(), &self.internal, &command);
            match decided {
                Ok(decision) => {
                    if let Err(refused) = self.commit(&decision.edits, Held(Effect::Own)) {
                        tracing::error!(?command, reason = %refused.reason, "own command not recorded");
                    }
                }
                Err(refusal) => tracing::debug!(?command, %refusal, "own command refused"),
            }
        }
    }

    /// Tells whether there is more of this work.
    fn tick_if_due(&mut self, now: Now) -> bool {
        if now.monotonic_ms < self.next_tick_ms || self.journal.is_full() {
            return false;
        }
        if self.put_off_after_stop(now) {
            return false;
        }
        self.metrics.ticked();
        let outcome = self.state.tick(now, self.entropy.next_u64());
        let more = outcome.more;
        self.carry_out(now, outcome);
        self.next_tick_ms = if more { now.monotonic_ms } else { now.monotonic_ms + TICK_MS };
        more
    }

    /// A namenode that was stopped for a while has not heard datanodes and clients that did speak. They get a hearing before
    /// anybody's silence counts, otherwise all of them would be taken for dead at once. Never twice in a row: a machine that
    /// is always late must not lose its ticks.
    fn put_off_after_stop(&mut self, now: Now) -> bool {
        let heartbeat_ms = self.state.config().heartbeat_ms;
        let late_ms = now.monotonic_ms.saturating_sub(self.next_tick_ms);
        let began = self.next_tick_ms > 0;
        self.put_off = began && !self.put_off && late_ms > heartbeat_ms.max(STOPPED_MS);
        if self.put_off {
            tracing::warn!(
                late_ms,
                "the namenode did not run for a while; it hears everybody before it judges silence"
            );
            self.next_tick_ms = now.monotonic_ms + HEAR_MS + 2 * heartbeat_ms;
        }
        self.put_off
    }

    /// Lets an answer go once everything that is decided now is durable.
    fn hold(&mut self, effect: Effect) {
        match self.journal.hold(Held(effect)) {
            Ok(at_once) => self.leave(at_once),
            Err(refused) => refused.effect.0.fail(),
        }
    }

    fn leave(&mut self, effect: Option<Held>) {
        self.leaving.extend(effect);
    }

    /// Lets go what has become durable; the reason, if nothing ever will again.
    fn release(&mut self) -> Option<String> {
        let released = self.journal.poll();
        let synced = self.journal.synced_seq();
        self.unsynced.synced(synced);
        for Held(effect) in self.leaving.drain(..).chain(released.effects) {
            effect.release(synced);
        }
        released.failed.map(give_up)
    }

    /// Everybody who asked has an answer or waits for the journal: its last group, then the end.
    fn end(self) -> Result<(), String> {
        let synced = self.journal.decided_seq();
        let released = self.journal.close(CLOSE_PATIENCE);
        for Held(effect) in released.effects {
            effect.release(synced);
        }
        released.failed.map_or(Ok(()), |failed| Err(give_up(failed)))
    }
}

fn give_up(failed: Failed<Held>) -> String {
    for Held(effect) in failed.refused {
        effect.fail();
    }
    failed.reason
}

impl Effect {
    /// The decision was not taken into the log, and nothing changed.
    fn refuse(self, reason: &str) {
        if let Self::Reply(way, _) = self {
            let _gone = way.send(Err(FsError::new(ErrorCode::Io, reason)));
        }
    }
}
