//! Which replica may move, and who sends it. Pure.
//!
//! A move must not put two replicas on one datanode, nor leave a block on fewer racks than before. The namenode asks the same
//! before it deletes anything; to ask here spares copies that would be in vain.

/// Whether a block on `holders` may lose its replica on `source` for one on `target`; all by their places in `racks`.
pub(crate) fn may_move(racks: &[&str], holders: &[usize], source: usize, target: usize) -> bool {
    if !holders.contains(&source) || holders.contains(&target) {
        return false;
    }
    let stay = || holders.iter().copied().filter(|&holder| holder != source);
    distinct(racks, stay().chain([target])) >= distinct(racks, holders.iter().copied())
}

fn distinct(racks: &[&str], of: impl Iterator<Item = usize>) -> usize {
    let mut found: Vec<&str> = of.filter_map(|at| racks.get(at).copied()).collect();
    found.sort_unstable();
    found.dedup();
    found.len()
}

/// Who sends the replica: a holder on the rack of `target` if one is `free`, else the source itself, else any other. `None`:
/// all are busy.
pub(crate) fn sender(
    racks: &[&str],
    holders: &[usize],
    source: usize,
    target: usize,
    free: impl Fn(usize) -> bool,
) -> Option<usize> {
    let near = |&holder: &usize| racks.get(holder) == racks.get(target);
    let able = || holders.iter().copied().filter(|&holder| free(holder));
    let own = able().find(|&holder| holder == source);
    own.filter(near).or_else(|| able().find(near)).or(own).or_else(|| able().next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RACKS: [&str; 5] = ["/a", "/a", "/b", "/b", "/c"];

    #[test]
    fn two_replicas_never_share_a_datanode() {
        assert!(may_move(&RACKS, &[0, 2], 0, 1));
        assert!(!may_move(&RACKS, &[0, 2], 0, 2), "it has one");
        assert!(!may_move(&RACKS, &[0, 2], 1, 3), "the source has none");
    }

    #[test]
    fn racks_do_not_become_fewer() {
        assert!(!may_move(&RACKS, &[0, 1, 2], 2, 4) || distinct(&RACKS, [0, 1, 4].into_iter()) == 2);
        assert!(!may_move(&RACKS, &[0, 2], 2, 1), "all on one rack then");
        assert!(may_move(&RACKS, &[0, 1, 2], 0, 3), "two racks stay two");
        assert!(may_move(&RACKS, &[0, 1, 2], 0, 4), "two racks become three");
        assert!(may_move(&RACKS, &[0, 1], 0, 2), "one becomes two");
    }

    #[test]
    fn the_sender_is_near_the_target_and_not_busy() {
        let all = |_| true;
        assert_eq!(sender(&RACKS, &[0, 2], 0, 3, all), Some(2));
        assert_eq!(sender(&RACKS, &[0, 2], 2, 3, all), Some(2), "the source, if it is as near");
        assert_eq!(sender(&RACKS, &[0, 2], 2, 4, all), Some(2), "the source, if nobody is near");
        assert_eq!(sender(&RACKS, &[0, 2], 2, 4, |at| at != 2), Some(0));
        assert_eq!(sender(&RACKS, &[0, 2], 0, 3, |at| at != 2), Some(0));
        assert_eq!(sender(&RACKS, &[0, 2], 0, 3, |_| false), None);
    }

    proptest! {
        #[test]
        fn allowed_moves_keep_the_spread(
            holders in proptest::collection::btree_set(0_usize..5, 1..4),
            source in 0_usize..5,
            target in 0_usize..5,
        ) {
            let holders: Vec<usize> = holders.into_iter().collect();
            if may_move(&RACKS, &holders, source, target) {
                let after: std::collections::BTreeSet<usize> =
                    holders.iter().copied().filter(|h| *h != source).chain([target]).collect();
                prop_assert_eq!(after.len(), holders.len());
                let count = |set: &mut dyn Iterator<Item = usize>| {
                    set.map(|at| RACKS[at]).collect::<std::collections::BTreeSet<_>>().len()
                };
                prop_assert!(count(&mut after.into_iter()) >= count(&mut holders.iter().copied()));
            }
        }
    }
}
