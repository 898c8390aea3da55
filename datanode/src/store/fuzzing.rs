//! The parsers of this folder, for [`crate::fuzzing`].

use super::layout::{FileKind, bad_data_name, data_name, meta_name, parse_name};
use super::state::VolumeState;
use super::verify::{self, Verifier};
use super::version;
use crate::error::Result;
use std::path::Path;

pub(crate) fn valid_prefix(data: &Path, meta: &Path) -> Result<u64> {
    verify::valid_prefix(data, meta).map(|prefix| prefix.len)
}

pub(crate) fn verify(data: &Path, meta: &Path, len: u64) -> bool {
    Verifier::open(data, meta, len).and_then(Verifier::finish).is_ok()
}

pub(crate) fn file_name(text: &str) {
    let again = match parse_name(text) {
        None => return,
        Some(FileKind::Data(id)) => data_name(id),
        Some(FileKind::Meta(id, stamp)) => meta_name(id, stamp),
        Some(FileKind::BadData(id, stamp)) => bad_data_name(id, stamp),
    };
    assert_eq!(again, text);
}

pub(crate) fn version_file(path: &Path) {
    let _ = version::read_volume(path);
}

pub(crate) fn volume_memory(bytes: &[u8]) {
    if let Ok(state) = VolumeState::parse(bytes) {
        let again = serde_json::to_vec(&state).expect("plain data");
        assert_eq!(VolumeState::parse(&again).ok(), Some(state));
    }
}
