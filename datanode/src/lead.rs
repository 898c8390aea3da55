//! Leads the recovery of a block by order of the namenode: freezes all replicas, agrees on a length, has all of them cut to
//! it under the new stamp, and tells the namenode.
//!
//! The best class of replicas that is present decides, complete before being written before left over from a restart, and
//! within it the shortest: every byte that was acknowledged to the writer is in all replicas of its pipeline. If the file is
//! being truncated the length is given, and those of the best class take part that have so many bytes.

use crate::error::{DatanodeError, Result, chain};
use crate::inter::{INIT, InitRequest, InitResponse, PROTOCOL, RecoveringBlock, UPDATE, UpdateRequest, UpdateResponse};
use crate::store::replica::Class;
use crate::store::{Candidate, Store};
use mammoth_net::rpc::client::{RpcClient, RpcClientConfig};
use mammoth_platform::{Clock, Entropy, process};
use mammoth_protocol::hadoop::hdfs::LocatedBlockProto;
use mammoth_protocol::hadoop::{empty_token, extended_block};
use mammoth_protocol::internal::ReplicaPlace;
use mammoth_protocol::{Block, GenStamp, StorageId};
use prost::Message;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Time to connect to another datanode.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Time for one question to it; it may have to stop a writer first.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// Replicas of one order.
const REPLICAS_MAX: usize = 64;

/// What the namenode ordered.
#[derive(Clone, Debug)]
pub(crate) struct RecoveryOrder {
    pub(crate) block: Block,
    pub(crate) new_stamp: GenStamp,
    /// The length to cut to; `None`: the replicas agree on one.
    pub(crate) cut: Option<u64>,
    pub(crate) replicas: Vec<ReplicaPlace>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    pub(crate) len: u64,
    /// No replica has data.
    pub(crate) delete: bool,
    pub(crate) storages: Vec<StorageId>,
}

/// Carries a recovery out, up to telling the namenode.
///
/// # Errors
/// Nobody answers, nobody can take part, or a newer recovery is under way.
pub(crate) fn recover(
    store: &Arc<Store>,
    order: &RecoveryOrder,
    clock: &Arc<dyn Clock>,
    entropy: &dyn Entropy,
) -> Result<Agreed> {
    if order.replicas.len() > REPLICAS_MAX {
        return Err(DatanodeError::Unsupported(format!("a recovery of {} replicas", order.replicas.len())));
    }
    let members: Vec<Member<'_>> = order
        .replicas
        .iter()
        .map(|place| Member { store, order, place, rpc: rpc(store, place, clock, entropy) })
        .collect();
    let answers = for_all(&members, |member| member.init());
    for (member, answer) in members.iter().zip(&answers) {
        if let Err(error) = answer {
            tracing::info!(block = %order.block, node = %member.place.datanode, error = %chain(error), "no replica to recover");
        }
    }
    let found: Vec<Option<Candidate>> = answers.iter().map(|answer| answer.as_ref().ok().copied().flatten()).collect();
    let unknown = answers.iter().filter(|answer| answer.is_err()).count();
    let Some((len, takes_part)) = choose(&found, order.cut) else {
        if let Some(len) = order.cut {
            let reason = format!("no replica that answers has the {len} bytes to cut to");
            return Err(DatanodeError::Refused { peer: format!("recovery of {}", order.block), reason });
        }
        if unknown == 0 {
            return Ok(Agreed { len: 0, delete: true, storages: Vec::new() });
        }
        // One of those that do not answer may have all of it.
        let reason = format!("{unknown} of {} replicas are unknown and the others have no data", members.len());
        return Err(DatanodeError::Refused { peer: format!("recovery of {}", order.block), reason });
    };
    let chosen: Vec<&Member<'_>> = members.iter().zip(&takes_part).filter(|(_, yes)| **yes).map(|(m, _)| m).collect();
    let updates = for_all(&chosen, |member| member.update(len));
    let mut storages = Vec::new();
    let mut last = None;
    for (member, update) in chosen.iter().zip(updates) {
        match update {
            Ok(storage) => storages.push(storage),
            Err(error) => {
                let node = member.place.datanode;
                tracing::warn!(block = %order.block, %node, error = %chain(&error), "replica not recovered");
                last = Some(error);
            }
        }
    }
    match last {
        Some(error) if storages.is_empty() => Err(error),
        _ => Ok(Agreed { len, delete: false, storages }),
    }
}

/// Agrees on a length, if it is not given, and on who takes part; `None` if nobody has the data.
fn choose(found: &[Option<Candidate>], cut: Option<u64>) -> Option<(u64, Vec<bool>)> {
    let least = cut.unwrap_or(1);
    let with_data = || found.iter().flatten().filter(|candidate| candidate.block.len >= least);
    let best = with_data().map(|candidate| candidate.class).min()?;
    let shortest =
        with_data().filter(|candidate| candidate.class == best).map(|candidate| candidate.block.len).min()?;
    let len = cut.unwrap_or(shortest);
    let takes_part = |candidate: &Option<Candidate>| {
        candidate.is_some_and(|candidate| {
            let also = best == Class::Finalized && candidate.class == Class::Rbw && candidate.block.len == len;
            candidate.block.len >= len && (candidate.class == best || also)
        })
    };
    Some((len, found.iter().map(takes_part).collect()))
}

