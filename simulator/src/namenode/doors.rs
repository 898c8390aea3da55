//! What the namenode makes of a message, as its doors and its driver do.

use super::{Answerer, Live, Steps, caller, internal};
use crate::bugs::Bug;
use crate::event::{Request, Response};
use mammoth_namenode_core::api::{Command, InternalCommand, ReplicaOn, Report};

impl Live {
    pub(super) fn take(&mut self, steps: &mut Steps<'_>, request: Request) {
        match request {
            Request::Command { client, call, command, .. } => {
                let twice = steps.bug == Some(Bug::RetryRunTwice);
                let caller = caller((!twice).then_some(call));
                let answer: Answerer = Box::new(move |result| Response::Reply { client, call, result });
                if !self.carry_out(steps, &caller, &command, Some(answer)) {
                    steps.refused.push((client, call));
                }
            }
            Request::Query { client, call, query } => {
                let mut saw = Vec::new();
                let entropy = steps.entropy();
                let result = self.process.state.query(steps.now, entropy, &caller(None), &query, &mut saw);
                self.hold(steps, Some(Response::Answer { client, call, result }));
            }
            Request::Renew { name } => {
                self.observe(steps, Report::RenewLease { client: name });
            }
            Request::Bad(datanode, block) => {
                self.observe(steps, Report::Bad { replicas: vec![(ReplicaOn::Datanode(datanode), block)] });
            }
            Request::CommitSync(_, mut commit) => {
                if steps.bug == Some(Bug::OldRecoveryCommitted) {
                    steps.memory.renew(&self.process.state, &mut commit);
                }
                self.carry_out(steps, &internal(), &Command::CommitBlockSync(commit), None);
            }
            report => self.take_report(steps, report),
        }
    }

    fn take_report(&mut self, steps: &mut Steps<'_>, request: Request) {
        let term = self.term;
        match request {
            Request::Register(index, request) => {
                let epoch = self.epoch();
                let storages: Vec<_> = request.storages.iter().map(|usage| usage.storage).collect();
                let datanode = request.datanode;
                let outcome = self.observe(steps, Report::Register { request, epoch });
                for list in steps.memory.registered(steps.bug, datanode, epoch, &storages) {
                    self.observe(steps, Report::Full(list));
                }
                if outcome.refused.is_none() {
                    self.hold_orders(steps, Response::Registered(index, epoch, term));
                }
            }
            Request::Heartbeat(index, request) => {
                let outcome = self.observe(steps, Report::Heartbeat(request));
                steps.orders.push((index, outcome.orders.clone()));
                let synced = self.process.group.synced_seq();
                self.hold_orders(steps, Response::Orders(index, term, synced, outcome));
            }
            Request::Incremental(index, number, mut report) => {
                steps.memory.incremental(steps.bug, &self.process.state, &mut report);
                let outcome = self.observe(steps, Report::Incremental(report));
                self.hold_orders(steps, Response::Taken(index, term, number, outcome));
            }
            Request::Full(index, number, mut slice) => {
                steps.memory.full(steps.bug, &self.process.state, &mut slice);
                let outcome = self.observe(steps, Report::Full(slice));
                self.hold_orders(steps, Response::Taken(index, term, number, outcome));
            }
            _ => {}
        }
    }
}

/// A command as coverage counts it.
pub(super) fn name_of(command: &Command, accepted: bool) -> &'static str {
    if !accepted {
        return "command refused";
    }
    match command {
        Command::Mkdirs { .. } => "mkdirs",
        Command::Create { .. } => "create",
        Command::Append { .. } => "append",
        Command::AddBlock { .. } => "addBlock",
        Command::AbandonBlock { .. } => "abandonBlock",
        Command::Complete { .. } => "complete",
        Command::Fsync { .. } => "fsync",
        Command::UpdateBlockForPipeline { .. } => "updateBlockForPipeline",
        Command::UpdatePipeline { .. } => "updatePipeline",
        Command::RecoverLease { .. } => "recoverLease",
        Command::Truncate { .. } => "truncate",
        Command::Concat { .. } => "concat",
        Command::Rename { .. } => "rename",
        Command::Rename2 { .. } => "rename2",
        Command::Delete { .. } => "delete",
        Command::SetReplication { .. } => "setReplication",
        Command::SetPermission { .. } => "setPermission",
        Command::SetOwner { .. } => "setOwner",
        Command::SetTimes { .. } => "setTimes",
        Command::CommitBlockSync(_) => "commitBlockSynchronization",
        Command::Internal(InternalCommand::ExpireLease { .. }) => "lease expired",
        Command::Internal(InternalCommand::Reclaim { .. }) => "folder reclaimed",
        Command::Internal(InternalCommand::ForgetRetries) => "calls forgotten",
        Command::Internal(InternalCommand::ContinueRecovery { .. }) => "recovery continued",
    }
}
