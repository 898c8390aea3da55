//! What the two masters read at their start: segments of the log, the records in them, rows of the checkpoint.

use crate::feed::{Feed, put_part};
use mammoth_jobtracker_core::{AppRecord, Edit as JobEdit, State as JobState, Submission, api as jobs};
use mammoth_journal::log::codec::{self, Header};
use mammoth_journal::log::{LogDisk, MemoryDisk, Next, SegmentReader};
use mammoth_namenode_core::{Created, Edit as NameEdit, Lease, NewFile, State as NameState, api as names, check};
use mammoth_protocol::jobs::Counters;
use mammoth_protocol::journaled::Journaled;
use mammoth_protocol::{Block, BlockId, CallId, GenStamp, InodeId, Now, Seq, StorageId, Term, Uuid};

/// The cluster of all logs here.
const CLUSTER: &str = "CID-1";
/// Sequence of the first record of logs that are made.
const FIRST: Seq = Seq(1);

/// With an even first byte, a segment as it is; otherwise one whose records hold the parts of the input as their edits, one
/// byte of it changed at most.
pub(super) fn segment(bytes: &[u8]) {
    let mut feed = Feed::new(bytes);
    if feed.byte() & 1 == 0 {
        let number = Seq(feed.u64());
        read_segment(number, feed.rest());
        return;
    }
    let change = (feed.u16(), feed.byte());
    let mut parts = Vec::new();
    while !feed.is_empty() {
        parts.push((feed.byte(), feed.part()));
    }
    let mut segment = header(FIRST);
    let mut place = 0;
    for (seq, (begins, part)) in (FIRST.0..).zip(&parts) {
        place = if begins & 1 == 0 { 0 } else { place + 1 };
        codec::encode_record(&mut segment, Seq(seq), Term(1), place, |out| out.extend_from_slice(part)).expect("short");
    }
    let changed = segment.get_mut(usize::from(change.0)).map(|byte| *byte ^= change.1).is_some() && change.1 != 0;
    let read = read_segment(FIRST, &segment);
    assert!(read.len() <= parts.len());
    for (record, (_, part)) in read.iter().zip(&parts) {
        assert_eq!(record, part, "a record is read as it was written, or not at all");
    }
    assert!(changed || read.len() == parts.len());
}

fn header(first: Seq) -> Vec<u8> {
    Header { cluster: CLUSTER.to_owned(), term: Term(1), first }.encode()
}

/// The edits of all records before the segment's end or its first fault.
fn read_segment(number: Seq, bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    let Ok(mut reader) = SegmentReader::open(number, bytes) else { return records };
    let (decoded, len) = Header::decode(bytes).expect("the reader took it");
    assert!(decoded.encode().len() == len && &decoded == reader.header());
    let mut end = 0;
    while let Ok(Next::Record(record, at)) = reader.read_next() {
        assert!(at >= end && record.edits.len() <= bytes.len());
        end = at + record.encoded_len() as u64;
        records.push(record.edits.to_vec());
    }
    records
}

pub(super) fn segment_seeds() -> Vec<Vec<u8>> {
    let mut whole = [&[0][..], &FIRST.0.to_le_bytes(), &header(FIRST)].concat();
    for seq in 1..4 {
        codec::encode_record(&mut whole, Seq(seq), Term(1), 0, |out| out.extend_from_slice(b"edits")).expect("short");
    }
    let mut made = vec![1, 0xff, 0xff, 0];
    for part in [&b"one"[..], b"", b"three"] {
        made.push(0);
        put_part(&mut made, part);
    }
    vec![whole, made]
}

/// Replays a log whose records are the parts of the input, on top of a checkpoint of `rows`: the way of a start.
fn replay<S: Journaled>(state: S, rows: &[(Vec<u8>, Vec<u8>)], records: &[&[u8]]) -> Option<S> {
    let mut disk = MemoryDisk::new();
    let mut segment = header(FIRST);
    for (seq, record) in (FIRST.0..).zip(records) {
        codec::encode_record(&mut segment, Seq(seq), Term(1), 0, |out| out.extend_from_slice(record)).expect("short");
    }
    disk.create(FIRST, &segment).expect("in memory");
    let mut state = state;
    for (key, value) in rows {
        state.load_row(key, value).ok()?;
    }
    let store = mammoth_journal::checkpoint::MemoryStore::new();
    mammoth_journal::recover(disk, &store, CLUSTER, state).ok().map(|recovered| recovered.state)
}

