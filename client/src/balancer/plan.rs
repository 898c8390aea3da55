//! Who is to give how much to whom: datanodes in, pairs out. Pure, and HDFS's rules: a datanode's use is compared with the use
//! of all together; those above it by more than the threshold give, those below it by more than the threshold take, and
//! both find partners among those in between, first on their own rack.

/// One is a billion of these: a threshold becomes a whole number.
const WHOLE: u128 = 1_000_000_000;

/// A datanode as the plan sees it. Sizes are bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) rack: String,
    pub(crate) capacity: u64,
    pub(crate) used: u64,
    pub(crate) remaining: u64,
    /// It gives and takes, and counts towards the use of all.
    pub(crate) takes_part: bool,
    /// It may give.
    pub(crate) may_give: bool,
}

/// What a plan keeps to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rules {
    /// Percent of its capacity by which a datanode's use may differ from that of all.
    pub(crate) threshold: f64,
    /// Bytes that one datanode gives or takes, at most.
    pub(crate) most: u64,
}

/// So many bytes are to go from one datanode to another, by their places in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) source: usize,
    pub(crate) target: usize,
    pub(crate) bytes: u64,
}

/// What to do in one iteration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Bytes that lie beyond the threshold; 0 = the cluster is balanced.
    pub(crate) left: u64,
    pub(crate) pairs: Vec<Pair>,
}

/// Datanodes by their use, compared with that of all.
#[derive(Debug, Default)]
struct Groups {
    over: Vec<usize>,
    above: Vec<usize>,
    below: Vec<usize>,
    under: Vec<usize>,
    /// Bytes that each still gives or takes.
    room: Vec<u64>,
}

/// Plans an iteration.
pub(crate) fn plan(nodes: &[Load], rules: &Rules) -> Plan {
    let (left, mut groups) = grouped(nodes, rules);
    let mut pairs = Vec::new();
    for same_rack in [true, false] {
        let Groups { over, above, below, under, room } = &mut groups;
        let mut join = |sources: &[usize], targets: &[usize]| {
            for (&source, &target) in sources.iter().flat_map(|s| targets.iter().map(move |t| (s, t))) {
                let bytes = room[source].min(room[target]);
                if bytes > 0 && (!same_rack || nodes[source].rack == nodes[target].rack) {
                    room[source] -= bytes;
                    room[target] -= bytes;
                    pairs.push(Pair { source, target, bytes });
                }
            }
        };
        join(over, under);
        join(over, below);
        join(above, under);
    }
    Plan { left, pairs }
}

fn grouped(nodes: &[Load], rules: &Rules) -> (u64, Groups) {
    let taking_part = || nodes.iter().enumerate().filter(|(_, node)| node.takes_part && node.capacity > 0);
    let sum = |of: fn(&Load) -> u64| taking_part().map(|(_, node)| u128::from(of(node))).sum::<u128>();
    let (used, capacity) = (sum(|node| node.used), sum(|node| node.capacity));
    let threshold = parts(rules.threshold);
    let (mut too_much, mut too_little) = (0, 0);
    let mut groups = Groups { room: vec![0; nodes.len()], ..Groups::default() };
    for (at, node) in taking_part() {
        // What it would hold at the use of all, in whole bytes: nobody crosses that, by rounding either.
        let held = u128::from(node.used);
        let fair = used.saturating_mul(node.capacity.into());
        let above = held > fair / capacity;
        let distance = if above { held - fair.div_ceil(capacity) } else { fair / capacity - held };
        let bytes = |of: u128| u64::try_from(of).unwrap_or(u64::MAX);
        let beyond = bytes(distance.saturating_sub(threshold * u128::from(node.capacity) / WHOLE));
        let list = if above && !node.may_give {
            continue;
        } else if above {
            too_much += beyond;
            if beyond > 0 { &mut groups.over } else { &mut groups.above }
        } else {
            too_little += beyond;
            if beyond > 0 { &mut groups.under } else { &mut groups.below }
        };
        list.push(at);
        let takes = if above { u64::MAX } else { node.remaining };
        groups.room[at] = bytes(distance).min(rules.most).min(takes);
    }
    (too_much.max(too_little), groups)
}

