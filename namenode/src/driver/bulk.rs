//! Full reports, taken in by and by: a slice of one names up to 100,000 replicas, and nobody is to wait for all of them.

use super::{Driver, Effect, Held};
use crate::driver::effect::Reported;
use crate::metrics::Operation;
use mammoth_namenode_core::api::Report;
use mammoth_protocol::Now;
use mammoth_protocol::internal::FullReportSlice;
use mammoth_web::mailbox::Way;
use std::collections::VecDeque;

/// Milliseconds of a round that go to full reports, if there are any; the portion that is begun then is finished.
const SHARE_MS: u64 = 5;

/// Slices of full reports in the order of their arrival. A datanode sends the next when the one before is answered, and
/// again when that takes too long: what nobody waits for any more is left out.
#[derive(Default)]
pub(super) struct Bulk {
    waiting: VecDeque<(FullReportSlice, Way<Reported>)>,
    /// The place in the first of them where its next portion begins.
    from: usize,
}

impl Bulk {
    pub(super) fn add(&mut self, slice: FullReportSlice, answer: Way<Reported>) {
        self.waiting.push_back((slice, answer));
    }
}

impl Driver {
    /// Takes portions of full reports in for a while. Tells whether there are more.
    pub(super) fn take_bulk(&mut self, now: Now) -> bool {
        let began = self.clock.now().monotonic_ms;
        while let Some((slice, answer)) = self.bulk.waiting.pop_front() {
            if self.bulk.from == 0 && answer.is_closed() {
                // Who sent it has given up and sends it again: taken in whole, the old ones would keep the new ones waiting
                // until those are given up as well.
                continue;
            }
            let (outcome, next) = self.state.observe_portion(now, &slice, self.bulk.from);
            self.bulk.from = next.unwrap_or(0);
            if next.is_some() {
                self.bulk.waiting.push_front((slice, answer));
            } else {
                self.metrics.asked(Operation::Report(&Report::Full(slice)));
                let reported = Reported { register: outcome.register, resync: outcome.resync, ..Reported::default() };
                self.leave(Some(Held(Effect::Reported(answer, reported))));
            }
            if self.clock.now().monotonic_ms.saturating_sub(began) >= SHARE_MS {
                break;
            }
        }
        !self.bulk.waiting.is_empty()
    }
}
