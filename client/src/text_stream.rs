//! Text that a daemon makes while it is read, over HTTP: on a thread of its own, so that the reader's thread only waits,
//! inside an async runtime or not.

use crate::error::ClientError;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Time for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a daemon may be silent.
const SILENCE: Duration = Duration::from_secs(120);
/// Pieces that wait for the reader.
const PIECES: usize = 8;
/// Longest part of a refusal that is told.
const REFUSAL_MAX: usize = 1000;

/// The bytes of an answer as they come. Dropping it ends the connection.
#[derive(Debug)]
pub struct TextStream {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    at: usize,
}

impl TextStream {
    /// Asks `http://ADDRESS ROUTE?PARAMETERS`.
    ///
    /// # Errors
    /// No thread to do it. A daemon that is not there, or refuses, is an error of the first read.
    pub fn get(address: &str, route: &str, parameters: &[(&str, &str)]) -> Result<Self, ClientError> {
        let text = format!("http://{address}{route}");
        let url = reqwest::Url::parse_with_params(&text, parameters);
        let url = url.map_err(|error| ClientError::Invalid(format!("`{address}` is no host:port: {error}")))?;
        let (sender, pieces) = sync_channel(PIECES);
        let work = move || run(url, &sender);
        std::thread::Builder::new()
            .name("text-stream".to_owned())
            .spawn(work)
            .map_err(|error| ClientError::local("cannot start a thread", &error))?;
        Ok(Self { pieces, piece: Vec::new(), at: 0 })
    }
}

impl Read for TextStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            match self.pieces.recv() {
                Ok(piece) => (self.piece, self.at) = (piece?, 0),
                Err(_) => return Ok(0),
            }
        }
        let rest = self.piece.get(self.at..).unwrap_or_default();
        let taken = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..taken), rest.get(..taken)) {
            to.copy_from_slice(from);
        }
        self.at += taken;
        Ok(taken)
    }
}

fn run(url: reqwest::Url, sender: &SyncSender<io::Result<Vec<u8>>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.and_then(|runtime| runtime.block_on(pass_on(url, sender)));
    if let Err(error) = outcome {
        // Nobody is there to hear it if the reader has gone.
        let _ = sender.send(Err(error));
    }
}

async fn pass_on(url: reqwest::Url, sender: &SyncSender<io::Result<Vec<u8>>>) -> io::Result<()> {
    let place = url.origin().ascii_serialization();
    let failed = |error: reqwest::Error| {
        let cause = crate::text::chain(&error.without_url());
        io::Error::other(format!("{place}: {cause}"))
    };
    let client = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(SILENCE).no_proxy();
    let client = client.redirect(reqwest::redirect::Policy::none()).build().map_err(failed)?;
    let mut response = client.get(url).send().await.map_err(failed)?;
    let status = response.status();
    let mut refusal = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(failed)? {
        if !status.is_success() {
            refusal.extend(piece.iter().take(REFUSAL_MAX - refusal.len().min(REFUSAL_MAX)));
        } else if sender.send(Ok(piece.into())).is_err() {
            return Ok(());
        }
    }
    if status.is_success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&refusal).trim().to_owned();
    Err(io::Error::other(format!("{place} answered {status}: {text}")))
}
