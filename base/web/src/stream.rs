//! A response of text that is made while it is read: a few pieces wait at most, and a reader that goes away, or takes nothing
//! for a minute, ends the work.

use axum::body::Body;
use hyper::body::{Bytes, Frame};
use std::convert::Infallible;
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
}

/// A body, and who fills it; it ends when the sender is dropped.
pub fn text() -> (TextSender, Body) {
    text_for(PATIENCE)
}

fn text_for(patience: Duration) -> (TextSender, Body) {
    let (pieces, taken) = mpsc::channel(PIECES);
    (TextSender { pieces, patience }, Body::new(Pieces(taken)))
}

struct Pieces(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
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
            Ok::<_, ReaderGone>(())
        });
        assert_eq!(body.collect().await.unwrap().to_bytes(), "0123456789");
        assert_eq!(work.await.unwrap(), Ok(()));
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
