//! The room that there is during one pass of the scheduler.

use crate::trackers::{Liveness, Place, Tracker};
use mammoth_protocol::jobs::{Resources, TrackerId};
use std::collections::BTreeMap;

/// Room on one tracker.
#[derive(Clone, Debug)]
pub(super) struct Room {
    pub(super) place: Place,
    pub(super) free: Resources,
}

/// All trackers with room, by id.
#[derive(Clone, Debug)]
pub(super) struct Floor {
    rooms: Vec<Room>,
}

impl Floor {
    pub(super) fn new(trackers: &BTreeMap<TrackerId, Tracker>) -> Self {
        let live = trackers.values().filter(|tracker| tracker.state == Liveness::Live);
        let rooms = live.map(|tracker| Room { place: tracker.place.clone(), free: tracker.free() });
        Self { rooms: rooms.filter(|room| has_any(room.free)).collect() }
    }

    /// There is room for nothing at all.
    pub(super) fn is_full(&self) -> bool {
        self.rooms.is_empty()
    }

    /// Rooms that a task fits into.
    pub(super) fn fitting(&self, wanted: Resources) -> impl Iterator<Item = &Room> {
        self.rooms.iter().filter(move |room| room.free.fits(wanted))
    }

    /// Tasks of a size that there is room for.
    pub(super) fn slots(&self, wanted: Resources) -> usize {
        let in_room = |room: &Room| {
            let cores = room.free.cores / wanted.cores.max(1);
            (room.free.memory_mib / wanted.memory_mib.max(1)).min(cores) as usize
        };
        self.rooms.iter().map(in_room).sum()
    }

    /// The emptiest of the rooms that a task fits into and `allows` lets it into.
    pub(super) fn emptiest(&self, wanted: Resources, allows: impl Fn(TrackerId) -> bool) -> Option<TrackerId> {
        let fitting = self.fitting(wanted).filter(|room| allows(room.place.tracker));
        let key = |room: &&Room| (room.free.cores, room.free.memory_mib, std::cmp::Reverse(room.place.tracker));
        fitting.max_by_key(key).map(|room| room.place.tracker)
    }

    /// Takes room.
    pub(super) fn take(&mut self, tracker: TrackerId, taken: Resources) -> Option<Place> {
        let at = self.rooms.iter().position(|room| room.place.tracker == tracker)?;
        let room = self.rooms.get_mut(at)?;
        room.free = room.free.less(taken);
        let place = room.place.clone();
        if !has_any(room.free) {
            self.rooms.remove(at);
        }
        Some(place)
    }

    /// Keeps a tracker's room from everyone who comes later.
    pub(super) fn reserve(&mut self, tracker: TrackerId) {
        self.rooms.retain(|room| room.place.tracker != tracker);
    }
}

fn has_any(room: Resources) -> bool {
    room.cores > 0 && room.memory_mib > 0
}
