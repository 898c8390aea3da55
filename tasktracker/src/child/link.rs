//! The tracker's side of the link: bytes to messages and messages to bytes, without the socket.

use mammoth_protocol::jobs::link::{FromChild, LINE_MAX, ToChild};

/// What came in and is not a whole line yet.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    /// Where the next line begins, and up to where its end was looked for.
    at: usize,
    searched: usize,
}

impl Inbox {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.at);
        self.searched -= self.at;
        self.at = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next message.
    ///
    /// # Errors
    /// A line that is too long or no message, in words.
    pub(crate) fn next(&mut self) -> Result<Option<FromChild>, String> {
        let rest = self.bytes.get(self.searched..).unwrap_or_default();
        let Some(end) = rest.iter().position(|byte| *byte == b'\n').map(|found| self.searched + found) else {
            self.searched = self.bytes.len();
            if self.bytes.len() - self.at >= LINE_MAX {
                return Err(format!("it sent a line of over {LINE_MAX} bytes on its link"));
            }
            return Ok(None);
        };
        let line = self.bytes.get(self.at..end).unwrap_or_default();
        let message =
            serde_json::from_slice(line).map_err(|error| format!("it sent a malformed line on its link: {error}"));
        self.at = end + 1;
        self.searched = self.at;
        message.map(Some)
    }
}

/// What has not been taken by the child yet.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    at: usize,
}

impl Outbox {
    pub(crate) fn push(&mut self, message: &ToChild) {
        // Our own messages have string keys and finite numbers only, which JSON can say.
        if serde_json::to_writer(&mut self.bytes, message).is_ok() {
            self.bytes.push(b'\n');
        }
    }

    pub(crate) fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(crate) fn taken(&mut self, len: usize) {
        self.at += len;
        if self.at >= self.bytes.len() {
            self.bytes.clear();
            self.at = 0;
        }
    }
}
