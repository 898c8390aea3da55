//! Takes the bytes of a connection apart: first the preamble, then frames.
//!
//! The buffer grows with what arrives, not with what a length prefix claims.

use bytes::{Buf, Bytes, BytesMut};
use mammoth_protocol::rpc::{self, BadPreamble, FRAME_PREFIX, PREAMBLE_BYTES, Preamble};
use mammoth_protocol::wire::WireError;
use std::future::Future;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

/// Longest frame before the connection context is complete.
pub(super) const HANDSHAKE_FRAME_MAX: usize = 64 * 1024;
/// Room that a buffer has at first, and that a read gets at most before more has arrived.
const READ_MIN: usize = 2 * 1024;
const READ_STEP: usize = 64 * 1024;
/// Room that a read gets at least, unless more is known to come: most calls fit, and a buffer serves several.
const READ_LEAST: usize = 256;

/// Why no further frame comes.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameEnd {
    /// The peer closed the connection between two frames.
    #[error("closed by the peer")]
    Closed,
    /// Nothing came for too long.
    #[error("silent for too long")]
    Idle,
    /// A frame began but did not arrive whole in time.
    #[error("a frame did not arrive in time")]
    Stalled,
    /// A frame that may not be.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The opening is no Hadoop RPC.
    #[error(transparent)]
    Preamble(#[from] BadPreamble),
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The reading half of a connection.
pub(super) struct FrameReader<R> {
    stream: R,
    buffer: BytesMut,
    /// The last read took all the room that it had.
    was_full: bool,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { stream, buffer: BytesMut::new(), was_full: false }
    }

    /// Reads what has arrived, one byte at least.
    async fn fill(&mut self, missing: usize) -> Result<(), FrameEnd> {
        let least = if self.was_full { READ_MIN } else { missing.clamp(READ_LEAST, READ_MIN) };
        if self.buffer.capacity() - self.buffer.len() < least {
            self.buffer.reserve(missing.clamp(READ_MIN, READ_STEP));
        }
        let read = self.stream.read_buf(&mut self.buffer).await?;
        self.was_full = self.buffer.len() == self.buffer.capacity();
        match read {
            0 if self.buffer.is_empty() => Err(FrameEnd::Closed),
            0 => Err(FrameEnd::Io(io::ErrorKind::UnexpectedEof.into())),
            _ => Ok(()),
        }
    }

    pub(super) async fn preamble(&mut self) -> Result<Preamble, FrameEnd> {
        loop {
            if let Some(preamble) = rpc::parse_preamble(&self.buffer)? {
                self.buffer.advance(PREAMBLE_BYTES);
                return Ok(preamble);
            }
            self.fill(PREAMBLE_BYTES).await?;
        }
    }

    /// Waits for the next frame to begin, then for its length.
    pub(super) async fn frame_len(&mut self, max: usize, idle: Duration, stall: Duration) -> Result<usize, FrameEnd> {
        if self.buffer.is_empty() {
            within(idle, FrameEnd::Idle, self.fill(FRAME_PREFIX)).await?;
        }
        within(stall, FrameEnd::Stalled, async {
            loop {
                match rpc::frame_len(&self.buffer, max)? {
                    Some(len) => return Ok(len),
                    None => self.fill(FRAME_PREFIX).await?,
                }
            }
        })
        .await
    }

    /// Reads the frame whose length [`Self::frame_len`] told.
    pub(super) async fn frame(&mut self, len: usize, stall: Duration) -> Result<Bytes, FrameEnd> {
        let total = FRAME_PREFIX + len;
        if self.buffer.len() < total {
            within(stall, FrameEnd::Stalled, async {
                while self.buffer.len() < total {
                    self.fill(total - self.buffer.len()).await?;
                }
                Ok(())
            })
            .await?;
        }
        self.buffer.advance(FRAME_PREFIX);
        Ok(self.buffer.split_to(len).freeze())
    }

    /// Reads and forgets until the peer closes, for a while: closing a socket with unread bytes would reset the connection,
    /// and the peer might never see what was written last.
    pub(super) async fn discard(mut self, bytes: usize, time: Duration) {
        let mut left = bytes;
        let _ = timeout(time, async {
            while left > 0 {
                self.buffer.clear();
                self.buffer.reserve(READ_MIN);
                match self.stream.read_buf(&mut self.buffer).await {
                    Ok(0) | Err(_) => break,
                    Ok(read) => left = left.saturating_sub(read),
                }
            }
        })
        .await;
    }
}

async fn within<T>(
    time: Duration,
    late: FrameEnd,
    work: impl Future<Output = Result<T, FrameEnd>>,
) -> Result<T, FrameEnd> {
    timeout(time, work).await.unwrap_or(Err(late))
}
