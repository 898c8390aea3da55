//! Copying with two hands: one thread reads the next pieces while the caller writes the last one. On a large file that is the
//! difference between the sum of both and the larger of both.

use super::engine::pump_through;
use crate::fault::Fault;
use mammoth_platform::{IoBuffer, PlatformError};
use std::io::{self, ErrorKind, Read, Write};
use std::sync::mpsc::{self, Receiver, SyncSender};

/// Bytes of a piece: few enough to stay in a core's cache between the two hands.
const PIECE_BYTES: usize = 512 << 10;
/// Bytes of the smallest buffer.
const SMALLEST_BYTES: usize = 16 << 10;
/// Pieces between reader and writer.
const PIECES: usize = 4;
/// Files up to this size are not worth a thread.
const SMALL_BYTES: u64 = 4 << 20;

/// A piece that was read.
struct Piece {
    bytes: IoBuffer,
    filled: usize,
}

/// Moves all bytes from `input`, which has `len` of them as far as is known, to `output`, telling `each` how many moved. The
/// names are what errors are about.
pub(super) fn copy(
    input_name: &str,
    mut input: Box<dyn Read + Send>,
    len: u64,
    output_name: &str,
    output: &mut (impl Write + ?Sized),
    mut each: impl FnMut(u64) -> Result<(), Fault>,
) -> Result<(), Fault> {
    if len <= SMALL_BYTES {
        // As much as the file has, and a byte to find its end with: most of a large buffer would be zeros for nothing. Some files
        // have more than they say, such as those of /proc.
        let room = usize::try_from(len + 1).unwrap_or(PIECE_BYTES).clamp(SMALLEST_BYTES, PIECE_BYTES);
        return pump_through(&mut IoBuffer::new(room), input_name, &mut *input, output_name, output, each);
    }
    let (full, pieces) = mpsc::sync_channel(PIECES);
    let (empty, free) = mpsc::sync_channel(PIECES);
    // Nobody waits for the thread: when the copy ends early it may still sit in a read.
    std::thread::Builder::new()
        .name("read-ahead".to_owned())
        .spawn(move || read_all(&mut *input, &free, &full))
        .map_err(|source| PlatformError::System { action: "start a thread", source })?;
    for _ in 0..PIECES {
        let _ = empty.send(IoBuffer::new(PIECE_BYTES));
    }
    for piece in pieces {
        let Piece { bytes, filled } = piece.map_err(|error| Fault::stream(input_name, error))?;
        let data = bytes.get(..filled).unwrap_or_default();
        output.write_all(data).map_err(|error| Fault::stream(output_name, error))?;
        each(filled as u64)?;
        // A reader that has ended needs no more pieces.
        let _ = empty.send(bytes);
    }
    Ok(())
}

/// Reads to the end, to an error, or until nobody wants more.
fn read_all(input: &mut dyn Read, free: &Receiver<IoBuffer>, full: &SyncSender<io::Result<Piece>>) {
    while let Ok(mut bytes) = free.recv() {
        let piece = fill(input, &mut bytes).map(|filled| Piece { bytes, filled });
        let ended = !matches!(&piece, Ok(piece) if piece.filled > 0);
        let wanted = matches!(&piece, Ok(piece) if piece.filled == 0) || full.send(piece).is_ok();
        if ended || !wanted {
            return;
        }
    }
}

/// Reads until the piece is full or the input ends; what came before an error is told first.
fn fill(input: &mut dyn Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    loop {
        let room = bytes.get_mut(filled..).unwrap_or_default();
        if room.is_empty() {
            return Ok(filled);
        }
        match input.read(room) {
            Ok(0) => return Ok(filled),
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives `len` bytes in odd portions, then an error or the end.
    struct Portions {
        len: usize,
        given: usize,
        fails: bool,
    }

    fn byte(position: usize) -> u8 {
        (position % 251) as u8
    }

    impl Read for Portions {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = buffer.len().min(self.len - self.given).min(77_777);
            if count == 0 && self.fails {
                return Err(io::Error::other("the source broke"));
            }
            for (at, target) in buffer.iter_mut().take(count).enumerate() {
                *target = byte(self.given + at);
            }
            self.given += count;
            Ok(count)
        }
    }

    fn copied(len: usize, fails: bool, output: &mut dyn Write) -> (Result<(), Fault>, u64) {
        let input = Box::new(Portions { len, given: 0, fails });
        let mut moved = 0;
        let each = |count| {
            moved += count;
            Ok(())
        };
        let result = copy("in", input, len as u64, "out", output, each);
        (result, moved)
    }

    #[test]
    fn all_bytes_arrive_in_order_whatever_the_size() {
        for len in [0, 1, SMALL_BYTES as usize, SMALL_BYTES as usize + 1, 9_999_999] {
            let mut out = Vec::new();
            let (result, moved) = copied(len, false, &mut out);
            assert!(result.is_ok() && moved == len as u64, "{len}: {moved}");
            assert!(out.iter().enumerate().all(|(at, found)| *found == byte(at)) && out.len() == len, "{len}");
        }
    }

    #[test]
    fn an_input_that_breaks_is_told_and_so_is_an_output() {
        let (result, _) = copied(6_000_000, true, &mut Vec::new());
        assert!(result.unwrap_err().to_string().contains("the source broke"));
        let mut short = [0_u8; 1_000_000];
        let (result, moved) = copied(6_000_000, false, &mut &mut short[..]);
        assert!(result.is_err() && moved <= 1_000_000, "{moved}");
    }
}
