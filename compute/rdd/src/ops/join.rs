//! Joining two datasets by key: a merge of two streams of groups, each from a shuffle or from a partition that is spread by the
//! same rule already. Pairs of a dataset whose partitioner is known lie in the order of their encoded keys.

use super::sinks::NoFunction;
use super::wide::{decode_key, decode_value};
use crate::{Data, Key};
use mammoth_engine::batch::{BATCH_RECORDS, Batch};
use mammoth_engine::ops::{Source, SourceArgs, SourceOp};
use mammoth_engine::shuffle::ShuffleStream;
use mammoth_engine::task::TaskError;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::marker::PhantomData;

/// How the sides of a join come: `true` = over a shuffle.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Sides {
    pub(crate) left: bool,
    pub(crate) right: bool,
}

/// Groups of one side.
enum Side<K, V> {
    Shuffled { stream: ShuffleStream, live: bool },
    Narrow { source: Box<dyn Source>, rest: std::vec::IntoIter<(K, V)>, head: Option<(K, V)>, key: Vec<u8> },
}

impl<K: Key, V: Data> Side<K, V> {
    fn shuffled(mut stream: ShuffleStream) -> Result<Self, TaskError> {
        let live = stream.advance_group()?;
        Ok(Self::Shuffled { stream, live })
    }

    fn narrow(source: Box<dyn Source>) -> Result<Self, TaskError> {
        let mut side = Self::Narrow { source, rest: Vec::new().into_iter(), head: None, key: Vec::new() };
        side.pull()?;
        Ok(side)
    }

    /// Key of the group at hand.
    fn key(&self) -> Option<&[u8]> {
        match self {
            Self::Shuffled { stream, live } => live.then(|| stream.key()),
            Self::Narrow { head, key, .. } => head.is_some().then_some(key),
        }
    }

    /// Moves a narrow side on to its next pair.
    fn pull(&mut self) -> Result<(), TaskError> {
        let Self::Narrow { source, rest, head, key } = self else { return Ok(()) };
        *head = loop {
            if let Some(pair) = rest.next() {
                break Some(pair);
            }
            match source.next()? {
                Some(batch) => *rest = batch.into_vec::<(K, V)>()?.into_iter(),
                None => break None,
            }
        };
        key.clear();
        if let Some((of, _)) = head {
            of.encode_key(key);
        }
        Ok(())
    }

    /// Takes all values of the group at hand and moves on to the next.
    fn take(&mut self, values: &mut Vec<V>) -> Result<(), TaskError> {
        match self {
            Self::Shuffled { stream, live } => {
                while stream.advance_value()? {
                    values.push(decode_value(stream.value())?);
                }
                *live = stream.advance_group()?;
            }
            Self::Narrow { key, .. } => {
                let present = key.clone();
                while self.key() == Some(&present) {
                    if let Self::Narrow { head, .. } = self {
                        values.extend(head.take().map(|(_, value)| value));
                    }
                    self.pull()?;
                }
            }
        }
        Ok(())
    }
}

/// Both sides in step.
struct Pairing<K, V, W> {
    left: Side<K, V>,
    right: Side<K, W>,
    key: Vec<u8>,
}

impl<K: Key, V: Data, W: Data> Pairing<K, V, W> {
    fn new(sides: Sides, mut args: SourceArgs<'_>) -> Result<Self, TaskError> {
        let missing = || TaskError::fatal("a side of the join is missing");
        let mut narrow = std::mem::take(&mut args.narrow).into_iter();
        let mut shuffled = std::mem::take(&mut args.shuffles).into_iter();
        let left = match sides.left {
            true => Side::shuffled(shuffled.next().ok_or_else(missing)?.open()?)?,
            false => Side::narrow(narrow.next().ok_or_else(missing)?)?,
        };
        let right = match sides.right {
            true => Side::shuffled(shuffled.next().ok_or_else(missing)?.open()?)?,
            false => Side::narrow(narrow.next().ok_or_else(missing)?)?,
        };
        Ok(Self { left, right, key: Vec::new() })
    }

    /// The next key that any side has, with its values; `None` at the end.
    fn next(&mut self, left: &mut Vec<V>, right: &mut Vec<W>) -> Result<Option<()>, TaskError> {
        left.clear();
        right.clear();
        let order = match (self.left.key(), self.right.key()) {
            (None, None) => return Ok(None),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(left), Some(right)) => left.cmp(right),
        };
        self.key.clear();
        let key = if order == Ordering::Greater { self.right.key() } else { self.left.key() };
        self.key.extend_from_slice(key.unwrap_or_default());
        if order != Ordering::Greater {
            self.left.take(left)?;
        }
        if order != Ordering::Less {
            self.right.take(right)?;
        }
        Ok(Some(()))
    }
}

/// All pairs of values with equal keys.
struct Joined<K, V, W> {
    pairing: Pairing<K, V, W>,
    left: Vec<V>,
    right: Vec<W>,
    /// The next pair of the key at hand.
    at: (usize, usize),
}

