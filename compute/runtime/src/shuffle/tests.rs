//! Outputs as written and read back, and every kind of damage.

use super::*;
use crate::error::RuntimeError;
use std::io::Read;

/// Frames of a segment, decompressed.
fn frames<R: Read>(mut reader: SegmentReader<R>) -> Result<Vec<(Vec<u8>, u32)>, RuntimeError> {
    let mut all = Vec::new();
    while let Some(frame) = reader.next_frame()? {
        all.push((frame.payload.to_vec(), frame.records));
    }
    Ok(all)
}

fn sample(dir: &Path, codec: Codec) -> Finished {
    let mut writer = OutputWriter::create(dir, "attempt_1", 4, codec).unwrap();
    writer.write(0, b"first", 1).unwrap();
    writer.write(0, &[b'x'; 5000], 2).unwrap();
    writer.write(2, b"", 0).unwrap();
    writer.write(2, b"third", 3).unwrap();
    writer.finish().unwrap()
}

#[test]
fn an_output_comes_back_partition_by_partition() {
    for codec in [Codec::None, Codec::Lz4] {
        let dir = tempfile::tempdir().unwrap();
        let finished = sample(dir.path(), codec);
        assert_eq!(finished.records, 6);
        assert_eq!(finished.raw_bytes, 5010);
        assert_eq!(finished.bytes < 300, codec == Codec::Lz4);
        let reader = OutputReader::open(dir.path(), "attempt_1").unwrap();
        assert_eq!(reader.index().partition_bytes(), finished.partition_bytes);
        let first = frames(reader.segment(0).unwrap()).unwrap();
        assert_eq!(first, [(b"first".to_vec(), 1), (vec![b'x'; 5000], 2)]);
        assert_eq!(frames(reader.segment(1).unwrap()).unwrap(), []);
        assert_eq!(frames(reader.segment(2).unwrap()).unwrap(), [(b"third".to_vec(), 3)]);
        assert_eq!(frames(reader.segment(3).unwrap()).unwrap(), []);
        assert!(reader.segment(4).is_err());
        let mut names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["attempt_1.data", "attempt_1.index"]);
    }
}

#[test]
fn an_output_that_is_given_up_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut one = OutputWriter::create(dir.path(), "a", 1, Codec::None).unwrap();
    let other = OutputWriter::create(dir.path(), "a", 1, Codec::None).unwrap();
    one.write(0, b"x", 1).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    assert!(OutputReader::open(dir.path(), "a").is_err(), "nothing is there before it is finished");
    drop((one, other));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn mistakes_of_the_writer_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["", "../x", "a.b"] {
        assert!(OutputWriter::create(dir.path(), name, 1, Codec::None).is_err(), "{name}");
    }
    let mut writer = OutputWriter::create(dir.path(), "a", 2, Codec::None).unwrap();
    writer.write(1, b"x", 1).unwrap();
    assert!(matches!(writer.write(0, b"x", 1), Err(RuntimeError::Refused(_))));
    assert!(matches!(writer.write(2, b"x", 1), Err(RuntimeError::Refused(_))));
}

#[test]
fn every_changed_byte_of_an_output_is_noticed() {
    for codec in [Codec::None, Codec::Lz4] {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = OutputWriter::create(dir.path(), "a", 1, codec).unwrap();
        writer.write(0, &[b'y'; 60], 1).unwrap();
        writer.write(0, b"123", 1).unwrap();
        writer.finish().unwrap();
        let (data, index) = paths(dir.path(), "a");
        for path in [&data, &index] {
            let good = std::fs::read(path).unwrap();
            for at in 0..good.len() {
                let mut bad = good.clone();
                bad[at] ^= 1 << (at % 8);
                std::fs::write(path, &bad).unwrap();
                let read = OutputReader::open(dir.path(), "a").and_then(|reader| frames(reader.segment(0)?));
                assert!(matches!(read, Err(RuntimeError::Corrupt { .. })), "byte {at} of {}: {read:?}", path.display());
            }
            for end in 0..good.len() {
                std::fs::write(path, &good[..end]).unwrap();
                let read = OutputReader::open(dir.path(), "a").and_then(|reader| frames(reader.segment(0)?));
                assert!(matches!(read, Err(RuntimeError::Corrupt { .. })), "cut at {end} of {}", path.display());
            }
            std::fs::write(path, &good).unwrap();
        }
    }
}

#[test]
fn a_segment_that_ends_early_is_noticed_even_between_frames() {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path(), Codec::None);
    let bytes = std::fs::read(paths(dir.path(), "attempt_1").0).unwrap();
    let first = 17 + 5;
    let whole = first + 17 + 5000;
    let read = |end: usize, len: usize| frames(SegmentReader::new(&bytes[..end], len as u64, "x".to_owned()));
    assert_eq!(read(whole, whole).unwrap().len(), 2);
    assert!(read(first, whole).is_err(), "the second frame is missing");
    assert!(read(whole, whole - 1).is_err(), "a frame reaches beyond the segment");
    assert!(read(whole, first + 5).is_err(), "no header fits");
}
