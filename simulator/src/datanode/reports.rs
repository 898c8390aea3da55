//! How a fake datanode tells the namenode of itself: one message in flight, sent again until it is answered.

use super::volume::List;
use super::{Datanode, Volume};
use crate::event::{Event, Index, Request};
use crate::world::World;
use mammoth_namenode_core::api::Outcome;
use mammoth_protocol::internal::{FullReportSlice, IncrementalReport, ReportedReplica, StorageEvents};
use mammoth_protocol::{Block, Epoch, Seq, Term};

/// Interval of heartbeats.
const HEARTBEAT_MS: u64 = 1_000;
/// An unanswered report is sent again after this.
const REPORT_RETRY_MS: u64 = 1_500;
/// Replicas of a slice when nobody wants small ones.
const SLICE_LEN: usize = 1_000;

impl World {
    /// Sends a heartbeat, or an introduction, and plans the next.
    pub(crate) fn heartbeat_due(&mut self, index: Index) {
        self.sim.later(HEARTBEAT_MS, Event::HeartbeatDue(index));
        let node = &self.datanodes[index];
        if !node.up {
            return;
        }
        let request = match node.epoch {
            None => Request::Register(index, node.registration()),
            Some(epoch) => Request::Heartbeat(index, node.heartbeat(epoch)),
        };
        self.send_to_namenode(request);
    }

    /// Changes are reported at once.
    pub(crate) fn report_soon(&mut self, index: Index) {
        let delay = 1 + self.sim.rng.below(20);
        self.sim.later(delay, Event::ReportDue(index));
    }

    /// Sends what is due: again what was not answered, a slice of a full report, or what has changed.
    pub(crate) fn report_due(&mut self, index: Index) {
        let now_ms = self.sim.now_ms;
        let list_first = self.sim.rng.chance(500);
        let slice_len = if self.sim.rng.chance(300) { 1 + self.sim.rng.below(3) as usize } else { SLICE_LEN };
        let node = &mut self.datanodes[index];
        let Some(epoch) = node.epoch.filter(|_| node.up) else { return };
        if let Some((_, sent_ms, request)) = &mut node.in_flight {
            if *sent_ms + REPORT_RETRY_MS > now_ms {
                return;
            }
            *sent_ms = now_ms;
            let request = request.clone();
            self.sim.coverage.hit("report repeated");
            self.sim.later(REPORT_RETRY_MS, Event::ReportDue(index));
            return self.send_to_namenode(request);
        }
        let request = if list_first {
            node.next_slice(epoch, slice_len, now_ms).or_else(|| node.next_incremental(epoch))
        } else {
            node.next_incremental(epoch).or_else(|| node.next_slice(epoch, slice_len, now_ms))
        };
        let Some(request) = request else { return };
        node.in_flight = Some((node.reports, now_ms, request.clone()));
        self.sim.later(REPORT_RETRY_MS, Event::ReportDue(index));
        self.send_to_namenode(request);
    }

    /// The namenode has a report.
    pub(crate) fn report_taken(&mut self, index: Index, term: Term, number: u64, outcome: &Outcome) {
        let node = &mut self.datanodes[index];
        if !node.up || node.seen.term > term || node.in_flight.as_ref().is_none_or(|(sent, ..)| *sent != number) {
            return;
        }
        node.saw(term, Seq(0));
        if outcome.register {
            return self.register_again(index);
        }
        if let Some((_, _, Request::Full(_, _, slice))) = node.in_flight.take()
            && let Some(volume) = node.volume_of(slice.storage)
        {
            node.volumes[volume].slice_taken(&slice);
            if slice.slice > 0 {
                self.sim.coverage.hit("full report in slices");
            }
        }
        let node = &mut self.datanodes[index];
        for storage in &outcome.resync {
            if let Some(volume) = node.volume_of(*storage) {
                node.volumes[volume].resync();
                self.sim.coverage.hit("full report asked for a gap");
            }
        }
        if self.datanodes[index].volumes.iter().any(Volume::has_news) {
            self.report_soon(index);
        }
    }

    /// A namenode has taken the datanode in. Its lists take a while to make, sometimes long.
    pub(crate) fn registered(&mut self, index: Index, epoch: Epoch, term: Term) {
        let most = if self.sim.rng.chance(300) && !self.sim.healing { 5_000 } else { 50 };
        let delay = 1 + self.sim.rng.below(most);
        self.datanodes[index].registered(epoch, term, self.sim.now_ms + delay);
        self.report_soon(index);
        self.sim.later(delay, Event::ReportDue(index));
    }

    pub(crate) fn register_again(&mut self, index: Index) {
        self.sim.coverage.hit("registered again");
        let node = &mut self.datanodes[index];
        node.epoch = None;
        node.in_flight = None;
        let request = Request::Register(index, node.registration());
        self.send_to_namenode(request);
    }
}

impl Datanode {
    fn next_incremental(&mut self, epoch: Epoch) -> Option<Request> {
        let mut storages = Vec::new();
        for volume in self.volumes.iter_mut().filter(|volume| !volume.failed && !volume.events.is_empty()) {
            volume.seq += 1;
            let events = std::mem::take(&mut volume.events);
            storages.push(StorageEvents { storage: volume.storage, seq: volume.seq, events });
        }
        if storages.is_empty() {
            return None;
        }
        self.reports += 1;
        let report = IncrementalReport { datanode: self.id, epoch, storages };
        Some(Request::Incremental(self.index, self.reports, report))
    }

    /// The next slice of a full report. What waits unsent is in a list that is made now, and is told again afterwards.
    fn next_slice(&mut self, epoch: Epoch, slice_len: usize, now_ms: u64) -> Option<Request> {
        let at = self.volumes.iter().position(|v| !v.failed && v.ready_ms <= now_ms && v.has_list())?;
        let volume = &mut self.volumes[at];
        let began = List { cut: volume.seq, cursor: None, slice_len, next: 0 };
        let list = *volume.list.get_or_insert(began);
        volume.full_due = false;
        let mut here = self.replicas.iter().filter(|(id, replica)| replica.volume == at && Some(**id) > list.cursor);
        let part = here.by_ref().take(list.slice_len);
        let replicas: Vec<ReportedReplica> = part
            .map(|(id, replica)| ReportedReplica {
                block: Block { id: *id, stamp: replica.stamp, len: replica.len() },
                state: replica.state,
            })
            .collect();
        let last = here.next().is_none();
        self.reports += 1;
        let (storage, cut_seq, slice) = (volume.storage, list.cut, list.next);
        let slice = FullReportSlice { datanode: self.id, epoch, storage, cut_seq, slice, last, replicas };
        Some(Request::Full(self.index, self.reports, slice))
    }
}

impl Volume {
    fn slice_taken(&mut self, slice: &FullReportSlice) {
        match &mut self.list {
            Some(list) if !slice.last => {
                list.next += 1;
                list.cursor = slice.replicas.last().map(|replica| replica.block.id);
            }
            _ => self.list = None,
        }
    }
}
