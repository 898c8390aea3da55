//! "I live", from a thread of its own for each namenode: registers, sends heartbeats, hands the orders that come back to
//! [`crate::orders`]. Nothing here waits for a disk or for another datanode.
//!
//! A namenode of an older reign than one that was heard is not obeyed, and one of another file system is not even
//! registered with.

use crate::daemon::Shared;
use crate::error::chain;
use crate::namenode::{CallError, NamenodeCaller};
use crate::registration::Registration;
use crate::store::Store;
use mammoth_protocol::Term;
use mammoth_protocol::internal::{
    ClusterIdentity, DnCommand, HeartbeatReply, HeartbeatRequest, RegisterReply, RegisterRequest, routes,
};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// First pause after a failed call; doubles up to [`PAUSE_MAX`], so that a namenode that returns is found at once.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The heartbeat towards one namenode.
pub(crate) struct Heartbeat {
    shared: Arc<Shared>,
    registration: Arc<Registration>,
    caller: NamenodeCaller,
    pause: Duration,
    /// The last failure that was logged, so that a long absence is one line.
    told: Option<String>,
    /// The namenode is of the newest reign that was heard of.
    reigns: bool,
}

/// What ends the heartbeat for good.
enum Trouble {
    /// Try again.
    Again(String),
    /// The datanode cannot go on.
    Fatal(String),
    Stopping,
}

impl From<CallError> for Trouble {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Stopping => Self::Stopping,
            other => Self::Again(other.to_string()),
        }
    }
}

impl Heartbeat {
    pub(crate) fn new(shared: Arc<Shared>, registration: Arc<Registration>, caller: NamenodeCaller) -> Self {
        Self { shared, registration, caller, pause: PAUSE_MIN, told: None, reigns: true }
    }

    /// Runs until the end of the daemon.
    ///
    /// # Errors
    /// Volumes that do not belong to the namenode's file system, or cannot be opened.
    pub(crate) fn run(mut self) -> Result<(), String> {
        while !self.shared.shutdown.is_triggered() {
            match self.beat() {
                Ok(()) => {
                    if self.told.take().is_some() {
                        tracing::info!(namenode = self.caller.addr(), "the namenode answers again");
                    }
                    self.pause = PAUSE_MIN;
                    self.registration.wait(self.shared.heartbeat);
                }
                Err(Trouble::Again(reason)) => {
                    if self.told.as_ref() != Some(&reason) {
                        tracing::warn!(namenode = self.caller.addr(), reason, "no heartbeat");
                        self.told = Some(reason);
                    }
                    self.registration.wait(self.pause);
                    self.pause = (self.pause * 2).min(PAUSE_MAX);
                }
                Err(Trouble::Fatal(reason)) => return Err(reason),
                Err(Trouble::Stopping) => return Ok(()),
            }
        }
        Ok(())
    }

    fn beat(&mut self) -> Result<(), Trouble> {
        let Some(epoch) = self.registration.epoch() else { return self.register() };
        let store = self.store()?;
        self.shared.transfers.idle.expire();
        let request = HeartbeatRequest {
            datanode: store.datanode,
            epoch,
            storages: store.usage(),
            xceivers: u32::try_from(self.shared.transfers.sockets.busy()).unwrap_or(u32::MAX),
            copies: self.shared.transfers.counters.copies.load(Ordering::Relaxed),
        };
        let reply: HeartbeatReply = match self.caller.post(routes::HEARTBEAT, &request) {
            Ok(reply) => reply,
            Err(error) => {
                if error.is_unregistered() {
                    self.registration.lost(epoch);
                }
                return Err(error.into());
            }
        };
        let reigns = self.check_reign(&store, &reply.cluster_id, reply.term)?;
        if reigns {
            store.note_seen(reply.term, reply.seq);
        }
        for command in reply.commands {
            match command {
                DnCommand::Register => self.registration.lost(epoch),
                DnCommand::FullReport { storages } => self.registration.want_full(&storages),
                other if reigns => self.shared.orders.take(other, &self.registration, epoch),
                other => tracing::debug!(?other, "order of an older reign ignored"),
            }
        }
        Ok(())
    }

    fn store(&self) -> Result<Arc<Store>, Trouble> {
        self.shared.transfers.store().map(Arc::clone).map_err(|error| Trouble::Again(error.to_string()))
    }

    /// Refuses what comes from another file system; tells whether the namenode is to be obeyed, which one of an older reign
    /// is not. It is still told everything, as by that it learns that it has lost its past.
    fn check_reign(&mut self, store: &Store, cluster_id: &str, term: Term) -> Result<bool, Trouble> {
        let own = &store.identity.cluster_id;
        if cluster_id != own {
            return Err(Trouble::Again(format!("the namenode serves cluster {cluster_id}, this datanode {own}")));
        }
        let seen = store.seen().term;
        let reigns = term >= seen;
        if self.reigns != reigns && !reigns {
            tracing::warn!(namenode = self.caller.addr(), %term, %seen, "the namenode is of an older reign, not obeyed");
        }
        self.reigns = reigns;
        Ok(reigns)
    }

    fn register(&mut self) -> Result<(), Trouble> {
        let identity: ClusterIdentity = self.caller.get(routes::IDENTITY)?;
        let store = self.shared.open_store(&identity).map_err(|error| Trouble::Fatal(chain(&error)))?;
        self.check_identity(&store, &identity)?;
        let request = RegisterRequest {
            cluster_id: store.identity.cluster_id.clone(),
            datanode: store.datanode,
            addr: self.shared.addr.clone(),
            rack: self.shared.rack.clone(),
            storages: store.usage(),
            seen: store.seen(),
            software: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let reply: RegisterReply = self.caller.post(routes::REGISTER, &request)?;
        self.check_reign(&store, &reply.cluster_id, reply.term)?;
        tracing::info!(namenode = self.caller.addr(), epoch = %reply.epoch, term = %reply.term, "registered");
        self.registration.registered(reply.epoch, store.usage().iter().map(|usage| usage.storage));
        Ok(())
    }

    /// A namenode of another file system at the first contact is an error of the operator; later it may be one that was
    /// started in the wrong folder, and the right one may come back.
    fn check_identity(&self, store: &Store, found: &ClusterIdentity) -> Result<(), Trouble> {
        let own = &store.identity;
        if (&found.cluster_id, found.namespace_id, &found.pool_id) == (&own.cluster_id, own.namespace_id, &own.pool_id)
        {
            return Ok(());
        }
        let reason = format!(
            "{}: the volumes belong to cluster {} pool {}, the namenode {} serves cluster {} pool {}",
            self.shared.first_dir().display(),
            own.cluster_id,
            own.pool_id,
            self.caller.addr(),
            found.cluster_id,
            found.pool_id
        );
        if self.registration.ever() { Err(Trouble::Again(reason)) } else { Err(Trouble::Fatal(reason)) }
    }
}
