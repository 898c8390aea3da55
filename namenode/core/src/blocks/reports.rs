//! How far a volume has told of itself within its datanode's registration: the sequence of its incremental reports, and the
//! full report that may be arriving in slices.
//!
//! A full report is a list cut at some sequence; events of later sequences may arrive before the list does. What such an event
//! touched is newer than the list, so the list says nothing about it — unless it names a replica of a later stamp than the
//! event: then the event was about an older one, such as a deletion that came too late.

use super::compact::{Ids, SlotSet};
use super::table::Slot;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use mammoth_protocol::{Block, BlockId, GenStamp};
use std::collections::VecDeque;

/// Events that a volume remembers for a full report that was cut before them and arrives after them.
pub(super) const RECENT_MAX: usize = 4096;
/// Blocks touched by events while one full report arrives; beyond, the report is given up for a new one.
pub(super) const TOUCHED_MAX: usize = 100_000;

/// Progress of a volume's reports.
#[derive(Clone, Debug, Default)]
pub(super) struct Reports {
    /// Highest incremental sequence applied.
    seen: u64,
    /// Incremental reports up to this sequence may have been lost: a full report cut before it proves nothing.
    lost_to: u64,
    /// Where the last completed full report was cut.
    cut: Option<u64>,
    /// The ends of that report's slices.
    parts: Vec<Ends>,
    /// Blocks and stamps of recent events, with their sequence, ascending.
    recent: VecDeque<(u64, BlockId, GenStamp)>,
    /// Events up to this sequence are no longer in `recent`.
    recent_from: u64,
    /// The full report that is arriving.
    arriving: Option<Box<Arriving>>,
    /// Monotonic milliseconds at which to order a full report if none is complete by then.
    pub(super) ask_at_ms: u64,
    /// Wall milliseconds of the last completed full report, 0 before the first since the namenode started.
    pub(super) wall_ms: u64,
}

/// A full report that has begun.
#[derive(Clone, Debug)]
struct Arriving {
    cut: u64,
    /// The ends of the slices so far.
    parts: Vec<Ends>,
    unlisted: Unlisted,
    /// What events after the cut touched, with the highest stamp that they named.
    touched: HashMap<BlockId, GenStamp, FixedState>,
}

/// What was on a volume when a full report began and was neither listed nor touched since.
#[derive(Clone, Debug, Default)]
pub(super) struct Unlisted {
    /// What is thought to be in place: a copy of the volume's own set, so that a report begins in no time.
    pub(super) slots: SlotSet,
    /// What is to be deleted, of which not all is in the table of blocks.
    pub(super) orders: Ids,
}

impl Unlisted {
    fn remove(&mut self, id: BlockId, slot: Option<Slot>) {
        self.orders.remove(id);
        if let Some(slot) = slot {
            self.slots.remove(slot);
        }
    }
}

/// First and last block of a slice; `None` if it is empty.
pub(super) type Ends = Option<(BlockId, BlockId)>;

/// What tells one slice of a full report from another. Two lists may be cut at the same sequence, and late copies of the first
/// one's slices may arrive among those of the second: such a mixture must not pass for a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) number: u32,
    pub(super) cut: u64,
    pub(super) last: bool,
    pub(super) ends: Ends,
}

impl Part {
    /// Whether it is one of these slices.
    fn is_in(&self, parts: &[Ends]) -> bool {
        parts.get(self.number as usize) == Some(&self.ends)
    }
}

/// What to do with an incremental report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Apply its events.
    Next,
    /// Apply its events, and ask for a full report: some before it are missing.
    Gap,
    /// It was applied before.
    Seen,
}

/// What to do with a slice of a full report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slice {
    /// Take its replicas.
    Take,
    /// It was taken before.
    Seen,
    /// The report must be sent anew.
    Restart,
}

impl Reports {
    /// The datanode registered: sequences begin anew, and nothing of what it said before is certain.
    /// It sends full reports unasked; if none has come by `ask_at_ms`, it is asked.
    pub(super) fn registered(&mut self, ask_at_ms: u64) {
        *self = Self { ask_at_ms, wall_ms: self.wall_ms, ..Self::default() };
    }

