//! What happens to replicas, queued for the reports: one queue for each namenode, in the order in which it happened.
//!
//! An event is queued after the change that it tells of, under the replica's lock. So a list of all replicas that is made
//! after an event was taken from the queue contains its effect.

use mammoth_protocol::StorageId;
use mammoth_protocol::internal::ReplicaEvent;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Events that wait for one namenode; beyond, they are dropped and full reports are sent instead.
const PENDING_MAX: usize = 500_000;
/// How long an event that nobody waits for goes on waiting for one that somebody does, to travel in the same report.
const PATIENCE: Duration = Duration::from_millis(50);
/// The same, of an event that somebody may wait for, but will probably hear of from another datanode. Who asks where a file is,
/// right after it was written, shall not miss a replica for that: starting a client takes longer.
const SHORT_PATIENCE: Duration = Duration::from_millis(2);

/// How long an event may wait. Not at all if somebody waits for the namenode to hear of it, as a writer does for the end of its
/// block. That a replica was begun, or is gone, HDFS's datanodes tell with their next heartbeat.
const fn patience(event: &ReplicaEvent) -> Duration {
    match event {
        ReplicaEvent::Receiving(_) | ReplicaEvent::Deleted(_) => PATIENCE,
        _ => Duration::ZERO,
    }
}

/// Hands events to all queues.
#[derive(Debug, Default)]
pub(crate) struct EventHub {
    queues: Mutex<Vec<Arc<EventQueue>>>,
}

impl EventHub {
    /// A new queue, which gets every event from now on.
    pub(crate) fn subscribe(&self) -> Arc<EventQueue> {
        let queue = Arc::new(EventQueue::default());
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&queue));
        queue
    }

    pub(crate) fn push(&self, storage: StorageId, event: ReplicaEvent) {
        self.push_within(storage, event, patience(&event));
    }

    /// As [`Self::push`], of an event like which another datanode has just told one.
    pub(crate) fn push_second(&self, storage: StorageId, event: ReplicaEvent) {
        self.push_within(storage, event, SHORT_PATIENCE);
    }

    fn push_within(&self, storage: StorageId, event: ReplicaEvent, patience: Duration) {
        for queue in self.queues.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            queue.push(storage, event, patience);
        }
    }
}

/// The events for one namenode.
#[derive(Debug, Default)]
pub(crate) struct EventQueue {
    inner: Mutex<Pending>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Pending {
    events: BTreeMap<StorageId, Vec<ReplicaEvent>>,
    count: usize,
    /// How long the least patient of them waits.
    patience: Duration,
    overflow: bool,
    woken: bool,
}

impl EventQueue {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, storage: StorageId, event: ReplicaEvent, patience: Duration) {
        let mut pending = self.lock();
        if pending.count >= PENDING_MAX {
            pending.events.clear();
            pending.count = 0;
            pending.overflow = true;
        }
        let wakes = pending.count == 0 || patience < pending.patience;
        if wakes {
            pending.patience = patience;
        }
        pending.events.entry(storage).or_default().push(event);
        pending.count += 1;
        drop(pending);
        if wakes {
            self.changed.notify_all();
        }
    }

    /// Takes up to `max` events, in their order within each volume.
    pub(crate) fn take(&self, max: usize) -> Vec<(StorageId, Vec<ReplicaEvent>)> {
        let mut pending = self.lock();
        let mut left = max;
        let mut taken = Vec::new();
        for (storage, events) in &mut pending.events {
            let part = events.len().min(left);
            if part > 0 {
                taken.push((*storage, events.drain(..part).collect()));
                left -= part;
            }
        }
        pending.count = pending.count.saturating_sub(max - left);
        pending.events.retain(|_, events| !events.is_empty());
        taken
    }

    /// Forgets what is queued: a full list follows.
    pub(crate) fn clear(&self) {
        let mut pending = self.lock();
        pending.events.clear();
        pending.count = 0;
        pending.overflow = false;
    }

    /// Whether events were dropped since the last call.
    pub(crate) fn take_overflow(&self) -> bool {
        std::mem::take(&mut self.lock().overflow)
    }

    /// Ends the present or next wait.
    pub(crate) fn wake(&self) {
        self.lock().woken = true;
        self.changed.notify_all();
    }

