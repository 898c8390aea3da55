//! The polls of one registration.
//!
//! One poll waits at the jobtracker for orders. When something happens that the jobtracker should know at once, a second poll
//! overtakes it, which is answered at once. What happens meanwhile goes with the next one, so that news that come in quick
//! succession cost few polls. A poll that was overtaken is still listened to for a while: an order that was on its way with
//! its answer would otherwise be late.

use super::caller::{CallError, Caller};
use super::{Patience, Tracking};
use crate::table::Sent;
use mammoth_protocol::jobs::TrackerEpoch;
use mammoth_protocol::jobs::tracker::{PollReply, RegisterReply, routes};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError, JoinSet};

/// A poll waits no longer than this, whatever the jobtracker says.
const WAIT_MS_MAX: u64 = 60_000;
/// Polls that were overtaken and are still listened to.
const OVERTAKEN_MAX: usize = 2;

/// The newest poll, unless it is answered.
struct Current {
    seq: u64,
    /// It waits for orders, and can be overtaken.
    waits: bool,
    abort: AbortHandle,
}

struct Answer {
    seq: u64,
    sent: Sent,
    reply: Result<PollReply, CallError>,
}

pub(super) struct Session<'a> {
    own: &'a Tracking,
    caller: Arc<Caller>,
    epoch: TrackerEpoch,
    wait_ms: u64,
    seq: u64,
    news: watch::Receiver<u64>,
    polls: JoinSet<Answer>,
    current: Option<Current>,
    overtaken: VecDeque<AbortHandle>,
}

impl<'a> Session<'a> {
    pub(super) fn new(own: &'a Tracking, caller: &Arc<Caller>, registered: &RegisterReply) -> Self {
        Self {
            own,
            caller: Arc::clone(caller),
            epoch: registered.epoch,
            wait_ms: registered.poll_wait_ms.min(WAIT_MS_MAX),
            seq: 0,
            news: own.table().news(),
            polls: JoinSet::new(),
            current: None,
            overtaken: VecDeque::new(),
        }
    }

    /// Polls until the jobtracker does not know this registration any more; tells whether it ever did.
    pub(super) async fn run(mut self, patience: &mut Patience) -> bool {
        let mut polled = false;
        loop {
            self.send();
            let waits = self.current.as_ref().is_some_and(|current| current.waits);
            let answer = tokio::select! {
                biased;
                ended = self.polls.join_next() => self.answer_of(ended),
                _ = self.news.changed(), if waits => {
                    // Seen again when the next poll is sent.
                    self.news.mark_changed();
                    None
                }
            };
            let Some(Answer { seq, sent, reply }) = answer else { continue };
            let newest = self.current.as_ref().is_some_and(|current| current.seq == seq);
            if newest {
                self.current = None;
            }
            match reply {
                Ok(reply) => {
                    polled = true;
                    patience.well(&self.own.jobtracker);
                    self.own.heard();
                    self.own.table().answered(&sent);
                    for order in reply.orders {
                        self.own.carry_out(order, &sent);
                    }
                }
                Err(CallError::Stale) if newest => return polled,
                Err(CallError::Unreachable(reason)) if newest => patience.ill(&self.own.jobtracker, &reason).await,
                // It was overtaken; the newer one tells.
                Err(_) => {}
            }
        }
    }

    /// Sends the next poll if it is time: when none is under way, or one only waits while there is news.
    fn send(&mut self) {
        let overtakes = match &self.current {
            None => false,
            Some(current) if current.waits && self.news.has_changed().unwrap_or(false) => true,
            Some(_) => return,
        };
        if let Some(current) = self.current.take() {
            self.overtaken.push_back(current.abort);
            if self.overtaken.len() > OVERTAKEN_MAX
                && let Some(oldest) = self.overtaken.pop_front()
            {
                oldest.abort();
            }
        }
        self.news.mark_unchanged();
        self.seq += 1;
        let (seq, waits) = (self.seq, !overtakes);
        let wait_ms = if waits { self.wait_ms } else { 0 };
        let (request, sent) = self.own.table().poll(self.own.introduction.tracker, self.epoch, seq, wait_ms);
        let caller = Arc::clone(&self.caller);
        let abort = self.polls.spawn(async move {
            let reply = caller.post(routes::POLL, &request, wait_ms).await;
            Answer { seq, sent, reply }
        });
        self.current = Some(Current { seq, waits, abort });
    }

    fn answer_of(&mut self, ended: Option<Result<Answer, JoinError>>) -> Option<Answer> {
        match ended {
            Some(Ok(answer)) => Some(answer),
            Some(Err(error)) if error.is_cancelled() => None,
            Some(Err(_)) | None => {
                // No poll is left that could answer.
                self.current = None;
                None
            }
        }
    }
}
