//! Standard input that the user can interrupt: a thread reads, so that the copy can look at both the input and the signal.

use crate::fault::{Fault, Stopped};
use mammoth_platform::{PlatformError, Shutdown};
use std::io::{self, ErrorKind, Read};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks that may wait for the copy.
const QUEUE: usize = 4;
/// How long a signal may go unnoticed.
const TICK: Duration = Duration::from_millis(50);

/// An input that ends with [`Stopped`] once its token is triggered.
pub(crate) struct StoppableInput {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    position: usize,
    stop: Shutdown,
}

impl StoppableInput {
    /// The standard input of the process.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub(crate) fn start(stop: &Shutdown) -> Result<Self, Fault> {
        Self::of(io::stdin(), stop)
    }

    fn of(input: impl Read + Send + 'static, stop: &Shutdown) -> Result<Self, Fault> {
        let (send, chunks) = mpsc::sync_channel(QUEUE);
        // Nobody waits for the thread: it may sit in a read that never returns.
        std::thread::Builder::new()
            .name("stdin".to_owned())
            .spawn(move || read_all(input, &send))
            .map_err(|source| PlatformError::System { action: "start a thread", source })?;
        Ok(Self { chunks, chunk: Vec::new(), position: 0, stop: stop.clone() })
    }

    /// Gets the next chunk; false at the end.
    fn advance(&mut self) -> io::Result<bool> {
        loop {
            if self.stop.is_triggered() {
                return Err(io::Error::other(Stopped));
            }
            match self.chunks.recv_timeout(TICK) {
                Ok(chunk) => {
                    (self.chunk, self.position) = (chunk?, 0);
                    return Ok(true);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(false),
            }
        }
    }
}

impl Read for StoppableInput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.position >= self.chunk.len() {
            if !self.advance()? {
                return Ok(0);
            }
        }
        let read = self.chunk.get(self.position..).unwrap_or_default().read(buffer)?;
        self.position += read;
        Ok(read)
    }
}

/// Reads to the end, to an error, or until nobody wants more.
fn read_all(mut input: impl Read, chunks: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut chunk = vec![0; CHUNK_BYTES];
        let result = match input.read(&mut chunk) {
            Ok(0) => return,
            Ok(count) => {
                chunk.truncate(count);
                Ok(chunk)
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => Err(e),
        };
        let failed = result.is_err();
        if chunks.send(result).is_err() || failed {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_pass_and_errors_too() {
        let text: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut read = Vec::new();
        StoppableInput::of(io::Cursor::new(text.clone()), &Shutdown::new()).unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, text);
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(ErrorKind::InvalidData.into())
            }
        }
        let mut input = StoppableInput::of(Broken, &Shutdown::new()).unwrap();
        assert_eq!(input.read(&mut [0]).unwrap_err().kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn a_signal_ends_an_input_that_never_comes() {
        let (reader, _writer) = io::pipe().unwrap();
        let stop = Shutdown::new();
        let mut input = StoppableInput::of(reader, &stop).unwrap();
        stop.trigger();
        let error = input.read(&mut [0]).unwrap_err();
        assert!(matches!(Fault::stream("-", error), Fault::Interrupted));
    }
}