/// The parts of an input that decode as edits, each of which must encode and decode to itself.
fn records_of<S>(bytes: &[u8]) -> Vec<&[u8]>
where
    S: Journaled,
    S::Edit: PartialEq + std::fmt::Debug,
{
    let mut feed = Feed::new(bytes);
    let mut records = Vec::new();
    while !feed.is_empty() {
        let part = feed.part();
        if let Ok(edits) = S::decode_edits(part) {
            let mut again = Vec::new();
            S::encode_edits(&edits, &mut again);
            assert_eq!(S::decode_edits(&again).ok(), Some(edits));
            records.push(part);
        }
    }
    records
}

/// The pairs of key and value of an input.
fn rows_of(bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut feed = Feed::new(bytes);
    let mut rows = Vec::new();
    while !feed.is_empty() {
        rows.push((feed.part().to_vec(), feed.part().to_vec()));
    }
    rows
}

/// A row that is taken is encoded to a row that gives the same again.
fn rows_survive<S: Journaled>(new: impl Fn() -> S, rows: &[(Vec<u8>, Vec<u8>)]) {
    for (key, value) in rows {
        let mut state = new();
        if state.load_row(key, value).is_err() {
            continue;
        }
        let (mut first, mut second) = (Vec::new(), Vec::new());
        if !state.encode_row(key, &mut first) {
            continue;
        }
        let mut again = new();
        again.load_row(key, &first).expect("its own row");
        assert!(again.encode_row(key, &mut second) && first == second, "row {key:02x?}");
    }
}

fn name_state() -> NameState {
    NameState::new(names::CoreConfig::default(), Now::default()).loading()
}

/// The namenode's records: whatever the log holds, a start succeeds with all invariants or is refused.
pub(super) fn name_log(bytes: &[u8]) {
    let records = records_of::<NameState>(bytes);
    if let Some(state) = replay(name_state(), &[], &records) {
        judge(&state);
    }
}

/// The namenode's rows, likewise.
pub(super) fn name_rows(bytes: &[u8]) {
    let rows = rows_of(bytes);
    rows_survive(name_state, &rows);
    if let Some(state) = replay(name_state(), &rows, &[]) {
        judge(&state);
    }
}

/// A state that was loaded is fit to be asked and to be written again.
fn judge(state: &NameState) {
    let mut again = name_state();
    for (key, value) in check::rows(state) {
        again.load_row(&key, &value).expect("its own row");
    }
    if again.finish_load().is_ok() {
        assert_eq!(check::rows(&again), check::rows(state), "written and loaded, it is the same");
    }
    let mut ticked = state.clone();
    for ms in [0, 1, 100_000, 10_000_000] {
        let _ = ticked.tick(Now { monotonic_ms: ms, wall_ms: ms }, ms);
    }
}

fn name_records() -> Vec<Vec<NameEdit>> {
    let (dir, file, block, stamp) = (InodeId(16_386), InodeId(16_387), BlockId(1_073_741_825), GenStamp(1001));
    let created = |id, parent, name: &str, file| {
        NameEdit::Created(Box::new(Created {
            id,
            parent,
            name: name.into(),
            owner: "ann".into(),
            group: "g".into(),
            mode: 0o755,
            mtime_ms: 5,
            file,
        }))
    };
    let lease = || Lease { client: "c".into(), addr: None };
    let targets = vec![StorageId(Uuid(1)), StorageId(Uuid(2))];
    let whole = Block { id: block, stamp, len: 512 };
    vec![
        vec![created(dir, InodeId::ROOT, "d", None)],
        vec![created(file, dir, "f", Some(NewFile { replication: 3, block_size: 1 << 20, lease: lease() }))],
        vec![NameEdit::BlockAdded { file, index: 0, block, stamp, targets: targets.clone() }],
        vec![NameEdit::BlockFlushed { file, index: 0, len: 100 }],
        vec![NameEdit::BlockCommitted { file, index: 0, block: whole, holders: None }],
        vec![NameEdit::Closed { id: file, mtime_ms: 9 }],
        vec![NameEdit::Moved { id: file, parent: InodeId::ROOT, name: "g".into() }],
        vec![
            NameEdit::Leased { id: file, lease: lease() },
            NameEdit::BlockCut { file, index: 0, len: 7, stamp: GenStamp(1002), targets },
        ],
        vec![
            NameEdit::Detached { id: dir },
            NameEdit::Remembered {
                call: CallId { client: Uuid(1), call: 1 },
                reply: names::Reply::Done(true),
                wall_ms: 5,
            },
        ],
        vec![NameEdit::Removed { id: dir }, NameEdit::Forgotten { floor: Seq(1) }],
    ]
}