    /// The map no longer knows what is here: only a list cut after all events so far can tell. It is ordered at the next
    /// heartbeat, unless one is expected anyway.
    pub(super) fn doubt(&mut self) {
        if self.complete() {
            self.ask_at_ms = 0;
        }
        self.cut = None;
        self.lost_to = self.seen;
    }

    /// The volume no longer serves: what it says is not taken until it does again.
    pub(super) fn suspend(&mut self) {
        self.doubt();
        self.arriving = None;
        self.ask_at_ms = 0;
    }

    /// The volume serves again. Of what it told before nothing was kept, so a list that was cut then proves nothing; `late`: it
    /// may have sent one that was not taken.
    pub(super) fn resume(&mut self, late: bool) {
        if late || self.seen > 0 {
            self.suspend();
        }
    }

    /// A full report has been completed, no event since it is missing, and none that it includes is still to come.
    pub(super) fn complete(&self) -> bool {
        self.cut.is_some_and(|cut| cut >= self.lost_to && cut <= self.seen)
    }

    /// Judges the next incremental report and counts it as seen.
    pub(super) fn step(&mut self, seq: u64) -> Step {
        if seq <= self.seen {
            return Step::Seen;
        }
        let gap = seq - 1 > self.seen;
        self.seen = seq;
        if gap {
            self.lost_to = seq - 1;
            Step::Gap
        } else {
            Step::Next
        }
    }

    /// Notes an event of the incremental report in hand. `false`: the full report that was arriving is given up.
    pub(super) fn touch(&mut self, block: Block, slot: Option<Slot>) -> bool {
        self.recent.push_back((self.seen, block.id, block.stamp));
        if self.recent.len() > RECENT_MAX
            && let Some((seq, ..)) = self.recent.pop_front()
        {
            self.recent_from = seq;
        }
        let Some(arriving) = &mut self.arriving else { return true };
        if self.seen > arriving.cut {
            arriving.touch(block.id, slot, block.stamp);
        }
        if arriving.touched.len() > TOUCHED_MAX {
            self.arriving = None;
            return false;
        }
        true
    }

    /// Judges a slice of a full report; `here` gives all that the volume is thought to have, `find` a block's slot.
    pub(super) fn slice(
        &mut self,
        part: Part,
        here: impl FnOnce() -> Unlisted,
        find: impl Fn(BlockId) -> Option<Slot>,
    ) -> Slice {
        let Part { number, cut, last, ends } = part;
        if number == 0 {
            if cut < self.recent_from {
                self.arriving = None;
                return Slice::Restart;
            }
            let mut arriving = Arriving { cut, parts: vec![ends], unlisted: here(), touched: HashMap::default() };
            for (_, id, stamp) in self.recent.iter().filter(|(seq, ..)| *seq > cut) {
                arriving.touch(*id, find(*id), *stamp);
            }
            self.arriving = Some(Box::new(arriving));
            return Slice::Take;
        }
        match &mut self.arriving {
            Some(arriving) if arriving.cut == cut && arriving.parts.len() == number as usize => {
                arriving.parts.push(ends);
                Slice::Take
            }
            Some(arriving) if arriving.cut == cut && part.is_in(&arriving.parts) && !last => Slice::Seen,
            None if self.cut == Some(cut) => {
                if part.is_in(&self.parts) && last == (self.parts.len() == number as usize + 1) {
                    return Slice::Seen;
                }
                // What was completed was a mixture.
                self.cut = None;
                Slice::Restart
            }
            _ => {
                self.arriving = None;
                Slice::Restart
            }
        }
    }

    /// Whether this slice is the last that was begun, so that a further portion of it belongs to the report that is arriving.
    pub(super) fn is_taking(&self, part: Part) -> bool {
        self.arriving.as_ref().is_some_and(|arriving| {
            arriving.cut == part.cut && arriving.parts.len() == part.number as usize + 1 && part.is_in(&arriving.parts)
        })
    }

