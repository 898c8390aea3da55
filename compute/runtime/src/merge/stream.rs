//! The merge itself: a tree of losers, so that each record costs one comparison per level.

use super::{Cursor, RecordStream};
use crate::error::RuntimeError;
use crate::key;
use crate::run::Order;

/// One of the merged streams.
enum Input<'a> {
    Stored(Cursor),
    Other { stream: Box<dyn RecordStream + 'a>, prefix: u64 },
}

impl Input<'_> {
    #[inline]
    fn advance(&mut self) -> Result<bool, RuntimeError> {
        match self {
            Self::Stored(cursor) => cursor.advance(),
            Self::Other { stream, prefix } => {
                let is_live = stream.advance()?;
                *prefix = key::prefix(stream.key());
                Ok(is_live)
            }
        }
    }

    #[inline]
    fn prefix(&self) -> u64 {
        match self {
            Self::Stored(cursor) => cursor.prefix(),
            Self::Other { prefix, .. } => *prefix,
        }
    }

    #[inline]
    fn key(&self) -> &[u8] {
        match self {
            Self::Stored(cursor) => cursor.key(),
            Self::Other { stream, .. } => stream.key(),
        }
    }

    #[inline]
    fn value(&self) -> &[u8] {
        match self {
            Self::Stored(cursor) => cursor.value(),
            Self::Other { stream, .. } => stream.value(),
        }
    }
}

/// What comparisons look at first.
#[derive(Clone, Copy)]
struct Head {
    is_live: bool,
    prefix: u64,
}

/// Several sorted streams as one. Of records with equal keys those of an earlier stream come first.
pub struct MergeStream<'a> {
    inputs: Vec<Input<'a>>,
    heads: Vec<Head>,
    /// At 0 the winner, at each inner node of the tree the loser; leaf `i` is at `inputs.len() + i`.
    tree: Vec<usize>,
    has_started: bool,
    order: Order,
}

impl std::fmt::Debug for MergeStream<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MergeStream").field("inputs", &self.inputs.len()).finish_non_exhaustive()
    }
}

impl<'a> MergeStream<'a> {
    /// Merges stored segments; with [`Order::Arrival`] they simply follow one another.
    #[must_use]
    pub fn new(cursors: Vec<Cursor>, order: Order) -> Self {
        let inputs: Vec<Input<'a>> = cursors.into_iter().map(Input::Stored).collect();
        Self { inputs, heads: Vec::new(), tree: Vec::new(), has_started: false, order }
    }

    /// Adds a stream of any kind, behind the others. Before the first [`RecordStream::advance`] only.
    #[must_use]
    pub fn and(mut self, stream: impl RecordStream + 'a) -> Self {
        self.inputs.push(Input::Other { stream: Box::new(stream), prefix: 0 });
        self
    }

    /// Whether the present record of input `a` comes before that of `b`.
    #[inline]
    fn wins(&self, a: usize, b: usize) -> bool {
        match (self.heads.get(a), self.heads.get(b)) {
            (Some(left), Some(right)) if left.is_live && right.is_live => {
                if self.order == Order::Arrival {
                    return a < b;
                }
                if left.prefix != right.prefix {
                    return left.prefix < right.prefix;
                }
                match self.key_of(a).cmp(self.key_of(b)) {
                    std::cmp::Ordering::Equal => a < b,
                    order => order.is_lt(),
                }
            }
            (Some(left), _) => left.is_live,
            (None, _) => false,
        }
    }

    #[inline]
    fn key_of(&self, input: usize) -> &[u8] {
        self.inputs.get(input).map_or(&[], Input::key)
    }

    fn pull(&mut self, at: usize) -> Result<(), RuntimeError> {
        if let (Some(input), Some(head)) = (self.inputs.get_mut(at), self.heads.get_mut(at)) {
            head.is_live = input.advance()?;
            head.prefix = input.prefix();
        }
        Ok(())
    }

    fn start(&mut self) -> Result<(), RuntimeError> {
        let count = self.inputs.len();
        self.heads = vec![Head { is_live: false, prefix: 0 }; count];
        for at in 0..count {
            self.pull(at)?;
        }
        let mut winners: Vec<usize> = (0..2 * count).map(|node| node.saturating_sub(count)).collect();
        self.tree = vec![0; count.max(1)];
        for node in (1..count).rev() {
            let (Some(&a), Some(&b)) = (winners.get(2 * node), winners.get(2 * node + 1)) else { continue };
            let (winner, loser) = if self.wins(a, b) { (a, b) } else { (b, a) };
            if let (Some(won), Some(lost)) = (winners.get_mut(node), self.tree.get_mut(node)) {
                (*won, *lost) = (winner, loser);
            }
        }
        let first = if count > 1 { winners.get(1).copied().unwrap_or(0) } else { 0 };
        if let Some(winner) = self.tree.first_mut() {
            *winner = first;
        }
        self.has_started = true;
        Ok(())
    }

    /// Lets the input that won last play again, from its leaf to the root.
    fn replay(&mut self) -> Result<(), RuntimeError> {
        let mut winner = self.winner();
        self.pull(winner)?;
        let mut node = (self.inputs.len() + winner) / 2;
        while node > 0 {
            let loser = self.tree.get(node).copied().unwrap_or(winner);
            if self.wins(loser, winner) {
                if let Some(slot) = self.tree.get_mut(node) {
                    *slot = winner;
                }
                winner = loser;
            }
            node /= 2;
        }
        if let Some(slot) = self.tree.first_mut() {
            *slot = winner;
        }
        Ok(())
    }

    #[inline]
    fn winner(&self) -> usize {
        self.tree.first().copied().unwrap_or(0)
    }
}

impl RecordStream for MergeStream<'_> {
    fn advance(&mut self) -> Result<bool, RuntimeError> {
        if self.has_started {
            self.replay()?
        } else {
            self.start()?
        }
        Ok(self.heads.get(self.winner()).is_some_and(|head| head.is_live))
    }

    #[inline]
    fn key(&self) -> &[u8] {
        self.key_of(self.winner())
    }

    #[inline]
    fn value(&self) -> &[u8] {
        self.inputs.get(self.winner()).map_or(&[], Input::value)
    }
}