/// An input of records: all of them, and those up to each.
fn log_seeds<S: Journaled>(records: &[Vec<S::Edit>]) -> Vec<Vec<u8>> {
    let mut whole = Vec::new();
    let mut seeds = Vec::new();
    for edits in records {
        let mut encoded = Vec::new();
        S::encode_edits(edits, &mut encoded);
        put_part(&mut whole, &encoded);
        seeds.push(whole.clone());
    }
    seeds
}

pub(super) fn name_log_seeds() -> Vec<Vec<u8>> {
    log_seeds::<NameState>(&name_records())
}

pub(super) fn name_row_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for log in name_log_seeds() {
        let records = records_of::<NameState>(&log);
        if let Some(state) = replay(name_state(), &[], &records) {
            seeds.push(row_seed(&check::rows(&state)));
        }
    }
    seeds
}

fn row_seed(rows: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut seed = Vec::new();
    for (key, value) in rows {
        put_part(&mut seed, key);
        put_part(&mut seed, value);
    }
    seed
}

fn job_state() -> JobState {
    JobState::new(jobs::CoreConfig::default(), Now::default()).loading()
}

/// The jobtracker's records.
pub(super) fn job_log(bytes: &[u8]) {
    let records = records_of::<JobState>(bytes);
    if let Some(state) = replay(job_state(), &[], &records) {
        start(state);
    }
}

/// The jobtracker's rows.
pub(super) fn job_rows(bytes: &[u8]) {
    let rows = rows_of(bytes);
    rows_survive(job_state, &rows);
    if let Some(state) = replay(job_state(), &rows, &[]) {
        start(state);
    }
}

/// A jobtracker starts on what was loaded: its first command, and the ticks behind it.
fn start(mut state: JobState) {
    let mut seq = 1 << 32;
    let mut now = Now { monotonic_ms: 5, wall_ms: 5 };
    let mut commands = vec![jobs::Command::Start];
    for _ in 0..4 {
        for command in std::mem::take(&mut commands) {
            if let Ok(decision) = state.decide(now, &command) {
                seq += 1;
                decision.edits.iter().for_each(|edit| state.apply(Seq(seq), edit));
            }
        }
        commands = state.tick(now).commands;
        now.monotonic_ms += 100_000;
        now.wall_ms += 100_000;
    }
}

fn job_records() -> Vec<Vec<JobEdit>> {
    let mut counters = Counters::default();
    counters.add("g", "n", 5);
    let submission = Submission { maps: 2, reduces: 1, name: "j".to_owned(), ..Submission::default() };
    let record = AppRecord { name: "a".to_owned(), ..AppRecord::default() };
    vec![
        vec![JobEdit::Started { at_ms: 5 }],
        vec![JobEdit::JobAllocated { number: 1, user: "ann".to_owned(), at_ms: 5 }],
        vec![JobEdit::JobSubmitted { number: 1, submission }],
        vec![JobEdit::AppCreated { number: 2, record }],
        vec![
            JobEdit::JobCommitting { number: 1, started_ms: 6, pages: 1 },
            JobEdit::JobCounters { number: 1, page: 0, counters },
        ],
        vec![JobEdit::JobEnded { number: 1, at_ms: 9 }],
        vec![JobEdit::AppEnded { number: 2, at_ms: 9, ending: None, tasks_done: 1, tasks_total: 1 }],
        vec![JobEdit::JobForgotten { number: 1 }, JobEdit::CountersForgotten { number: 1, page: 0 }],
    ]
}

pub(super) fn job_log_seeds() -> Vec<Vec<u8>> {
    log_seeds::<JobState>(&job_records())
}

pub(super) fn job_row_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for log in job_log_seeds() {
        let records = records_of::<JobState>(&log);
        if let Some(state) = replay(job_state(), &[], &records) {
            seeds.push(row_seed(&mammoth_jobtracker_core::check::rows(&state)));
        }
    }
    seeds
}