    /// Notes a replica of the slice in hand. `false`: a later event knows better.
    pub(super) fn listed(&mut self, block: Block, slot: Option<Slot>) -> bool {
        let Some(arriving) = &mut self.arriving else { return false };
        arriving.unlisted.remove(block.id, slot);
        arriving.touched.get(&block.id).is_none_or(|&stamp| stamp < block.stamp)
    }

    /// The last slice is in: gives some of what was here before the cut and is no longer, until there is no more.
    pub(super) fn gone(&mut self, max: usize) -> (Vec<Slot>, Vec<BlockId>) {
        let Some(arriving) = &mut self.arriving else { return (Vec::new(), Vec::new()) };
        let unlisted = &mut arriving.unlisted;
        let slots: Vec<Slot> = unlisted.slots.iter().take(max).collect();
        slots.iter().for_each(|&slot| unlisted.slots.remove(slot));
        let orders: Vec<BlockId> = unlisted.orders.iter().take(max - slots.len()).collect();
        orders.iter().for_each(|&id| unlisted.orders.remove(id));
        (slots, orders)
    }

    /// The last slice is in, and all that is gone was told.
    pub(super) fn finish(&mut self, wall_ms: u64) {
        let Some(arriving) = self.arriving.take() else { return };
        self.cut = Some(arriving.cut);
        self.parts = arriving.parts;
        self.wall_ms = wall_ms;
        while self.recent.front().is_some_and(|(seq, ..)| *seq <= arriving.cut) {
            self.recent.pop_front();
        }
        self.recent_from = self.recent_from.max(arriving.cut);
    }

    /// The block is no longer known: the list has nothing to say about it.
    pub(super) fn forget(&mut self, id: BlockId, slot: Slot) {
        if let Some(arriving) = &mut self.arriving {
            arriving.unlisted.remove(id, Some(slot));
        }
    }
}

