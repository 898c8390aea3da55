//! A toy state machine for the tests: accounts whose sum never changes, with creations and removals.

use mammoth_platform::{Entropy, SeededEntropy};
use mammoth_protocol::Seq;
use mammoth_protocol::journaled::{CorruptRow, Journaled};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const TOTAL: i64 = 1_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    Create(u8, i64),
    Add(u8, i64),
    Remove(u8),
}

/// Balances by account, each with the sequence of its last edit.
pub(crate) type Rows = BTreeMap<u8, (Seq, i64)>;

#[derive(Clone, Debug)]
pub(crate) struct Toy {
    pub(crate) rows: Rows,
    touched: BTreeSet<u8>,
    /// While loading: the sequences of the checkpoint's rows.
    loading: Option<BTreeMap<u8, Seq>>,
}

impl Toy {
    /// To be loaded.
    pub(crate) fn empty() -> Self {
        Self { rows: Rows::new(), touched: BTreeSet::new(), loading: Some(BTreeMap::new()) }
    }

    /// A decision that keeps the sum: the first one creates it.
    pub(crate) fn decide(&self, random: &SeededEntropy) -> Vec<Edit> {
        let accounts: Vec<u8> = self.rows.keys().copied().collect();
        let Some(count) = u64::try_from(accounts.len()).ok().filter(|n| *n > 0) else {
            return vec![Edit::Create(0, TOTAL)];
        };
        let pick = || accounts[usize::try_from(random.next_u64() % count).unwrap()];
        let (a, b) = (pick(), pick());
        let amount = i64::try_from(random.next_u64() % 100).unwrap();
        let free = u8::try_from(random.next_u64() % 20).unwrap();
        match random.next_u64() % 4 {
            0 if !self.rows.contains_key(&free) => vec![Edit::Add(a, -amount), Edit::Create(free, amount)],
            1 if a != b => vec![Edit::Add(b, self.rows[&a].1), Edit::Remove(a)],
            // The same row twice in one record, where a == b.
            _ => vec![Edit::Add(a, -amount), Edit::Add(b, amount)],
        }
    }

    pub(crate) fn check(&self) {
        assert!(self.loading.is_none());
        let sum: i64 = self.rows.values().map(|(_, balance)| balance).sum();
        assert!(self.rows.is_empty() || sum == TOTAL, "the sum is {sum}: {:?}", self.rows);
    }
}

fn bad(what: &str) -> CorruptRow {
    CorruptRow { what: what.to_owned() }
}

impl Journaled for Toy {
    type Edit = Edit;

    fn encode_edits(edits: &[Edit], out: &mut Vec<u8>) {
        for edit in edits {
            let (tag, key, amount) = match *edit {
                Edit::Create(key, amount) => (0, key, amount),
                Edit::Add(key, amount) => (1, key, amount),
                Edit::Remove(key) => (2, key, 0),
            };
            out.extend_from_slice(&[tag, key]);
            out.extend_from_slice(&amount.to_be_bytes());
        }
    }

    fn decode_edits(bytes: &[u8]) -> Result<Vec<Edit>, CorruptRow> {
        let edit = |chunk: &[u8]| {
            let amount = chunk.get(2..).and_then(|b| b.try_into().ok()).map(i64::from_be_bytes);
            match (chunk, amount) {
                ([0, key, ..], Some(amount)) => Ok(Edit::Create(*key, amount)),
                ([1, key, ..], Some(amount)) => Ok(Edit::Add(*key, amount)),
                ([2, key, ..], Some(_)) => Ok(Edit::Remove(*key)),
                _ => Err(bad("no such edit")),
            }
        };
        bytes.chunks(10).map(edit).collect()
    }

    fn apply(&mut self, seq: Seq, edit: &Edit) {
        let (Edit::Create(key, _) | Edit::Add(key, _) | Edit::Remove(key)) = *edit;
        if let Some(loaded) = &self.loading {
            // A row that is past the edit has its effect; one that is gone is removed further on in the log.
            let past = loaded.get(&key).is_some_and(|at| *at >= seq);
            let gone = !self.rows.contains_key(&key) && !matches!(edit, Edit::Create(..));
            if past || gone {
                return;
            }
        }
        self.touched.insert(key);
        match *edit {
            Edit::Create(_, amount) => {
                let old = self.rows.insert(key, (seq, amount));
                assert_eq!(old, None, "account {key} exists");
            }
            Edit::Add(_, amount) => {
                let row = self.rows.get_mut(&key).expect("the account exists");
                *row = (seq, row.1 + amount);
            }
            Edit::Remove(_) => assert!(self.rows.remove(&key).is_some(), "account {key} exists"),
        }
    }

    fn load_row(&mut self, key: &[u8], value: &[u8]) -> Result<(), CorruptRow> {
        let [key] = key else { return Err(bad("no account's key")) };
        let (seq, balance) = value.split_at_checked(8).ok_or_else(|| bad("a short row"))?;
        let seq = Seq(u64::from_be_bytes(seq.try_into().map_err(|_| bad("a short row"))?));
        let balance = i64::from_be_bytes(balance.try_into().map_err(|_| bad("a short row"))?);
        self.rows.insert(*key, (seq, balance));
        self.loading.as_mut().expect("rows come first").insert(*key, seq);
        Ok(())
    }

    fn finish_load(&mut self) -> Result<(), CorruptRow> {
        self.loading = None;
        Ok(())
    }

    fn take_touched(&mut self, max: usize, out: &mut Vec<Vec<u8>>) {
        for _ in 0..max {
            let Some(key) = self.touched.pop_first() else { return };
            out.push(vec![key]);
        }
    }

    fn encode_row(&self, key: &[u8], out: &mut Vec<u8>) -> bool {
        let Some((seq, balance)) = key.first().and_then(|key| self.rows.get(key)) else { return false };
        out.extend_from_slice(&seq.0.to_be_bytes());
        out.extend_from_slice(&balance.to_be_bytes());
        true
    }
}
