//! Plans: what is freed when, and where stages are cut.

use super::*;
use crate::program::{ProgramInput, UNION};
use mammoth_engine_core::api::Parent;

fn node(name: &str, inputs: Vec<Input>) -> NodeSpec {
    NodeSpec {
        name: name.to_owned(),
        op: OpCode::named("x"),
        inputs,
        partitions: 2,
        partitioner: None,
        determinism: Determinism::Determinate,
        call_site: Location::caller(),
        payloads: Vec::new(),
        hosts: Vec::new(),
        blobs: Vec::new(),
    }
}

fn narrow(dataset: DatasetId) -> Input {
    Input::Narrow { dataset, readers: None }
}

fn shuffle(dataset: DatasetId) -> Input {
    Input::Shuffle(ShuffleSpec { dataset, sink: OpCode::named("write"), partitions: 2 })
}

fn cut(plan: &mut Plan, root: DatasetId) -> Vec<cut::Stage> {
    let result = plan.next_stage();
    plan.cut(root, OpCode::named("collect"), result).unwrap()
}

#[test]
fn a_node_goes_with_its_last_handle_and_takes_along_what_only_it_needed() {
    let mut plan = Plan::default();
    let source = plan.add(node("source", Vec::new()));
    let mapped = plan.add(node("map", vec![narrow(source)]));
    let reduced = plan.add(node("reduce", vec![shuffle(mapped)]));
    let other = plan.add(node("other", vec![narrow(source)]));
    plan.set_cache(mapped, Some(OpCode::named("keep")));
    assert_eq!(plan.release(source), Freed::default(), "others read it");
    assert_eq!(plan.release(mapped), Freed::default());
    let freed = plan.release(reduced);
    assert_eq!(freed, Freed { shuffles: vec![ShuffleId(0)], datasets: vec![mapped] });
    assert_eq!(plan.size(), (2, 0), "the source is needed still");
    assert_eq!(plan.release(other), Freed::default());
    assert_eq!(plan.size(), (0, 0));
}

#[test]
fn stages_are_cut_at_shuffles_parents_first() {
    let mut plan = Plan::default();
    let left = plan.add(node("left", Vec::new()));
    let right = plan.add(node("right", Vec::new()));
    let mapped = plan.add(node("map", vec![narrow(left)]));
    let joined = plan.add(node("join", vec![shuffle(mapped), shuffle(right)]));
    let last = plan.add(node("filter", vec![narrow(joined)]));
    let stages = cut(&mut plan, last);
    let names: Vec<&str> = stages.iter().map(|stage| stage.spec.name.as_str()).collect();
    assert_eq!(names, ["left → map", "right", "join → filter"]);
    assert_eq!(stages[0].program.writes, Some((ShuffleId(0), 2)));
    assert_eq!(stages[2].program.writes, None);
    let parents: Vec<ShuffleId> = stages[2].spec.parents.iter().map(|parent| parent.shuffle).collect();
    assert_eq!(parents, [ShuffleId(0), ShuffleId(1)]);
    let again = cut(&mut plan, joined);
    assert_eq!(again[0].spec.stage, stages[0].spec.stage, "a shuffle keeps its stage over actions");
    assert_ne!(again[2].spec.stage, stages[2].spec.stage);
}

#[test]
fn cached_datasets_hide_the_shuffles_behind_them() {
    let mut plan = Plan::default();
    let source = plan.add(node("source", Vec::new()));
    let first = plan.add(node("first", vec![shuffle(source)]));
    let kept = plan.add(node("kept", vec![narrow(first)]));
    let open = plan.add(node("open", vec![shuffle(source)]));
    let joined = plan.add(node("join", vec![narrow(kept), narrow(open)]));
    plan.set_cache(kept, Some(OpCode::named("keep")));
    let stages = cut(&mut plan, joined);
    let last = stages.last().unwrap();
    let hidden = Parent { shuffle: ShuffleId(0), behind: vec![kept], readers: None };
    let bare = Parent { shuffle: ShuffleId(1), behind: Vec::new(), readers: None };
    assert_eq!(last.spec.parents, [hidden, bare]);
    assert_eq!(last.spec.cached, [kept]);
    plan.set_cache(joined, Some(OpCode::named("keep")));
    let both: Vec<Vec<DatasetId>> =
        cut(&mut plan, joined).pop().unwrap().spec.parents.into_iter().map(|parent| parent.behind).collect();
    assert_eq!(both, [vec![kept, joined], vec![joined]]);
}

#[test]
fn below_a_union_nothing_is_hidden_by_number() {
    let mut plan = Plan::default();
    let source = plan.add(node("source", Vec::new()));
    let kept = plan.add(node("kept", vec![shuffle(source)]));
    plan.set_cache(kept, Some(OpCode::named("keep")));
    let read = |readers| Input::Narrow { dataset: kept, readers: Some(readers) };
    let mut both = node("union", vec![read(0..2), read(2..4)]);
    both.op = OpCode::named(UNION);
    both.partitions = 4;
    let union = plan.add(both);
    let last = cut(&mut plan, union).pop().unwrap();
    assert_eq!(last.spec.parents[0].behind, []);
    assert_eq!(last.spec.cached, []);
    let read = |at: usize| last.program.nodes[1].inputs[at].clone();
    assert_eq!(read(1), ProgramInput::Narrow { node: 0, readers: Some(2..4) });
}

#[test]
fn tasks_are_placed_where_their_source_lies() {
    let mut plan = Plan::default();
    let mut spec = node("source", Vec::new());
    spec.hosts = vec![vec!["a".to_owned()], Vec::new()];
    let source = plan.add(spec);
    let mapped = plan.add(node("map", vec![narrow(source)]));
    let stage = cut(&mut plan, mapped).pop().unwrap();
    assert_eq!(stage.spec.hosts, [vec!["a".to_owned()], vec![]]);
    let plain = plan.add(node("plain", Vec::new()));
    assert!(cut(&mut plan, plain).pop().unwrap().spec.hosts.is_empty());
}

#[test]
fn an_indeterminate_operation_makes_its_stage_so() {
    let mut plan = Plan::default();
    let source = plan.add(node("source", Vec::new()));
    let drawn = plan.add(node("draw", vec![narrow(source)]));
    let last = plan.add(node("reduce", vec![shuffle(drawn)]));
    plan.set_determinism(drawn, Determinism::Indeterminate);
    let stages = cut(&mut plan, last);
    assert_eq!(stages[0].spec.determinism, Determinism::Indeterminate);
    assert_eq!(stages[1].spec.determinism, Determinism::Determinate);
}
