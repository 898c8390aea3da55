//! Who makes a call. Every command carries its caller into the core.

use crate::ids::CallId;
use std::net::IpAddr;
use std::sync::Arc;

/// How the caller proved who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// It said so (Hadoop's SIMPLE).
    #[default]
    Simple,
    /// The call comes from inside: a timer of the namenode, or a datanode.
    Internal,
}

/// The author of one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The user in whose name the call acts.
    pub user: String,
    /// The user who impersonates, if another.
    pub real_user: Option<String>,
    /// Groups of `user`, resolved at the namenode.
    pub groups: Arc<[String]>,
    /// How the user was established.
    pub auth: Auth,
    /// Address of the caller; placement prefers a datanode there.
    pub addr: Option<IpAddr>,
    /// Identity of the call over its retries; `None` switches the retry cache off for it.
    pub call: Option<CallId>,
}
