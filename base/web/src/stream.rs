//! A response of text that is made while it is read: a few pieces wait at most, and a reader that goes away, or takes nothing
//! for a minute, ends the work.

use axum::body::Body;
use hyper::body::{Bytes, Frame};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;

/// Pieces that wait for the reader.
const PIECES: usize = 4;
/// How long a reader may take nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// Takes the pieces of a text.
#[derive(Debug)]
pub struct TextSender {
    /// An empty one is the end.
    pieces: mpsc::Sender<Bytes>,
    patience: Duration,
}

/// The reader is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReaderGone;

impl TextSender {
    /// Hands a piece on, once there is room for it.
    ///
    /// # Errors
    /// Nobody reads any more: there is no use in going on.
    pub async fn send(&self, piece: String) -> Result<(), ReaderGone> {
        if piece.is_empty() {
            return if self.pieces.is_closed() { Err(ReaderGone) } else { Ok(()) };
        }
        self.pieces.send_timeout(piece.into(), self.patience).await.map_err(|_| ReaderGone)
    }

    /// Says that this was all: a text that ends without breaks its connection, so that no reader takes a part for the whole.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn finish(&self) -> Result<(), ReaderGone> {
        self.pieces.send_timeout(Bytes::new(), self.patience).await.map_err(|_| ReaderGone)
    }
}

/// A body, and who fills it; it ends in order when the sender says so, otherwise when it is dropped.
pub fn text() -> (TextSender, Body) {
    text_for(PATIENCE)
}

fn text_for(patience: Duration) -> (TextSender, Body) {
    let (pieces, taken) = mpsc::channel(PIECES);
    (TextSender { pieces, patience }, Body::new(Pieces { taken, ended: false }))
}

struct Pieces {
    taken: mpsc::Receiver<Bytes>,
    ended: bool,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        self.taken.poll_recv(cx).map(|piece| match piece {
            Some(piece) if !piece.is_empty() => Some(Ok(Frame::data(piece))),
            end => {
                self.ended = true;
                let broken = || Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the text ended early"));
                end.is_none().then(broken)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn pieces_arrive_in_order_and_the_end_is_the_senders() {
        let (sender, body) = text();
        let work = tokio::spawn(async move {
            for n in 0..10 {
                sender.send(format!("{n}")).await?;
                sender.send(String::new()).await?;
            }
            sender.finish().await
        });
        assert_eq!(body.collect().await.unwrap().to_bytes(), "0123456789");
        assert_eq!(work.await.unwrap(), Ok(()));
        let (sender, body) = text();
        sender.send("a part".to_owned()).await.unwrap();
        drop(sender);
        assert!(body.collect().await.is_err(), "a part is not the whole");
    }

    #[tokio::test]
    async fn a_reader_that_goes_away_or_takes_nothing_ends_the_work() {
        let (sender, body) = text();
        drop(body);
        assert_eq!(sender.send(String::new()).await, Err(ReaderGone));
        let (sender, _body) = text_for(Duration::from_millis(20));
        let mut sent = 0;
        while sender.send("x".to_owned()).await.is_ok() {
            sent += 1;
        }
        assert_eq!(sent, PIECES);
    }
}