    /// Waits until there are events that cannot wait, others have waited long enough, somebody calls [`Self::wake`], or the time
    /// is over.
    pub(crate) fn wait(&self, timeout: Duration) {
        let idle = |pending: &mut Pending| pending.count == 0 && !pending.woken;
        let (pending, _) =
            self.changed.wait_timeout_while(self.lock(), timeout, idle).unwrap_or_else(PoisonError::into_inner);
        let mut pending = pending;
        loop {
            // From now on, not from when it happened: one that was late for the last report waits for others anew.
            let patience = pending.patience;
            let patient = |p: &mut Pending| p.count > 0 && !p.woken && !patience.is_zero() && p.patience >= patience;
            let (next, waited) =
                self.changed.wait_timeout_while(pending, patience, patient).unwrap_or_else(PoisonError::into_inner);
            pending = next;
            if waited.timed_out() || pending.count == 0 || pending.woken || pending.patience.is_zero() {
                break;
            }
        }
        pending.woken = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mammoth_platform::{Clock, SystemClock};
    use mammoth_protocol::{Block, BlockId, Uuid};

    fn received(id: i64) -> ReplicaEvent {
        ReplicaEvent::Received(Block { id: BlockId(id), ..Block::default() })
    }

    #[test]
    fn every_queue_gets_every_event_in_order_and_in_bounded_parts() {
        let hub = EventHub::default();
        let (a, b) = (hub.subscribe(), hub.subscribe());
        let (one, two) = (StorageId(Uuid(1)), StorageId(Uuid(2)));
        hub.push(one, received(1));
        hub.push(two, received(2));
        hub.push(one, received(3));
        assert_eq!(a.take(2), [(one, vec![received(1), received(3)])]);
        assert_eq!(a.take(2), [(two, vec![received(2)])]);
        assert!(a.take(2).is_empty());
        b.clear();
        assert!(b.take(10).is_empty());
        hub.push(one, received(4));
        b.wait(Duration::from_secs(60));
        assert_eq!(b.take(10), [(one, vec![received(4)])]);
    }

    #[test]
    fn what_nobody_waits_for_travels_with_what_somebody_does() {
        let hub = EventHub::default();
        let queue = hub.subscribe();
        let one = StorageId(Uuid(1));
        let begun = ReplicaEvent::Receiving(Block::default());
        hub.push(one, begun);
        let began_ns = SystemClock.monotonic_ns();
        queue.wait(Duration::from_secs(60));
        let waited = Duration::from_nanos(SystemClock.monotonic_ns() - began_ns);
        assert!(waited >= PATIENCE && waited < Duration::from_secs(60), "{waited:?}");
        hub.push_second(one, received(1));
        hub.push(one, received(2));
        queue.wait(Duration::from_secs(60));
        assert_eq!(queue.take(10), [(one, vec![begun, received(1), received(2)])]);
    }

    #[test]
    fn the_least_patient_event_says_how_long_the_others_wait() {
        let hub = EventHub::default();
        let queue = hub.subscribe();
        let one = StorageId(Uuid(1));
        let begun = ReplicaEvent::Receiving(Block::default());
        let push = |event: ReplicaEvent, is_second: bool| {
            if is_second {
                hub.push_second(one, event)
            } else {
                hub.push(one, event)
            }
            queue.lock().patience
        };
        assert_eq!(push(begun, false), PATIENCE);
        assert_eq!(push(received(1), true), SHORT_PATIENCE);
        assert_eq!(push(begun, false), SHORT_PATIENCE);
        assert_eq!(push(received(2), false), Duration::ZERO);
        assert_eq!(push(received(3), true), Duration::ZERO);
        queue.take(10);
        // None of those is left.
        assert_eq!(push(begun, false), PATIENCE);
    }

    #[test]
    fn the_second_to_tell_waits_for_a_moment() {
        let hub = EventHub::default();
        let queue = hub.subscribe();
        hub.push_second(StorageId(Uuid(1)), received(1));
        let began_ns = SystemClock.monotonic_ns();
        queue.wait(Duration::from_secs(60));
        let waited = Duration::from_nanos(SystemClock.monotonic_ns() - began_ns);
        assert!(waited >= SHORT_PATIENCE && waited < Duration::from_secs(60), "{waited:?}");
    }
}
