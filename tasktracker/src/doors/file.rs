//! A part of a file as the body of a response: read in large pieces on threads that may block, one piece ahead of the network.

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use mammoth_platform::IoBuffer;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::task::JoinHandle;

/// Bytes of one piece.
const PIECE: u64 = 1 << 20;

/// The rest of the part.
pub(super) struct FilePart {
    file: Arc<File>,
    offset: u64,
    left: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

/// A body of `len` bytes from `offset` on. A file that is shorter breaks the connection, as the length was promised.
pub(super) fn body(file: File, offset: u64, len: u64) -> Body {
    if len == 0 {
        return Body::empty();
    }
    let mut part = FilePart { file: Arc::new(file), offset, left: len, reading: None };
    part.read_ahead();
    Body::new(part)
}

/// Reads exactly `len` bytes.
pub(super) fn read(file: &File, offset: u64, len: u64) -> io::Result<Bytes> {
    let mut buffer = IoBuffer::new(usize::try_from(len).map_err(io::Error::other)?);
    file.read_exact_at(&mut buffer, offset)?;
    Ok(Bytes::from_owner(buffer))
}

impl FilePart {
    fn read_ahead(&mut self) {
        if self.left == 0 {
            return;
        }
        let (file, offset, len) = (Arc::clone(&self.file), self.offset, self.left.min(PIECE));
        self.offset += len;
        self.left -= len;
        self.reading = Some(tokio::task::spawn_blocking(move || read(&file, offset, len)));
    }
}

impl HttpBody for FilePart {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
        let read = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        let read = read.map_err(io::Error::other).and_then(|read| read);
        if read.is_ok() {
            self.read_ahead();
        } else {
            self.left = 0;
        }
        Poll::Ready(Some(read.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        // What is being read was taken off what is left; only the first hint is used, and it is given as a header.
        SizeHint::default()
    }
}
