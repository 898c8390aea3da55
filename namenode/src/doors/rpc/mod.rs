//! ClientProtocol over Hadoop RPC: every method is decode, ask the driver, encode.
//!
//! Methods are grouped by family, one file each; [`refused`] names those that exist in HDFS and are not offered here.
//! [`balance`] is NamenodeProtocol, by which the balancer asks for blocks.

mod admin;
mod balance;
mod blocks;
mod call;
mod convert;
mod metasave;
mod names;
mod nothing;
mod refused;
#[cfg(test)]
mod tests;

use crate::config::ServerDefaults;
use crate::driver::DriverHandle;
use crate::groups::Groups;
use crate::hosts::HostFiles;
use crate::topology::Topology;
use bytes::Bytes;
use call::{Call, Served};
use mammoth_net::rpc::server::{RpcCall, RpcFuture, RpcHandler};
use mammoth_platform::Clock;
use mammoth_protocol::hadoop::{CLIENT_PROTOCOL, NAMENODE_PROTOCOL};
use mammoth_protocol::internal::ClusterIdentity;
use mammoth_protocol::rpc::RpcFailure;
use mammoth_protocol::{Auth, Caller};
use std::path::PathBuf;
use std::sync::Arc;

/// Who may administrate.
#[derive(Clone, Debug)]
pub struct AdminRules {
    /// Nobody is asked who they are, if `false`.
    pub permissions: bool,
    /// The user that may do everything.
    pub superuser: String,
    /// The group whose members may, too.
    pub supergroup: String,
}

/// The door for clients.
pub struct ClientDoor {
    /// Who decides.
    pub driver: DriverHandle,
    /// Groups of callers.
    pub groups: Groups,
    /// The block pool.
    pub pool: String,
    /// Which file system this is.
    pub identity: ClusterIdentity,
    /// What clients are told to use.
    pub defaults: ServerDefaults,
    /// Who may administrate.
    pub rules: AdminRules,
    /// The operator's files about datanodes.
    pub hosts: HostFiles,
    /// Racks.
    pub topology: Topology,
    /// Where files for people to read go.
    pub log_dir: Option<PathBuf>,
    /// For ages in answers.
    pub clock: Arc<dyn Clock>,
}

/// The handler that the RPC server calls; clones are the same door.
#[derive(Clone)]
pub struct ClientProtocol(pub Arc<ClientDoor>);

impl RpcHandler for ClientProtocol {
    fn call(&self, call: RpcCall) -> RpcFuture {
        let door = Arc::clone(&self.0);
        Box::pin(async move { door.serve(call).await.map(Bytes::from) })
    }
}

impl ClientDoor {
    async fn serve(&self, incoming: RpcCall) -> Served {
        if ![CLIENT_PROTOCOL, NAMENODE_PROTOCOL].contains(&&*incoming.protocol) {
            return Err(RpcFailure::no_such_protocol(&incoming.protocol));
        }
        let caller = Arc::new(self.caller(&incoming).await?);
        let call = Call { method: &incoming.method, payload: &incoming.payload, caller, door: self };
        if incoming.protocol == NAMENODE_PROTOCOL {
            return Box::pin(balance::serve(&call)).await;
        }
        let serving = blocks::serve(&call)
            .or_else(|| names::serve(&call))
            .or_else(|| admin::serve(&call))
            .or_else(|| nothing::serve(&call));
        if let Some(serving) = serving {
            return serving.await;
        }
        match refused::refusal(&incoming.method) {
            Some(refusal) => Err(refusal.into()),
            None => Err(RpcFailure::no_such_method(CLIENT_PROTOCOL, &incoming.method)),
        }
    }

    async fn caller(&self, incoming: &RpcCall) -> Result<Caller, RpcFailure> {
        let user = short_name(&incoming.user);
        if let Some(real) = incoming.real_user.as_deref().map(short_name)
            && real != user
        {
            let message = format!("User: {real} is not allowed to impersonate {user}");
            return Err(RpcFailure::application(IMPERSONATION_REFUSED, message));
        }
        Ok(Caller {
            user: user.to_owned(),
            real_user: None,
            groups: self.groups.of(user).await,
            auth: Auth::Simple,
            addr: Some(incoming.peer.ip()),
            call: incoming.identity(),
        })
    }
}

/// What HDFS answers to an impersonation that no setting allows; no setting does, here.
const IMPERSONATION_REFUSED: &str = "org.apache.hadoop.security.authorize.AuthorizationException";

/// The user of a principal: `ann` of `ann/host@REALM`.
fn short_name(principal: &str) -> &str {
    principal.split(['/', '@']).next().unwrap_or_default()
}
