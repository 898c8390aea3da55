//! Rows, records and their bytes.

use super::{AppRecord, Edit, RowKey, Rows, Stage, Submission, decode_record, encode_record, pages_of};
use crate::api::Ending;
use mammoth_protocol::Seq;
use mammoth_protocol::jobs::Counters;
use mammoth_protocol::limits::{
    COUNTER_NAME_BYTES_MAX, COUNTERS_PER_JOB_MAX, JOB_TEXTS_MAX, REASON_BYTES_MAX, ROW_BYTES_MAX,
};

fn submission() -> Submission {
    Submission {
        place: 1,
        life: 1,
        spec: "/s".to_owned(),
        sha256: "ab".to_owned(),
        maps: 3,
        reduces: 1,
        ..Submission::default()
    }
}

fn edits() -> Vec<Edit> {
    let mut counters = Counters::default();
    counters.add("g", "n", -3);
    vec![
        Edit::Started { at_ms: 7 },
        Edit::JobAllocated { number: 1, user: "u".to_owned(), at_ms: 8 },
        Edit::JobSubmitted { number: 1, submission: submission() },
        Edit::JobAborting {
            number: 1,
            started_ms: 9,
            pages: 1,
            ending: Ending { killed: true, reason: "r".to_owned() },
        },
        Edit::JobCounters { number: 1, page: 0, counters },
        Edit::JobEnded { number: 1, at_ms: 10 },
        Edit::AppCreated { number: 1, record: AppRecord { place: 2, ..AppRecord::default() } },
        Edit::AppEnded { number: 1, at_ms: 11, ending: None, tasks_done: 1, tasks_total: 2 },
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn records_have_the_bytes_of_version_1() {
    let mut bytes = Vec::new();
    encode_record(&edits(), &mut bytes);
    let golden = "01080007010101750802010101022f730261620000000301000401090101017206010001016701016e05\
                  05010a09010200000000000000000000000a010b000102";
    assert_eq!(hex(&bytes), golden);
    assert_eq!(decode_record(&bytes).unwrap(), edits());
    bytes[0] = 2;
    assert!(decode_record(&bytes).unwrap_err().what.contains("newer"));
    assert!(decode_record(&[]).is_err());
}

#[test]
fn any_bytes_are_a_row_or_refused() {
    let mut rows = Rows::default();
    for length in 0..40 {
        for fill in [0_u8, 1, 2, 3, 0x7f, 0xff] {
            let bytes = vec![fill; length];
            let _ = rows.load_row(&bytes, &bytes);
            let _ = decode_record(&bytes);
        }
    }
}

#[test]
fn replay_over_rows_of_any_age_gives_the_same_rows() {
    let all = edits();
    for upto in 0..=all.len() {
        let mut older = Rows::default();
        for (at, edit) in all.iter().enumerate().take(upto) {
            older.apply(Seq(at as u64 + 1), edit);
        }
        let mut loaded = Rows::default();
        loaded.load_row(&RowKey::Meta.encode(), &row(&older, RowKey::Meta).unwrap()).unwrap();
        for key in older.all_keys() {
            let mut value = Vec::new();
            assert!(older.encode_row(&key, &mut value));
            loaded.load_row(&key, &value).unwrap();
        }
        for (at, edit) in all.iter().enumerate() {
            loaded.apply(Seq(at as u64 + 1), edit);
        }
        loaded.finish_load().unwrap();
        let mut whole = Rows::default();
        for (at, edit) in all.iter().enumerate() {
            whole.apply(Seq(at as u64 + 1), edit);
        }
        for key in whole.all_keys() {
            let decoded = RowKey::decode(&key).unwrap();
            assert_eq!(row(&loaded, decoded), row(&whole, decoded), "{decoded:?} after {upto}");
        }
    }
}

fn row(rows: &Rows, key: RowKey) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    rows.encode_row(&key.encode(), &mut value).then_some(value)
}

#[test]
fn a_log_that_contradicts_its_rows_is_refused() {
    let mut rows = Rows::default();
    let mut other = Rows::default();
    other.apply(Seq(1), &Edit::JobAllocated { number: 1, user: String::new(), at_ms: 0 });
    rows.load_row(&RowKey::Job(1).encode(), &row(&other, RowKey::Job(1)).unwrap()).unwrap();
    rows.apply(Seq(2), &Edit::JobEnded { number: 1, at_ms: 1 });
    assert!(rows.finish_load().is_err());
}

#[test]
fn the_largest_rows_fit() {
    let mut rows = Rows::default();
    let mut counters = Counters::default();
    for number in 0..COUNTERS_PER_JOB_MAX {
        let long = |letter: &str| format!("{letter}{number:0width$}", width = COUNTER_NAME_BYTES_MAX - 1);
        counters.add(&long("g"), &long("n"), i64::MIN);
    }
    let pages = pages_of(&counters);
    assert!(pages.len() < 200);
    let mut sum = Counters::default();
    for (page, counters) in pages.into_iter().enumerate() {
        sum.merge(&counters);
        rows.apply(Seq(1), &Edit::JobCounters { number: 1, page: page as u16, counters });
    }
    assert_eq!(sum, counters);
    assert_eq!(rows.counters_of(1), counters);
    rows.apply(Seq(2), &Edit::JobAllocated { number: 1, user: String::new(), at_ms: u64::MAX });
    let spec = "s".repeat(JOB_TEXTS_MAX);
    rows.apply(Seq(3), &Edit::JobSubmitted { number: 1, submission: Submission { spec, ..submission() } });
    let ending = Ending { killed: false, reason: "r".repeat(REASON_BYTES_MAX) };
    rows.apply(Seq(4), &Edit::JobAborting { number: 1, started_ms: u64::MAX, pages: u16::MAX, ending });
    assert!(matches!(rows.jobs[&1].stage, Stage::Aborting(..)));
    for key in rows.all_keys() {
        let mut value = Vec::new();
        rows.encode_row(&key, &mut value);
        assert!(value.len() <= ROW_BYTES_MAX, "{key:?} has {} bytes", value.len());
    }
}
