//! Reports and time: what changes soft state, and the work that falls due.

use crate::api::{Command, InternalCommand, Outcome, Report, SafeMode};
use crate::decide::recovery::{Verdict, judge};
use crate::derived::NAMENODE_HOLDER;
use crate::state::State;
use mammoth_protocol::internal::FullReportSlice;
use mammoth_protocol::{InodeId, Now};

/// Commands of one kind that one tick makes at most.
const DUE_MAX: usize = 1_000;

impl State {
    /// Takes news in. Hard state does not change: what must follow from the news comes out as commands.
    pub fn observe(&mut self, now: Now, report: Report) -> Outcome {
        self.advance(now);
        match report {
            Report::Register { request, epoch } => self.blocks.register(now, &request, epoch),
            Report::Heartbeat(request) => self.blocks.heartbeat(now, &request),
            Report::Incremental(report) => self.blocks.incremental(now, &report),
            Report::Full(slice) => self.blocks.full(now, &slice),
            Report::Bad { replicas } => {
                self.blocks.bad(now, &replicas);
                Outcome::default()
            }
            Report::RenewLease { client } => {
                // Nobody but the namenode renews its own lease, and it does not need to.
                if client != NAMENODE_HOLDER {
                    self.leases.renew(&client, now.monotonic_ms);
                }
                Outcome::default()
            }
            Report::Hosts(rules) => {
                self.blocks.set_hosts(now, rules);
                Outcome::default()
            }
            Report::BalanceRate(bytes) => {
                self.blocks.set_balance_rate(bytes);
                Outcome::default()
            }
            Report::SafeMode(action) => {
                Outcome { refused: self.blocks.safe_mode_action(now, action).err(), ..Outcome::default() }
            }
        }
    }

    /// Takes a portion of a slice of a full report in, from the replica at a place on, so that others can be served before all
    /// of it is taken. Also gives the place where the next portion begins, if there is one.
    pub fn observe_portion(&mut self, now: Now, slice: &FullReportSlice, from: usize) -> (Outcome, Option<usize>) {
        self.advance(now);
        self.blocks.full_portion(now, slice, from)
    }

    /// Lets time pass: does a bounded amount of soft work, and says which hard work is due. `entropy` decides between equals.
    pub fn tick(&mut self, now: Now, entropy: u64) -> Outcome {
        self.advance(now);
        let tick = self.blocks.tick(now, entropy);
        let mut due = tick.commands;
        let mut more = tick.more;
        if self.blocks.safe_mode(now) == SafeMode::Off {
            self.lead_recoveries();
            due.extend(self.due_closings());
            due.extend(self.due_resumptions());
            due.extend(self.due_expiries(now));
            due.extend(self.tree.detached().iter().take(1).map(|root| InternalCommand::Reclaim { root: *root }));
            due.extend(self.retries_due(now).map(|_| InternalCommand::ForgetRetries));
            more |= !self.tree.detached().is_empty();
        } else {
            // The block map's wishes are decided by the same rule as ours: nothing changes in safe mode.
            due.clear();
        }
        Outcome { commands: due.into_iter().map(Command::Internal).collect(), more, ..Outcome::default() }
    }

    /// Looks again for datanodes to lead recoveries that have none.
    fn lead_recoveries(&mut self) {
        let waiting: Vec<InodeId> = self.leaderless.iter().copied().take(DUE_MAX).collect();
        for file in waiting {
            self.recover_last_block(file);
        }
    }

    /// Files in recovery that can be closed now.
    fn due_closings(&self) -> impl Iterator<Item = InternalCommand> {
        self.leases
            .files_of(NAMENODE_HOLDER)
            .filter(|file| judge(self, *file, false) == Verdict::Close && self.reachable(*file).is_some())
            .take(DUE_MAX)
            .map(|file| InternalCommand::ContinueRecovery { file })
    }

    /// Files whose recovery began before this namenode did.
    fn due_resumptions(&self) -> impl Iterator<Item = InternalCommand> {
        let reachable = self.resumed.iter().copied().filter(|file| self.reachable(*file).is_some());
        reachable.take(DUE_MAX).map(|file| InternalCommand::ContinueRecovery { file })
    }

    /// Files whose writers have been silent for the hard limit.
    fn due_expiries(&self, now: Now) -> impl Iterator<Item = InternalCommand> {
        self.leases
            .overdue(self.config.lease_hard_ms, now.monotonic_ms)
            .filter(|(holder, file)| *holder != NAMENODE_HOLDER && self.reachable(*file).is_some())
            .take(DUE_MAX)
            .map(|(holder, file)| InternalCommand::ExpireLease { file, holder: holder.to_owned() })
    }
}
