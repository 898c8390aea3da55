//! Sessions of a client that is not ours, recorded once (`hdfs-native-0.14/README.md` tells how) and decoded here: bytes
//! that we did not write, so a field number or a framing rule that we have wrong cannot be wrong on both sides. Every
//! message is also encoded again and must give the same bytes, so that no field of the client's goes unread.
//!
//! What differs from one recording to the next (ids, times, ports) is checked for its form and left out of the tables.

#![allow(clippy::unwrap_used)]

mod calls;
mod datanode;
mod namenode;
mod text;

use prost::Message;
use std::path::Path;

/// What went over one connection.
struct Session {
    /// From the client.
    client: Vec<u8>,
    /// From the server.
    server: Vec<u8>,
}

/// The recorded connections to one door, in the order in which they were opened.
fn sessions(door: &str) -> Vec<Session> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/hdfs-native-0.14");
    let load = |number: usize, side: &str| std::fs::read(folder.join(format!("{door}-{number}.{side}"))).ok();
    let sessions: Vec<_> = (0..)
        .map_while(|number| Some(Session { client: load(number, "client")?, server: load(number, "server")? }))
        .collect();
    assert!(!sessions.is_empty(), "no recording in {}", folder.display());
    sessions
}

/// The bytes that the scenario writes into its file.
fn file_bytes(len: u32) -> Vec<u8> {
    (0..len).map(|i| (i * 31 % 251) as u8).collect()
}

/// Decodes a message all of whose fields we know.
#[track_caller]
fn message<M: Message + Default>(bytes: &[u8]) -> M {
    let message = M::decode(bytes).unwrap();
    assert_eq!(message.encode_to_vec(), bytes, "encoded again, it differs");
    message
}
