//! Checks of a replica's data against its checksums: in steps for the scrubber, and for the tail of a replica whose writer
//! died.

use crate::error::{DiskContext, Result};
use mammoth_platform::IoBuffer;
use mammoth_protocol::datatransfer::checksum::{self, CRC_BYTES, META_HEADER};
use mammoth_protocol::limits::BYTES_PER_CHECKSUM;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::volume::meta_len;

/// Data that is read at once.
const STEP: usize = 256 * 1024;

/// The two files of a replica, open.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) data: File,
    pub(crate) meta: File,
    /// Bytes that one checksum covers.
    pub(crate) chunk: usize,
}

/// Why files are not a replica.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// Missing, too short, or not what their checksums say.
    Bad(String),
    /// The disk does not tell.
    Disk(crate::error::DatanodeError),
}

impl From<crate::error::DatanodeError> for Unfit {
    fn from(error: crate::error::DatanodeError) -> Self {
        Self::Disk(error)
    }
}

fn open(path: &Path, write: bool, what: &str) -> std::result::Result<File, Unfit> {
    match File::options().read(true).write(write).open(path) {
        Ok(file) => Ok(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Unfit::Bad(format!("its {what} file is missing"))),
        Err(error) => Err(Unfit::Disk(Err::<(), _>(error).disk("open", path).expect_err("an error"))),
    }
}

fn length(file: &File, path: &Path) -> Result<u64> {
    Ok(file.metadata().disk("ask for the length of", path)?.len())
}

impl Files {
    /// Opens a replica of `len` bytes and checks that both files are long enough and the header makes sense.
    pub(crate) fn open(data: &Path, meta: &Path, len: u64, write: bool) -> std::result::Result<Self, Unfit> {
        let (data_file, meta_file) = (open(data, write, "data")?, open(meta, write, "checksum")?);
        let found = length(&data_file, data)?;
        if found < len {
            return Err(Unfit::Bad(format!("its data file has {found} of {len} bytes")));
        }
        let Some(chunk) = read_header(&meta_file, meta)? else {
            return Err(Unfit::Bad("its checksum file has no valid header".to_owned()));
        };
        let (found, needed) = (length(&meta_file, meta)?, meta_len(len, chunk));
        if found < needed {
            return Err(Unfit::Bad(format!("its checksum file has {found} of {needed} bytes")));
        }
        Ok(Self { data: data_file, meta: meta_file, chunk })
    }

    /// Checks `len` bytes from `pos`, a chunk boundary, against their checksums; reuses the buffers.
    pub(crate) fn check(&self, pos: u64, len: usize, buffers: &mut Buffers) -> io::Result<bool> {
        buffers.data.resize(len);
        self.data.read_exact_at(&mut buffers.data, pos)?;
        buffers.sums.resize(checksum::checksums_len(len, self.chunk), 0);
        self.meta.read_exact_at(&mut buffers.sums, self.sum_position(pos))?;
        Ok(checksum::verify(&buffers.data, &buffers.sums, self.chunk).is_ok())
    }

    /// Where the checksum of the chunk at `pos` lies in the meta file.
    pub(crate) fn sum_position(&self, pos: u64) -> u64 {
        sum_position(pos, self.chunk)
    }

    /// The checksum of the partial chunk that ends at `len`; 0 if the last chunk is full. The bytes are checked against
    /// the stored checksum, which may cover more of the chunk, up to `covered`.
    pub(crate) fn tail_crc(&self, len: u64, covered: u64) -> io::Result<Option<u32>> {
        let chunk = self.chunk as u64;
        let start = len - len % chunk;
        if start == len {
            return Ok(Some(0));
        }
        let end = covered.min(start + chunk);
        let mut data = vec![0; usize::try_from(end - start).unwrap_or(self.chunk)];
        self.data.read_exact_at(&mut data, start)?;
        let mut stored = [0; CRC_BYTES];
        self.meta.read_exact_at(&mut stored, self.sum_position(start))?;
        if checksum::crc(&data) != u32::from_be_bytes(stored) {
            return Ok(None);
        }
        let part = usize::try_from(len - start).unwrap_or(self.chunk);
        Ok(Some(checksum::crc(data.get(..part).unwrap_or(&data))))
    }

    /// Cuts both files to `len` bytes of data, whose last chunk has the checksum `tail_crc` if it is partial.
    pub(crate) fn cut(&self, len: u64, tail_crc: u32) -> io::Result<()> {
        let chunk = self.chunk as u64;
        // The checksum goes first: a crash in between leaves a chunk whose valid prefix can be found again.
        if !len.is_multiple_of(chunk) {
            self.meta.write_all_at(&tail_crc.to_be_bytes(), self.sum_position(len - len % chunk))?;
        }
        self.meta.set_len(meta_len(len, self.chunk))?;
        self.data.set_len(len)
    }
}

/// Where the checksum of the chunk at `pos` lies in a meta file.
pub(crate) fn sum_position(pos: u64, chunk: usize) -> u64 {
    (META_HEADER as u64).saturating_add((pos / chunk as u64).saturating_mul(CRC_BYTES as u64))
}

