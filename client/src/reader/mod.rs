//! Reading a file: [`FileReader`].
//!
//! A position is read from the nearest replica of its block: over TCP ([`stream`]), or from its files ([`local`]) where a
//! datanode on this machine gives them ([`short_circuit`]). A replica that fails in any way is passed over,
//! and reading goes on at the same byte from the next; when all have failed the namenode is asked for others
//! ([`locations`]), a few times. Where the configuration says so, a second replica is read beside one that gives nothing
//! ([`hedge`]). Corrupt replicas are reported to the namenode.

mod failover;
pub(crate) mod fuzzing;
mod hedge;
mod local;
mod locations;
mod short_circuit;
mod stream;
#[cfg(test)]
mod tests;

use crate::client::ClientShared;
use crate::error::ClientError;
use failover::{Cursor, Source};
pub(crate) use hedge::Hedging;
use mammoth_protocol::DfsPath;
pub(crate) use short_circuit::ShortCircuit;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

/// An open file that is being read. Every byte is verified against its checksum; a replica that is corrupt or cannot be
/// reached is passed over for another one, at the same position, without the caller noticing.
///
/// Large buffers are cheap: data goes straight into them.
#[derive(Debug)]
pub struct FileReader {
    source: Source,
    cursor: Cursor,
}

impl FileReader {
    pub(crate) fn open(shared: Arc<ClientShared>, path: &DfsPath) -> Result<Self, ClientError> {
        let source = Source::open(shared, path)?;
        let cursor = Cursor::new(0, source.len());
        Ok(Self { source, cursor })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &DfsPath {
        self.source.path()
    }

    /// Length in bytes, as it was when the file was opened.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.source.len()
    }

    /// Whether there is nothing to read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads at a position, on a connection of its own and from any thread; the position of the reader does not matter or
    /// change. Fills `buffer` unless the file ends before.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, ClientError> {
        let end = offset.saturating_add(buffer.len() as u64).min(self.len());
        let mut cursor = Cursor::new(offset, end);
        let mut filled = 0;
        loop {
            match self.source.read(&mut cursor, buffer.get_mut(filled..).unwrap_or_default())? {
                0 => return Ok(filled),
                read => filled += read,
            }
        }
    }
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.source.read(&mut self.cursor, buffer)?)
    }
}

impl Seek for FileReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(by) => self.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.cursor.position().checked_add_signed(by),
        };
        let position = position.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("{}: seek before the start", self.path()))
        })?;
        self.cursor.seek(position);
        Ok(position)
    }
}
