//! The parsers of what comes from disks and child processes, for the fuzz targets: nothing else calls them by these names.

use crate::child::Inbox;
use crate::names::Owner;

/// Reads a text as the `VERSION` of a tracker's folder.
pub fn version_file(text: &str) {
    let _ = crate::folder::parse_version(text);
}

/// Reads what a child says, which comes in pieces of `piece` bytes; gives the number of messages before the first that is none.
#[must_use]
pub fn child_messages(bytes: &[u8], piece: usize) -> usize {
    let (mut inbox, mut messages) = (Inbox::default(), 0);
    for piece in bytes.chunks(piece.max(1)) {
        inbox.push(piece);
        loop {
            match inbox.next() {
                Ok(Some(_)) => messages += 1,
                Ok(None) => break,
                Err(_) => return messages,
            }
        }
    }
    messages
}

/// Reads the name of a job or application in a path.
pub fn owner(text: &str) {
    if let Ok(owner) = text.parse::<Owner>() {
        assert_eq!(owner.to_string(), text);
    }
}

/// Reads the parameters of a request.
pub fn query(text: &str) {
    crate::doors::fuzz_query(text);
}