/// The chunk size of a meta file; `None` if the header is short or makes no sense.
fn read_header(meta: &File, path: &Path) -> Result<Option<usize>> {
    let mut header = [0; META_HEADER];
    match meta.read_exact_at(&mut header, 0) {
        Ok(()) => Ok(checksum::parse_meta_header(header).ok()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error).disk("read", path),
    }
}

/// Memory that checks reuse.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    data: IoBuffer,
    sums: Vec<u8>,
}

/// Verifies a whole replica in steps.
#[derive(Debug)]
pub(crate) struct Verifier {
    files: Files,
    path: PathBuf,
    pos: u64,
    len: u64,
    buffers: Buffers,
}

impl Verifier {
    /// Begins with the replica in these files, of `len` bytes.
    pub(crate) fn open(data: &Path, meta: &Path, len: u64) -> std::result::Result<Self, Unfit> {
        let files = Files::open(data, meta, len, false)?;
        Ok(Self { files, path: data.to_owned(), pos: 0, len, buffers: Buffers::default() })
    }

    /// Verifies a bit more; gives the bytes that it read, 0 at the end.
    pub(crate) fn step(&mut self) -> std::result::Result<usize, Unfit> {
        let step = (STEP / self.files.chunk).max(1) * self.files.chunk;
        let len = usize::try_from(self.len - self.pos).unwrap_or(step).min(step);
        if len == 0 {
            return Ok(0);
        }
        let fits = match self.files.check(self.pos, len, &mut self.buffers) {
            Ok(fits) => fits,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(Unfit::Bad("its files are shorter than they were".to_owned()));
            }
            Err(error) => return Err(Unfit::Bad(format!("it cannot be read from {}: {error}", self.path.display()))),
        };
        if !fits {
            return Err(Unfit::Bad(format!("wrong bytes between {} and {}", self.pos, self.pos + len as u64)));
        }
        self.pos += len as u64;
        Ok(len)
    }

    /// Verifies all that is left.
    pub(crate) fn finish(mut self) -> std::result::Result<(), Unfit> {
        while self.step()? > 0 {}
        Ok(())
    }
}

/// The part of an unfinished replica that its checksums vouch for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    /// Bytes of it.
    pub(crate) len: u64,
    /// Bytes that one checksum covers.
    pub(crate) chunk: usize,
    /// The first wrong byte lies before the last chunk, where no writer that merely died leaves one.
    pub(crate) inner_damage: bool,
}

/// Finds the longest valid prefix of an unfinished replica, to the byte.
///
/// A writer puts data on the disk before its checksum, so behind the last checksum there may be more data, and the last
/// checksum may cover only the beginning of its chunk: the length at which it fits is searched.
pub(crate) fn valid_prefix(data: &Path, meta: &Path) -> Result<Prefix> {
    let data_file = File::open(data).disk("open", data)?;
    let meta_file = File::open(meta).disk("open", meta)?;
    let Some(chunk) = read_header(&meta_file, meta)? else {
        return Ok(Prefix { len: 0, chunk: BYTES_PER_CHECKSUM, inner_damage: false });
    };
    let files = Files { chunk, data: data_file, meta: meta_file };
    let data_len = length(&files.data, data)?;
    let sums = length(&files.meta, meta)?.saturating_sub(META_HEADER as u64) / CRC_BYTES as u64;
    let covered = sums.saturating_mul(chunk as u64).min(data_len);
    let mut buffers = Buffers::default();
    let step = (STEP / chunk).max(1) * chunk;
    let mut pos = 0;
    while pos < covered {
        let len = usize::try_from(covered - pos).unwrap_or(step).min(step);
        if !files.check(pos, len, &mut buffers).disk("read", data)? {
            break;
        }
        pos += len as u64;
    }
    if pos >= covered {
        return Ok(Prefix { len: covered, chunk, inner_damage: false });
    }
    let (index, inside) = first_bad(&buffers, chunk);
    let start = pos + index as u64 * chunk as u64;
    let inner_damage = start + (chunk as u64) < covered;
    Ok(Prefix { len: start + inside as u64, chunk, inner_damage })
}

/// The first chunk of the buffers that does not fit its checksum, and how many of its bytes the checksum fits.
fn first_bad(buffers: &Buffers, chunk: usize) -> (usize, usize) {
    let (sums, _) = buffers.sums.as_chunks::<CRC_BYTES>();
    for (index, (part, sum)) in buffers.data.chunks(chunk).zip(sums).enumerate() {
        let stored = u32::from_be_bytes(*sum);
        if checksum::crc(part) == stored {
            continue;
        }
        let mut crc = 0;
        for (at, byte) in part.iter().enumerate() {
            crc = checksum::extend_crc(crc, std::slice::from_ref(byte));
            if crc == stored {
                return (index, at + 1);
            }
        }
        return (index, 0);
    }
    (buffers.data.len() / chunk, 0)
}
