//! What tasks exchange: shuffle files, keys, specifications and stages of jobs, and the messages about them.

use crate::feed::{Feed, put_part};
use mammoth_engine::program::{BlobId, Program};
use mammoth_protocol::jobs::app::{AppPoll, AppPollReply, AppStatus, NewAppReply, NewAppRequest};
use mammoth_protocol::jobs::client::{ClusterStatus, JobStatus, NewJobReply, NewJobRequest, SubmitRequest};
use mammoth_protocol::jobs::event::TimedEvent;
use mammoth_protocol::jobs::link::{FromChild, ToChild};
use mammoth_protocol::jobs::shuffle::{Codec, FRAME_HEADER_LEN, FrameHeader, Index, Segment, is_output_name};
use mammoth_protocol::jobs::spec::{InputSplit, JobSpec};
use mammoth_protocol::jobs::tracker::{PollReply, PollRequest, RegisterReply, RegisterRequest};
use mammoth_protocol::jobs::{AppId, AttemptId, JobId, TaskId};
use mammoth_runtime::input::TextSplit;
use mammoth_runtime::key::{self, Key};
use mammoth_runtime::record::{self, Records};
use mammoth_runtime::shuffle::SegmentReader;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::{Debug, Display};
use std::str::FromStr;

/// With an even first byte the rest is an index file; otherwise the lengths of segments, from which one is made.
pub(super) fn index(bytes: &[u8]) {
    let mut feed = Feed::new(bytes);
    if feed.byte() & 1 == 0 {
        if let Ok(index) = Index::decode(feed.rest()) {
            assert_eq!(index.encode().expect("as many as before"), feed.rest());
            let _ = (index.data_len(), index.partition_bytes());
        }
        return;
    }
    let change = (feed.u16(), feed.byte());
    let mut index = Index::default();
    let mut offset = 0_u64;
    while !feed.is_empty() {
        let len = feed.u64();
        index.segments.push(Segment { offset, len, raw: feed.u64(), records: len });
        match offset.checked_add(len) {
            Some(end) => offset = end,
            None => break,
        }
    }
    let mut encoded = index.encode().expect("few");
    let changed = encoded.get_mut(usize::from(change.0)).map(|byte| *byte ^= change.1).is_some() && change.1 != 0;
    match Index::decode(&encoded) {
        Ok(back) => assert!(!changed && back == index),
        Err(_) => assert!(changed || index.data_len() == u64::MAX || index.segments.iter().any(|s| s.len > 1 << 40)),
    }
}

pub(super) fn index_seeds() -> Vec<Vec<u8>> {
    let segments =
        vec![Segment { offset: 0, len: 10, raw: 20, records: 1 }, Segment { offset: 10, len: 0, raw: 0, records: 0 }];
    let encoded = Index { segments }.encode().expect("few");
    let made = [&[1, 0xff, 0xff, 0][..], &5_u64.to_le_bytes(), &6_u64.to_le_bytes()].concat();
    vec![[&[0], encoded.as_slice()].concat(), made]
}

/// With an even first byte the rest is a segment; otherwise the payload of one frame.
pub(super) fn frames(bytes: &[u8]) {
    let mut feed = Feed::new(bytes);
    let kind = feed.byte();
    if kind & 1 == 0 {
        read_frames(feed.rest());
        return;
    }
    let codec = if kind & 2 == 0 { Codec::None } else { Codec::Lz4 };
    let raw_len = usize::from(feed.u16());
    let stored = feed.rest();
    let raw_len = if codec == Codec::None { stored.len() } else { raw_len };
    let header = FrameHeader::of(codec, stored, raw_len, 1).expect("short");
    let encoded = header.encode();
    assert_eq!(FrameHeader::decode(&encoded), Ok(header));
    header.verify(stored).expect("its own payload");
    let payloads = read_frames(&[&encoded, stored].concat());
    if codec == Codec::None {
        assert_eq!(payloads, [stored.to_vec()]);
    }
    for payload in payloads {
        assert_eq!(payload.len(), raw_len);
        records(&payload);
    }
}

fn read_frames(segment: &[u8]) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    let mut reader = SegmentReader::new(segment, segment.len() as u64, "segment".to_owned());
    while let Ok(Some(frame)) = reader.next_frame() {
        payloads.push(frame.payload.to_vec());
    }
    payloads
}