impl Arriving {
    fn touch(&mut self, id: BlockId, slot: Option<Slot>, stamp: GenStamp) {
        self.unlisted.remove(id, slot);
        let highest = self.touched.entry(id).or_default();
        *highest = stamp.max(*highest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(id: i64) -> Block {
        Block { id: BlockId(id), stamp: GenStamp(1001), len: 0 }
    }

    /// In these tests blocks lie in the slots of their ids.
    fn slot(id: BlockId) -> Option<Slot> {
        Some(Slot(u32::try_from(id.0).expect("small")))
    }

    fn slots(list: &[i64]) -> Unlisted {
        let mut unlisted = Unlisted::default();
        list.iter().filter_map(|&id| slot(BlockId(id))).for_each(|slot| unlisted.slots.insert(slot));
        unlisted
    }

    fn touch(reports: &mut Reports, id: i64) -> bool {
        reports.touch(block(id), slot(BlockId(id)))
    }

    fn listed(reports: &mut Reports, block: Block) -> bool {
        reports.listed(block, slot(block.id))
    }

    fn part(number: u32, cut: u64) -> Part {
        Part { number, cut, last: false, ends: None }
    }

    fn last(number: u32, cut: u64) -> Part {
        Part { last: true, ..part(number, cut) }
    }

    fn with(part: Part, first: i64, last: i64) -> Part {
        Part { ends: Some((BlockId(first), BlockId(last))), ..part }
    }

    #[test]
    fn sequences_repeat_skip_and_begin_anew() {
        let mut reports = Reports::default();
        assert_eq!(reports.step(1), Step::Next);
        assert_eq!(reports.step(1), Step::Seen);
        assert_eq!(reports.step(3), Step::Gap);
        assert_eq!(reports.slice(part(0, 1), Unlisted::default, slot), Slice::Take);
        reports.finish(5);
        assert!(!reports.complete(), "cut before the gap ended");
        assert_eq!(reports.slice(part(0, 3), Unlisted::default, slot), Slice::Take);
        reports.finish(5);
        assert!(reports.complete());
        reports.registered(0);
        assert!(!reports.complete());
        assert_eq!(reports.step(1), Step::Next);
    }

    #[test]
    fn a_list_cut_ahead_of_the_events_counts_when_they_are_in() {
        let mut reports = Reports::default();
        assert_eq!(reports.slice(part(0, 2), Unlisted::default, slot), Slice::Take);
        reports.finish(0);
        assert!(!reports.complete());
        reports.step(1);
        assert!(!reports.complete());
        reports.step(2);
        assert!(reports.complete());
    }

    #[test]
    fn events_after_the_cut_are_newer_than_the_list() {
        let mut reports = Reports::default();
        for (seq, id) in [(1, 10), (2, 20)] {
            reports.step(seq);
            touch(&mut reports, id);
        }
        assert_eq!(reports.slice(part(0, 1), || slots(&[10, 20, 30, 40]), slot), Slice::Take);
        assert!(!listed(&mut reports, block(20)), "touched by event 2, cut at 1");
        assert!(listed(&mut reports, block(10)));
        assert!(
            listed(&mut reports, Block { stamp: GenStamp(1002), ..block(20) }),
            "the event was about an older replica"
        );
        reports.step(3);
        touch(&mut reports, 30);
        assert_eq!(reports.slice(last(1, 1), Unlisted::default, slot), Slice::Take);
        assert!(!listed(&mut reports, block(30)));
        assert_eq!(reports.gone(5), (vec![Slot(40)], Vec::new()));
        assert_eq!(reports.gone(5), (Vec::new(), Vec::new()), "told once");
        reports.finish(9);
        assert!(reports.complete());
        assert_eq!(reports.slice(last(1, 1), Unlisted::default, slot), Slice::Seen, "the last slice, sent again");
    }

    #[test]
    fn a_lost_slice_or_a_cut_out_of_memory_restarts_the_report() {
        let mut reports = Reports::default();
        assert_eq!(reports.slice(part(1, 0), Unlisted::default, slot), Slice::Restart);
        assert_eq!(reports.slice(part(0, 0), Unlisted::default, slot), Slice::Take);
        assert_eq!(reports.slice(part(2, 0), Unlisted::default, slot), Slice::Restart);
        assert_eq!(reports.slice(part(0, 0), Unlisted::default, slot), Slice::Take);
        assert_eq!(reports.slice(part(1, 5), Unlisted::default, slot), Slice::Restart, "of another list");
        for seq in 1..=(RECENT_MAX as u64 + 2) {
            reports.step(seq);
            touch(&mut reports, 1);
        }
        assert_eq!(reports.slice(part(0, 1), Unlisted::default, slot), Slice::Restart);
        assert_eq!(reports.slice(part(0, 2), Unlisted::default, slot), Slice::Take);
    }

    #[test]
    fn slices_of_two_lists_of_one_cut_do_not_make_a_third() {
        let mut reports = Reports::default();
        let mut slice = |part| reports.slice(part, Unlisted::default, slot);
        assert_eq!(slice(with(part(0, 0), 1, 3)), Slice::Take);
        assert_eq!(slice(with(part(1, 0), 4, 6)), Slice::Take);
        assert_eq!(slice(with(part(0, 0), 1, 3)), Slice::Take, "a late copy begins anew");
        assert_eq!(slice(with(part(2, 0), 7, 9)), Slice::Restart);
        // The second list, with a late slice of the first one in its midst.
        assert_eq!(slice(with(part(0, 0), 1, 2)), Slice::Take);
        assert_eq!(slice(with(part(1, 0), 4, 6)), Slice::Take);
        assert_eq!(slice(with(part(1, 0), 4, 6)), Slice::Seen);
        assert_eq!(slice(with(part(1, 0), 3, 5)), Slice::Restart);
        // The same at the end: what looked complete is found out by what follows.
        assert_eq!(slice(with(part(0, 0), 1, 2)), Slice::Take);
        assert_eq!(slice(with(last(1, 0), 7, 9)), Slice::Take);
        reports.finish(0);
        assert!(reports.complete());
        assert_eq!(reports.slice(with(last(1, 0), 7, 9), Unlisted::default, slot), Slice::Seen);
        assert!(reports.complete());
        assert_eq!(reports.slice(with(part(1, 0), 3, 5), Unlisted::default, slot), Slice::Restart);
        assert!(!reports.complete());
    }
}