/// One replica's datanode.
struct Member<'a> {
    store: &'a Arc<Store>,
    order: &'a RecoveryOrder,
    place: &'a ReplicaPlace,
    /// `None` for this datanode itself.
    rpc: Option<RpcClient>,
}

fn rpc(store: &Store, place: &ReplicaPlace, clock: &Arc<dyn Clock>, entropy: &dyn Entropy) -> Option<RpcClient> {
    if place.datanode == store.datanode {
        return None;
    }
    let server = SocketAddr::new(place.addr.ip, place.addr.ipc_port).to_string();
    let mut config = RpcClientConfig::new(server, PROTOCOL, process::user_name(), entropy.bytes16());
    config.connect_timeout = CONNECT_TIMEOUT;
    config.call_timeout = CALL_TIMEOUT;
    Some(RpcClient::new(config, Arc::clone(clock)))
}

impl Member<'_> {
    fn init(&self) -> Result<Option<Candidate>> {
        let RecoveryOrder { block, new_stamp, .. } = self.order;
        let Some(rpc) = &self.rpc else { return self.store.init_recovery(*block, *new_stamp) };
        let located = LocatedBlockProto {
            b: extended_block(&self.store.identity.pool_id, *block),
            block_token: empty_token(),
            ..LocatedBlockProto::default()
        };
        let request = InitRequest { block: RecoveringBlock { new_stamp: new_stamp.0, block: located } };
        self.ask::<_, InitResponse>(rpc, INIT, &request).map(|answer| answer.candidate())
    }

    fn update(&self, len: u64) -> Result<StorageId> {
        let RecoveryOrder { block, new_stamp, .. } = self.order;
        let Some(rpc) = &self.rpc else { return self.store.update_recovery(*block, *new_stamp, len) };
        let request = UpdateRequest {
            block: extended_block(&self.store.identity.pool_id, *block),
            recovery: new_stamp.0,
            new_len: len,
            new_block_id: Some(0),
        };
        let answer: UpdateResponse = self.ask(rpc, UPDATE, &request)?;
        Ok(answer.storage.and_then(|storage| storage.parse().ok()).unwrap_or(self.place.storage))
    }

    fn ask<Req: Message, Resp: Message + Default>(&self, rpc: &RpcClient, method: &str, request: &Req) -> Result<Resp> {
        rpc.call(method, request).map_err(|error| DatanodeError::Refused {
            peer: format!("datanode {}", self.place.datanode),
            reason: chain(&error),
        })
    }
}

/// Asks all at the same time, as each may have to be waited for.
fn for_all<M: Sync, T: Send>(members: &[M], ask: impl Fn(&M) -> Result<T> + Sync) -> Vec<Result<T>> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = members.iter().map(|member| scope.spawn(|| ask(member))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(Err(DatanodeError::Stopping))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mammoth_protocol::BlockId;

    fn of(class: Class, len: u64) -> Option<Candidate> {
        Some(Candidate { block: Block { id: BlockId(1), stamp: GenStamp(1), len }, class })
    }

    #[test]
    fn the_best_class_decides_and_within_it_the_shortest() {
        use Class::{Finalized, Rbw, Rwr};
        let (yes, no) = (true, false);
        type Row<'a> = (&'a [Option<Candidate>], Option<(u64, Vec<bool>)>);
        let table: [Row<'_>; 8] = [
            (&[of(Rbw, 10), of(Rbw, 7), of(Rbw, 9)], Some((7, vec![yes, yes, yes]))),
            (&[of(Finalized, 10), of(Rbw, 7), of(Rwr, 3)], Some((10, vec![yes, no, no]))),
            (&[of(Finalized, 10), of(Rbw, 10), of(Rbw, 12)], Some((10, vec![yes, yes, no]))),
            (&[of(Rbw, 7), of(Rwr, 9), None], Some((7, vec![yes, no, no]))),
            (&[of(Rwr, 7), of(Rwr, 9), None], Some((7, vec![yes, yes, no]))),
            (&[of(Rbw, 0), of(Rwr, 9), None], Some((9, vec![no, yes, no]))),
            (&[of(Rbw, 0), of(Rbw, 5)], Some((5, vec![no, yes]))),
            (&[of(Rbw, 0), of(Rwr, 0), None], None),
        ];
        for (found, expected) in table {
            assert_eq!(choose(found, None), expected, "{found:?}");
        }
        let table: [Row<'_>; 4] = [
            (&[of(Finalized, 10), of(Finalized, 7), of(Rbw, 9)], Some((7, vec![yes, yes, no]))),
            (&[of(Finalized, 10), of(Finalized, 6), None], Some((7, vec![yes, no, no]))),
            (&[of(Finalized, 6), of(Rwr, 9), None], Some((7, vec![no, yes, no]))),
            (&[of(Finalized, 6), None], None),
        ];
        for (found, expected) in table {
            assert_eq!(choose(found, Some(7)), expected, "{found:?}");
        }
    }
}
