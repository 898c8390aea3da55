//! The parsers of this folder, for [`crate::fuzzing`].

use super::local::LocalBlock;
use super::locations::Locations;
use super::stream::{self, BlockStream, Failure};
use crate::fuzzing::Parts;
use crate::types::BlockLocations;
use std::fs::File;
use std::io::Write;
use std::ops::Range;

fn text(failure: &Failure) -> String {
    failure.text().to_owned()
}

pub(crate) fn answer(mut bytes: &[u8]) -> bool {
    stream::read_response(&mut bytes).is_ok()
}

pub(crate) fn locations(found: BlockLocations, position: u64) {
    let mut locations = Locations::empty(found.file_len);
    locations.take_in(found);
    for position in [0, position / 2, position, u64::MAX] {
        if let Some(block) = locations.block_at(position) {
            assert!(block.holds(position));
        }
    }
}

pub(crate) fn block(bytes: &[u8], chunk: usize, range: Range<u64>, buffer: usize) -> Result<Vec<u8>, String> {
    let start = range.start - range.start % chunk as u64;
    let mut stream = BlockStream::over(bytes, chunk, start, range.clone());
    let mut buffer = vec![0; buffer];
    let mut found = Vec::new();
    while !stream.is_done() {
        let read = stream.read(&mut buffer).map_err(|failure| text(&failure))?;
        assert!(read > 0, "a read that is not at its end gives something");
        found.extend_from_slice(buffer.get(..read).unwrap_or_default());
    }
    assert_eq!(found.len() as u64, range.end - range.start);
    Ok(found)
}

fn file(bytes: &[u8]) -> File {
    let made = rustix::fs::memfd_create("fuzz", rustix::fs::MemfdFlags::CLOEXEC);
    let mut file = File::from(made.expect("memory for a file"));
    file.write_all(bytes).expect("memory for a file");
    file
}

pub(crate) fn files(data: &[u8], meta: &[u8], range: Range<u64>, buffer: usize, jump: u64) -> Result<Parts, String> {
    let mut block =
        LocalBlock::open([file(data), file(meta)], range.start, range.end).map_err(|failure| text(&failure))?;
    let mut buffer = vec![0; buffer];
    let mut parts = Parts::new();
    let mut at = range.start;
    while !block.is_done() {
        let read = block.read(&mut buffer).map_err(|failure| text(&failure))?;
        assert!(read > 0, "a read that is not at its end gives something");
        parts.push((at, buffer.get(..read).unwrap_or_default().to_vec()));
        at += read as u64;
        if parts.len() == 1 && jump < range.end {
            block.seek(jump);
            at = jump;
        }
    }
    Ok(parts)
}