pub(crate) struct JoinOp<K, V, W>(PhantomData<fn(K, V, W)>);

impl<K: Key + Clone, V: Data, W: Data> SourceOp for JoinOp<K, V, W> {
    const NAME: &'static str = "join";
    type State = Sides;
    type Function = NoFunction;

    fn make(sides: Sides, _: NoFunction, args: SourceArgs<'_>) -> Result<Box<dyn Source>, TaskError> {
        let pairing = Pairing::<K, V, W>::new(sides, args)?;
        Ok(Box::new(Joined { pairing, left: Vec::new(), right: Vec::new(), at: (0, 0) }))
    }
}

impl<K: Key + Clone, V: Data, W: Data> Source for Joined<K, V, W> {
    fn next(&mut self) -> Result<Option<Batch>, TaskError> {
        let mut out: Vec<(K, (V, W))> = Vec::new();
        while out.len() < BATCH_RECORDS {
            if self.at.0 >= self.left.len() || self.right.is_empty() {
                self.at = (0, 0);
                if self.pairing.next(&mut self.left, &mut self.right)?.is_none() {
                    break;
                }
                continue;
            }
            let key: K = decode_key(&self.pairing.key)?;
            while let (Some(left), true) = (self.left.get(self.at.0), out.len() < BATCH_RECORDS) {
                let room = BATCH_RECORDS - out.len();
                let some = self.right.iter().skip(self.at.1).take(room);
                let before = out.len();
                out.extend(some.map(|right| (key.clone(), (left.clone(), right.clone()))));
                self.at.1 += out.len() - before;
                if self.at.1 >= self.right.len() {
                    self.at = (self.at.0 + 1, 0);
                }
            }
        }
        Ok((!out.is_empty()).then(|| Batch::owned(out)))
    }
}

/// For each key all values of both sides.
struct Cogrouped<K, V, W> {
    pairing: Pairing<K, V, W>,
}

pub(crate) struct CogroupOp<K, V, W>(PhantomData<fn(K, V, W)>);

impl<K: Key, V: Data, W: Data> SourceOp for CogroupOp<K, V, W> {
    const NAME: &'static str = "cogroup";
    type State = Sides;
    type Function = NoFunction;

    fn make(sides: Sides, _: NoFunction, args: SourceArgs<'_>) -> Result<Box<dyn Source>, TaskError> {
        Ok(Box::new(Cogrouped { pairing: Pairing::<K, V, W>::new(sides, args)? }))
    }
}

/// What [`CogroupOp`] gives.
type CogroupedPair<K, V, W> = (K, (Vec<V>, Vec<W>));

impl<K: Key, V: Data, W: Data> Source for Cogrouped<K, V, W> {
    fn next(&mut self) -> Result<Option<Batch>, TaskError> {
        let mut out: Vec<CogroupedPair<K, V, W>> = Vec::new();
        let mut taken = 0;
        while out.len() < BATCH_RECORDS && taken < 8 * BATCH_RECORDS {
            let (mut left, mut right) = (Vec::new(), Vec::new());
            if self.pairing.next(&mut left, &mut right)?.is_none() {
                break;
            }
            taken += left.len() + right.len();
            out.push((decode_key(&self.pairing.key)?, (left, right)));
        }
        Ok((!out.is_empty()).then(|| Batch::owned(out)))
    }
}

/// Sums neighbours with equal keys of a partition that has all pairs of its keys already.
struct Neighbours<K, V, F> {
    side: Side<K, V>,
    function: F,
}

pub(crate) struct NeighboursOp<K, V, F>(PhantomData<fn(K, V) -> F>);

impl<K, V, F> SourceOp for NeighboursOp<K, V, F>
where
    K: Key,
    V: Data,
    F: Fn(V, V) -> V + super::Func,
{
    const NAME: &'static str = "reduce_by_key in place";
    type State = ();
    type Function = F;

    fn make(_state: (), function: F, mut args: SourceArgs<'_>) -> Result<Box<dyn Source>, TaskError> {
        let source = args.narrow.pop().ok_or_else(|| TaskError::fatal("there is nothing to reduce"))?;
        Ok(Box::new(Neighbours::<K, V, F> { side: Side::narrow(source)?, function }))
    }
}

impl<K, V, F> Source for Neighbours<K, V, F>
where
    K: Key,
    V: Data,
    F: Fn(V, V) -> V + super::Func,
{
    fn next(&mut self) -> Result<Option<Batch>, TaskError> {
        let mut out: Vec<(K, V)> = Vec::new();
        let mut values = Vec::new();
        while out.len() < BATCH_RECORDS {
            let Some(key) = self.side.key().map(decode_key).transpose()? else { break };
            values.clear();
            self.side.take(&mut values)?;
            out.extend(values.drain(..).reduce(self.function).map(|sum| (key, sum)));
        }
        Ok((!out.is_empty()).then(|| Batch::owned(out)))
    }
}