/// Records that are read are written the same, but for lengths that a writer would spell shorter.
fn records(payload: &[u8]) {
    let found: Vec<_> = Records::new(payload).map_while(Result::ok).collect();
    let mut again = Vec::new();
    found.iter().for_each(|(key, value)| record::put(&mut again, key, value));
    assert!(again.len() <= payload.len());
    assert!(Records::new(&again).map_while(Result::ok).eq(found));
}

pub(super) fn frame_seeds() -> Vec<Vec<u8>> {
    let mut payload = Vec::new();
    record::put(&mut payload, b"key", b"value");
    record::put(&mut payload, b"", &[7; 200]);
    let header = FrameHeader::of(Codec::None, &payload, payload.len(), 2).expect("short").encode();
    assert_eq!(header.len(), FRAME_HEADER_LEN);
    let segment = [&[0][..], &header, &payload, &header, &payload].concat();
    // One literal run, as LZ4 has it.
    let lz4 = [&[3, 5, 0, 0x50][..], b"hello"].concat();
    vec![segment, [&[1, 0, 0][..], &payload].concat(), lz4]
}

/// A key that is read encodes to the same bytes.
fn key_of<K: Key>(bytes: &[u8]) {
    let mut rest = bytes;
    if let Ok(read) = K::decode_key(&mut rest) {
        let taken = bytes.get(..bytes.len() - rest.len()).unwrap_or_default();
        assert_eq!(key::encoded(&read), taken);
        let _ = (key::prefix(bytes), key::partition_of(bytes, 7));
    }
}

/// Types of keys, by their place.
const KEYS: &[fn(&[u8])] = &[
    key_of::<u8>,
    key_of::<i64>,
    key_of::<u128>,
    key_of::<bool>,
    key_of::<char>,
    key_of::<()>,
    key_of::<f64>,
    key_of::<String>,
    key_of::<Vec<u8>>,
    key_of::<Vec<String>>,
    key_of::<Option<(String, i32)>>,
    key_of::<(Vec<Option<u16>>, String)>,
    key_of::<mammoth_runtime::text::Text>,
];

/// The first byte chooses the type.
pub(super) fn keys(bytes: &[u8]) {
    if let Some((kind, body)) = bytes.split_first()
        && let Some(read) = KEYS.get(usize::from(*kind))
    {
        read(body);
    }
}

pub(super) fn key_seeds() -> Vec<Vec<u8>> {
    let with = |kind: u8, body: Vec<u8>| [vec![kind], body].concat();
    let strings = vec!["a\0b".to_owned(), "ü".to_owned()];
    vec![
        with(1, key::encoded(&-5_i64)),
        with(4, key::encoded(&'ü')),
        with(6, key::encoded(&-1.5_f64)),
        with(7, key::encoded(&strings[0])),
        with(8, key::encoded(&vec![0_u8, 1, 2])),
        with(9, key::encoded(&strings)),
        with(10, key::encoded(&Some(("x".to_owned(), 5_i32)))),
        with(11, key::encoded(&(vec![Some(1_u16), None], "y".to_owned()))),
    ]
}

/// The first byte chooses what the rest is: a specification, a split, a stage, the name of a blob or of an output.
pub(super) fn blobs(bytes: &[u8]) {
    let mut feed = Feed::new(bytes);
    let kind = feed.byte();
    let body = feed.rest();
    match kind % 4 {
        0 => {
            let _ = mammoth_jobtracker::fuzzing::spec(body);
            if let Ok(spec) = postcard::from_bytes::<JobSpec>(body) {
                let again = postcard::to_allocvec(&spec).expect("plain data");
                assert_eq!(postcard::from_bytes(&again), Ok(spec));
            }
        }
        1 => {
            if let Ok(split) = TextSplit::decode(body) {
                let again = split.to_input_split().expect("plain data");
                assert_eq!(TextSplit::decode(&again.payload).ok(), Some(split));
            }
        }
        2 => {
            if let Ok(program) = Program::decode(body) {
                let again = program.encode().expect("plain data");
                assert_eq!(Program::decode(&again).ok().as_ref(), Some(&program));
                for partition in [0, 1, u32::MAX] {
                    let _ = program.leaves(partition);
                }
            }
        }
        _ => {
            let Ok(text) = std::str::from_utf8(body) else { return };
            if let Some(id) = BlobId::parse(text) {
                assert_eq!(id.to_string(), text.to_ascii_lowercase());
            }
            if is_output_name(text) {
                assert!(!text.contains(['/', '.']) && !text.is_empty());
            }
            id::<JobId>(text);
            id::<AppId>(text);
            id::<TaskId>(text);
            id::<AttemptId>(text);
            mammoth_tasktracker::fuzzing::owner(text);
        }
    }
}

