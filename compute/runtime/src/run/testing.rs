//! Runs of any records, for tests of what reads them.

use super::*;
use crate::memory::Accountant;
use crate::merge::{Combiner, Emit, Values};
use crate::shuffle::{OutputReader, SegmentReader};
use std::io::Read;

pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// A reservation that is never refused.
pub(crate) fn unlimited() -> Reservation {
    Accountant::new(u64::MAX).begin_task().reservation()
}

/// Tiny frames, two runs at once.
pub(crate) fn tiny(dir: &Path) -> SpillConfig {
    SpillConfig { frame_bytes: 64, fan_in: 2, ..SpillConfig::new(dir) }
}

pub(crate) fn collect(mut stream: impl RecordStream) -> Result<Vec<Pair>, RuntimeError> {
    let mut all = Vec::new();
    while stream.advance()? {
        all.push((stream.key().to_vec(), stream.value().to_vec()));
    }
    assert!(!stream.advance()?, "the end stays the end");
    assert!(stream.key().is_empty() && stream.value().is_empty());
    Ok(all)
}

/// A run on disk of one partition.
pub(crate) fn file_run(config: &SpillConfig, pairs: &[Pair]) -> Run {
    let mut writer = RunWriter::create(config, 1).unwrap();
    for (key, value) in pairs {
        writer.add(0, key, value).unwrap();
    }
    Run::File(writer.finish().unwrap())
}

/// The same, in memory.
pub(crate) fn memory_run(config: &SpillConfig, pairs: &[Pair]) -> Run {
    let Run::File(file) = file_run(config, pairs) else { unreachable!("it was written to a file") };
    let bytes = std::fs::read(file.path()).unwrap();
    let mut reservation = unlimited();
    assert!(reservation.try_grow(bytes.len() as u64));
    Run::Memory(RunMemory { bytes, reservation })
}

pub(crate) fn files_in(dir: &Path) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}

/// Records of a segment.
pub(crate) fn records<R: Read>(mut reader: SegmentReader<R>) -> Vec<Pair> {
    let mut all = Vec::new();
    while let Some(frame) = reader.next_frame().unwrap() {
        let mut count = 0;
        for record in record::Records::new(frame.payload) {
            let (key, value) = record.unwrap();
            all.push((key.to_vec(), value.to_vec()));
            count += 1;
        }
        assert_eq!(count, frame.records);
    }
    all
}

/// Records of all partitions of an output.
pub(crate) fn output(dir: &Path, name: &str) -> Vec<Vec<Pair>> {
    let reader = OutputReader::open(dir, name).unwrap();
    let count = u32::try_from(reader.index().segments.len()).unwrap();
    (0..count).map(|partition| records(reader.segment(partition).unwrap())).collect()
}

/// Adds up values that are numbers in eight bytes.
pub(crate) struct Sum;

impl Combiner for Sum {
    fn combine(&mut self, _key: &[u8], values: &mut dyn Values, out: &mut dyn Emit) -> Result<(), RuntimeError> {
        let mut sum = 0_u64;
        while let Some(value) = values.next()? {
            sum += u64::from_be_bytes(value.try_into().expect("a number"));
        }
        out.emit(&sum.to_be_bytes())
    }
}