/// A percentage in parts of a billion.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 1 and 100 percent, as was checked"
)]
fn parts(percent: f64) -> u128 {
    (percent.clamp(0.0, 100.0) * 1e7).round() as u128
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULES: Rules = Rules { threshold: 10.0, most: u64::MAX };

    fn load(rack: &str, used: u64) -> Load {
        Load { rack: rack.to_owned(), capacity: 1000, used, remaining: 1000 - used, takes_part: true, may_give: true }
    }

    #[test]
    fn a_new_datanode_gets_from_all_that_have_more_than_the_average() {
        let nodes = [load("/a", 800), load("/a", 800), load("/a", 800), load("/a", 0)];
        let plan = plan(&nodes, &RULES);
        // All together use 60 %: the new one lacks 50 % beyond the threshold.
        assert_eq!(plan.left, 500);
        assert_eq!(plan.pairs, [(0, 200), (1, 200), (2, 200)].map(|(source, bytes)| Pair { source, target: 3, bytes }));
    }

    #[test]
    fn within_the_threshold_nothing_is_left() {
        let nodes = [load("/a", 550), load("/a", 450), load("/a", 500)];
        assert_eq!(plan(&nodes, &RULES), Plan { left: 0, pairs: Vec::new() });
        let tight = plan(&nodes, &Rules { threshold: 4.0, ..RULES });
        assert_eq!(tight.left, 10);
        assert_eq!(tight.pairs, [Pair { source: 0, target: 1, bytes: 50 }]);
        assert_eq!(plan(&[], &RULES), Plan::default());
        let empty = Load { takes_part: true, may_give: true, ..Load::default() };
        assert_eq!(plan(&[empty.clone(), empty], &RULES), Plan::default());
    }

    /// The taker's part of the average is a hair below 52,346 bytes: a use rounded to billionths made that 52,346.
    #[test]
    fn rounding_takes_nobody_over_the_average() {
        let capacities = [295_205, 505_623, 941_957, 482_220, 183_015, 761_467, 247_913, 538_870, 15_007];
        let percents = [81, 17, 1, 1, 94, 12, 27, 42, 1];
        let nodes: Vec<Load> = capacities
            .into_iter()
            .zip(percents)
            .map(|(capacity, percent)| {
                let used = capacity * percent / 100;
                Load { capacity, used, remaining: capacity - used, ..load("/a", 0) }
            })
            .collect();
        let (_, groups) = grouped(&nodes, &Rules { threshold: 1.0, ..RULES });
        let (used, capacity) = nodes.iter().fold((0, 0), |(u, c), n| (u + n.used, c + n.capacity));
        for at in groups.under.into_iter().chain(groups.below) {
            let then = nodes[at].used + groups.room[at];
            assert!(then * capacity <= used * nodes[at].capacity, "{at}: {then} of {}", nodes[at].capacity);
        }
    }

    #[test]
    fn partners_on_the_same_rack_come_first() {
        let nodes = [load("/a", 900), load("/b", 900), load("/b", 100), load("/a", 100)];
        let pairs = plan(&nodes, &RULES).pairs;
        assert_eq!(pairs, [Pair { source: 0, target: 3, bytes: 400 }, Pair { source: 1, target: 2, bytes: 400 }]);
    }

    #[test]
    fn who_takes_no_part_neither_counts_nor_moves() {
        let mut nodes = [load("/a", 900), load("/a", 100), load("/a", 0)];
        nodes[2].takes_part = false;
        let pairs = plan(&nodes, &RULES).pairs;
        assert_eq!(pairs, [Pair { source: 0, target: 1, bytes: 400 }]);
        nodes[0].may_give = false;
        let plan = plan(&nodes, &RULES);
        assert_eq!((plan.left, plan.pairs.len()), (300, 0), "there is something to do and nobody to do it");
    }

    #[test]
    fn nobody_moves_more_than_the_bound_or_takes_more_than_fits() {
        let nodes = [load("/a", 900), load("/a", 100)];
        assert_eq!(plan(&nodes, &Rules { most: 7, ..RULES }).pairs, [Pair { source: 0, target: 1, bytes: 7 }]);
        let full = Load { remaining: 3, ..load("/a", 100) };
        assert_eq!(plan(&[load("/a", 900), full], &RULES).pairs, [Pair { source: 0, target: 1, bytes: 3 }]);
    }

    proptest! {
        /// Whatever the cluster: givers are above the average and takers are not, nobody crosses it, nobody takes more than
        /// it has room for; and with room enough, repeated plans that are carried out end within the threshold.
        #[test]
        fn plans_lead_to_balance(
            // At least so large that the threshold is more than what rounding takes from eleven datanodes together.
            nodes in proptest::collection::vec((0_usize..3, 2_000_u64..1_000_000, 0_u64..=100), 2..12),
            threshold in 1_u32..30,
            most in prop_oneof![Just(u64::MAX), 1_000_u64..100_000],
        ) {
            let mut nodes: Vec<Load> = nodes.into_iter().map(|(rack, capacity, percent)| {
                let used = capacity * percent / 100;
                Load { capacity, used, remaining: capacity - used, ..load(["/a", "/b", "/c"][rack], 0) }
            }).collect();
            let rules = Rules { threshold: f64::from(threshold), most };
            let capacity: u128 = nodes.iter().map(|n| u128::from(n.capacity)).sum();
            let used: u128 = nodes.iter().map(|n| u128::from(n.used)).sum();
            let above = |n: &Load| u128::from(n.used) * capacity > used * u128::from(n.capacity);
            for _ in 0..4_000 {
                let plan = plan(&nodes, &rules);
                if plan.left == 0 {
                    return Ok(());
                }
                prop_assert!(!plan.pairs.is_empty(), "{} bytes are left and nothing is planned", plan.left);
                let before: Vec<bool> = nodes.iter().map(above).collect();
                for pair in &plan.pairs {
                    prop_assert!(before[pair.source] && !before[pair.target]);
                    prop_assert!(pair.bytes > 0 && pair.bytes <= most && pair.bytes <= nodes[pair.target].remaining);
                    nodes[pair.source].used -= pair.bytes;
                    nodes[pair.source].remaining += pair.bytes;
                    nodes[pair.target].used += pair.bytes;
                    nodes[pair.target].remaining -= pair.bytes;
                }
                for (node, was_above) in nodes.iter().zip(before) {
                    prop_assert!(!above(node) || was_above, "a taker is above the average now");
                }
            }
            prop_assert!(false, "no end");
        }
    }
}