/// An id that is read is written the same.
fn id<T: FromStr + Display>(text: &str) {
    if let Ok(id) = text.parse::<T>() {
        assert_eq!(id.to_string(), text);
    }
}

pub(super) fn blob_seeds() -> Vec<Vec<u8>> {
    let split = InputSplit { payload: vec![1, 2], len: 3, hosts: vec!["h".to_owned()], label: "l".to_owned() };
    let text = TextSplit {
        path: mammoth_protocol::DfsPath::parse("/a").expect("a path"),
        start: 5,
        len: 6,
        hosts: Vec::new(),
    };
    let with = |kind: u8, body: &[u8]| [&[kind], body].concat();
    vec![
        with(0, &postcard::to_allocvec(&spec(split)).expect("plain data")),
        with(1, &text.to_input_split().expect("plain data").payload),
        with(2, &mammoth_engine::fuzzing::program().encode().expect("plain data")),
        with(3, BlobId([0xab; 32]).to_string().as_bytes()),
        with(3, b"attempt_1700000000123_0007_r_000012_3"),
        with(3, b"application_1700000000123_0007"),
    ]
}

fn spec(split: InputSplit) -> JobSpec {
    mammoth_jobtracker::fuzzing::spec_of(vec![split])
}

/// Reads a JSON message, and writes and reads it again.
fn json<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(message) = serde_json::from_slice::<T>(bytes) else { return };
    let again = serde_json::to_vec(&message).expect("plain data");
    let back = serde_json::from_slice::<T>(&again).expect("its own text");
    // Not compared as values: a number that is none is not equal to itself.
    assert_eq!(serde_json::to_vec(&back).expect("plain data"), again);
}

/// Kinds of messages, by their place.
const MESSAGES: &[fn(&[u8])] = &[
    json::<RegisterRequest>,
    json::<RegisterReply>,
    json::<PollRequest>,
    json::<PollReply>,
    json::<ToChild>,
    json::<FromChild>,
    json::<NewAppRequest>,
    json::<NewAppReply>,
    json::<AppPoll>,
    json::<AppPollReply>,
    json::<AppStatus>,
    json::<TimedEvent>,
    json::<NewJobRequest>,
    json::<NewJobReply>,
    json::<SubmitRequest>,
    json::<JobStatus>,
    json::<ClusterStatus>,
    child,
    mammoth_engine::fuzzing::executor_messages,
    mammoth_runtime::fuzzing::answer_head,
];

/// A child's lines in pieces, whose length the first byte tells: no cut changes what is read.
fn child(bytes: &[u8]) {
    let Some((piece, lines)) = bytes.split_first() else { return };
    let whole = mammoth_tasktracker::fuzzing::child_messages(lines, lines.len());
    assert_eq!(mammoth_tasktracker::fuzzing::child_messages(lines, usize::from(*piece)), whole);
}

/// The first byte chooses the kind.
pub(super) fn messages(bytes: &[u8]) {
    if let Some((kind, body)) = bytes.split_first()
        && let Some(read) = MESSAGES.get(usize::from(*kind))
    {
        read(body);
    }
}

pub(super) fn message_seeds() -> Vec<Vec<u8>> {
    let text = |kind: u8, text: &str| [&[kind], text.as_bytes()].concat();
    let id = "abababab-abab-4bab-abab-abababababab";
    let task = "attempt_5_0001_m_000000_1";
    let mut seeds = vec![
        text(2, &format!(r#"{{"tracker":"{id}","epoch":1,"seq":1,"attempts":[],"executors":[],"wait_ms":5}}"#)),
        text(3, &format!(r#"{{"seq":1,"orders":[{{"order":"kill","attempt":"{task}","reason":"r"}}]}}"#)),
        text(4, r#"{"to":"stop","reason":"r"}"#),
        text(5, r#"{"from":"progress","progress":0.5,"phase":"p","counters":{"g":{"n":1}}}"#),
        text(17, "\x05{\"from\":\"ask_commit\"}\n{\"from\":\"failed\",\"reason\":\"r\"}\n"),
        text(19, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"),
    ];
    let mut orders = vec![18];
    put_part(&mut orders, &mammoth_engine::fuzzing::orders());
    seeds.push(orders);
    seeds
}
