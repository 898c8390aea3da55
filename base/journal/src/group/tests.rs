use super::*;
use crate::log::codec::{Decoded, decode_record};
use proptest::prelude::*;

fn commit() -> GroupCommit<u32> {
    GroupCommit::new(Term(3), Seq(10))
}

fn edits(bytes: &'static [u8]) -> impl FnOnce(&mut Vec<u8>) {
    move |out| out.extend_from_slice(bytes)
}

#[test]
fn effects_leave_after_their_sync_in_order() {
    let mut c = commit();
    assert_eq!(c.hold(1), Ok(Some(1)), "nothing to wait for");
    assert_eq!(c.decided(edits(b"a"), 2), Ok(Seq(11)));
    assert_eq!(c.hold(3), Ok(None));
    let first = c.next_group().unwrap();
    assert_eq!((first.first, first.last, first.records()), (Seq(11), Seq(11), 1));
    assert_eq!(c.decided(edits(b"b"), 4), Ok(Seq(12)));
    assert_eq!(c.hold(5), Ok(None));
    let second = c.next_group().unwrap();
    assert_eq!(c.decided(edits(b"c"), 6), Ok(Seq(13)));
    assert_eq!(c.next_group(), None, "two groups are on their way");
    assert_eq!(c.synced(first.last), [2, 3]);
    assert!(c.next_group().is_some());
    assert_eq!(c.synced(second.last), [4, 5]);
    assert_eq!(c.synced(Seq(13)), [6]);
    assert!(c.is_idle());
}

#[test]
fn records_of_a_group_know_where_their_write_began() {
    let mut c = commit();
    for effect in 0..3 {
        c.decided(edits(b"xyz"), effect).unwrap();
    }
    let group = c.next_group().unwrap();
    let mut rest = group.bytes.as_slice();
    for place in 0..3 {
        let Decoded::Record(record) = decode_record(rest) else { panic!("record {place}") };
        assert_eq!((record.place, record.term, record.edits), (place, Term(3), b"xyz".as_slice()));
        assert_eq!(record.write_began(), group.first);
        rest = &rest[record.encoded_len()..];
    }
    assert!(rest.is_empty());
}

#[test]
fn a_failure_refuses_what_waited_and_all_that_follows() {
    let mut c = commit();
    c.decided(edits(b"a"), 1).unwrap();
    let group = c.next_group().unwrap();
    c.decided(edits(b"b"), 2).unwrap();
    assert_eq!(c.failed("sync failed"), [1, 2]);
    assert_eq!(c.synced(group.last), Vec::<u32>::new());
    assert_eq!(c.decided(edits(b"c"), 3), Err(Refused { reason: "sync failed".to_owned(), effect: 3 }));
    assert_eq!(c.hold(4), Err(Refused { reason: "sync failed".to_owned(), effect: 4 }), "a read of what may not be");
    assert_eq!(c.next_group(), None);
    c.failed("a later reason");
    assert_eq!(c.failure(), Some("sync failed"));
}

#[test]
fn edits_that_are_too_long_are_refused_and_leave_no_trace() {
    let mut c = commit();
    let refused = c.decided(|out| out.resize(out.len() + codec::RECORD_BYTES_MAX, 0), 1).unwrap_err();
    assert!(refused.reason.contains("longer than"), "{}", refused.reason);
    assert_eq!(c.decided(edits(b"a"), 2), Ok(Seq(11)));
    assert_eq!(c.next_group().unwrap().records(), 1);
}

#[test]
#[should_panic(expected = "never handed out")]
fn a_sync_of_what_was_not_handed_out_is_a_bug() {
    let mut c = commit();
    c.decided(edits(b"a"), 1).unwrap();
    c.synced(Seq(11));
}

#[derive(Clone, Debug)]
enum Op {
    Decide,
    Hold,
    Hand,
    Sync,
    Fail,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => Just(Op::Decide),
        4 => Just(Op::Hold),
        4 => Just(Op::Hand),
        4 => Just(Op::Sync),
        1 => Just(Op::Fail),
    ]
}

proptest! {
    /// The model knows, for each effect, which records must be on disk before it may leave.
    #[test]
    fn nothing_leaves_before_its_sync_and_the_order_is_kept(ops in prop::collection::vec(op(), 1..200)) {
        let mut c = GroupCommit::new(Term(1), Seq(0));
        let mut needs: Vec<u64> = Vec::new();
        let (mut decided, mut on_disk, mut failed) = (0, 0, false);
        let mut groups: VecDeque<Group> = VecDeque::new();
        let mut left: Vec<usize> = Vec::new();
        for op in ops {
            let id = needs.len();
            match op {
                Op::Decide => {
                    needs.push(decided + 1);
                    match c.decided(edits(b"e"), id) {
                        Ok(seq) => {
                            prop_assert!(!failed);
                            decided += 1;
                            prop_assert_eq!(seq, Seq(decided));
                        }
                        Err(refused) => {
                            prop_assert!(failed);
                            prop_assert_eq!(refused.effect, id);
                        }
                    }
                }
                Op::Hold => {
                    needs.push(decided);
                    match c.hold(id) {
                        Ok(Some(back)) => prop_assert!(back == id && !failed && on_disk == decided),
                        Ok(None) => prop_assert!(!failed && on_disk < decided),
                        Err(refused) => prop_assert!(refused.effect == id && failed),
                    }
                    if failed || on_disk == decided {
                        needs.pop();
                    }
                }
                Op::Hand => if let Some(group) = c.next_group() {
                    prop_assert!(!failed);
                    let after = groups.back().map_or(on_disk, |g| g.last.0);
                    prop_assert_eq!(group.first.0, after + 1);
                    groups.push_back(group);
                    prop_assert!(groups.len() <= GROUPS_IN_FLIGHT_MAX);
                },
                Op::Sync => if let Some(group) = groups.pop_front() {
                    if !failed { on_disk = group.last.0; }
                    for effect in c.synced(group.last) {
                        prop_assert!(!failed && needs[effect] <= on_disk);
                        left.push(effect);
                    }
                },
                Op::Fail => {
                    c.failed("told to");
                    failed = true;
                }
            }
        }
        prop_assert!(left.is_sorted());
        if !failed {
            let must: Vec<usize> = (0..needs.len()).filter(|id| needs[*id] <= on_disk).collect();
            prop_assert_eq!(left, must, "everything that is durable has left");
        }
    }
}
