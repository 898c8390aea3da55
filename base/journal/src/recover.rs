//! From a checkpoint and a log to a state: rows first, then the log's tail through the same `apply` as live.

use crate::checkpoint::{CheckpointStore, Mark};
use crate::error::JournalError;
use crate::log::{Log, LogDisk, Next, SegmentReader, Torn, segment_name};
use mammoth_protocol::journaled::{CorruptRow, Journaled};
use mammoth_protocol::{Seq, Term};

/// What a start found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadStats {
    /// Rows of the checkpoint.
    pub rows: u64,
    /// The checkpoint's applied sequence.
    pub applied: Seq,
    /// Sequence of the log's last record.
    pub last: Seq,
    /// Records behind the applied sequence, which were applied.
    pub records_replayed: u64,
    /// Their bytes.
    pub bytes_replayed: u64,
    /// The end of the log that a crash cut short, and where.
    pub torn: Option<(String, Torn)>,
}

/// A state with the log that it goes on writing.
#[derive(Debug)]
pub struct Recovered<S, D> {
    /// The state after the last record.
    pub state: S,
    /// The log, in a new term.
    pub log: Log<D>,
    /// What was found.
    pub stats: LoadStats,
}

/// Rebuilds `state`, which must be empty, and begins a new term. A log that a crash cut short is cut there.
///
/// # Errors
/// A log of another cluster, a damaged or incomplete log or checkpoint; a disk that fails. The log is not touched then.
pub fn recover<S: Journaled, D: LogDisk, C: CheckpointStore>(
    mut disk: D,
    store: &C,
    cluster: &str,
    mut state: S,
) -> Result<Recovered<S, D>, JournalError> {
    let mut stats = LoadStats { applied: store.mark(Mark::Applied)?, ..LoadStats::default() };
    let highest = store.mark(Mark::Highest)?;
    load_rows(store, &mut state, &mut stats)?;
    let segments = disk.segments()?;
    let (term, segment, end) = replay(&disk, &segments, cluster, &mut state, &mut stats)?;
    if stats.last < highest.max(stats.applied) {
        let what =
            format!("it ends at record {}, the checkpoint is of record {}", stats.last, highest.max(stats.applied));
        return Err(JournalError::Incomplete { what });
    }
    state.finish_load().map_err(corrupt_checkpoint)?;
    // Durable as well: records that were read may never have been synced, and others are about to follow from them.
    disk.cut(segment, end)?;
    let log = Log::begin(disk, cluster, Term(term.0 + 1), stats.last, segments)?;
    Ok(Recovered { state, log, stats })
}

fn corrupt_checkpoint(row: CorruptRow) -> JournalError {
    JournalError::CorruptCheckpoint { what: row.what }
}

fn load_rows<S: Journaled, C: CheckpointStore>(
    store: &C,
    state: &mut S,
    stats: &mut LoadStats,
) -> Result<(), JournalError> {
    store.for_each(&mut |key, value| {
        stats.rows += 1;
        state.load_row(key, value).map_err(corrupt_checkpoint)
    })
}

/// Applies every record behind `stats.applied`. Answers the highest term, and the last segment, and where it ends.
fn replay<S: Journaled>(
    disk: &impl LogDisk,
    segments: &[Seq],
    cluster: &str,
    state: &mut S,
    stats: &mut LoadStats,
) -> Result<(Term, Seq, u64), JournalError> {
    let (Some(first), Some(last)) = (segments.first(), segments.last()) else {
        return Err(JournalError::Incomplete { what: "there is no segment".to_owned() });
    };
    if first.0 > stats.applied.0 + 1 {
        let what = format!("it begins at record {first}, the checkpoint ends at record {}", stats.applied);
        return Err(JournalError::Incomplete { what });
    }
    let mut term = Term(0);
    let mut end = 0;
    let mut expected = *first;
    for segment in segments {
        if *segment != expected {
            let what = format!("{} follows record {}", segment_name(*segment), expected.0 - 1);
            return Err(JournalError::Incomplete { what });
        }
        let mut reader = SegmentReader::open(*segment, disk.read(*segment)?)?;
        let corrupt = |position, what| JournalError::CorruptLog { segment: segment_name(*segment), position, what };
        if reader.header().cluster != cluster {
            return Err(corrupt(0, format!("it belongs to cluster {}, not to {cluster}", reader.header().cluster)));
        }
        if reader.term() < term {
            return Err(corrupt(0, format!("it is of term {}, after term {term}", reader.term())));
        }
        loop {
            match reader.read_next()? {
                Next::Record(record, at) if record.seq > stats.applied => {
                    let edits = S::decode_edits(record.edits)
                        .map_err(|bad| corrupt(at, format!("record {}: {}", record.seq, bad.what)))?;
                    stats.records_replayed += 1;
                    stats.bytes_replayed += record.encoded_len() as u64;
                    for edit in &edits {
                        state.apply(record.seq, edit);
                    }
                }
                Next::Record(..) => {}
                Next::End(at) | Next::Room(at) if segment == last => {
                    end = at;
                    break;
                }
                Next::End(_) => break,
                Next::Torn(torn) if segment == last => {
                    end = torn.at;
                    stats.torn = Some((segment_name(*segment), torn));
                    break;
                }
                // The next segment was begun after this one was synced, and had ended with its last record.
                Next::Room(at) => return Err(corrupt(at, "zeros, and further segments follow".to_owned())),
                Next::Torn(torn) => {
                    return Err(corrupt(torn.at, format!("{}, and further segments follow", torn.what)));
                }
            }
        }
        (expected, term) = (reader.next_seq(), reader.term());
    }
    stats.last = Seq(expected.0 - 1);
    Ok((term, *last, end))
}
