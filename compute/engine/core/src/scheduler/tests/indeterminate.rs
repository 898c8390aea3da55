//! Stages that do not give the same records twice: their outputs are used together or not at all.

use crate::api::{Command, DatasetId, Determinism, Event, ShuffleId, StageSpec};
use crate::testing::{Bench, job, last, launches, map};

fn random(stage: u32, partitions: u32, parents: &[u32]) -> StageSpec {
    StageSpec { determinism: Determinism::Indeterminate, ..map(stage, partitions, parents) }
}

#[test]
fn losing_one_output_makes_all_of_them_anew() {
    let mut bench = Bench::new(&[1, 1]);
    bench.submit(job(0, &[random(0, 2, &[]), last(1, 2, &[0])]));
    bench.run_stage(0);
    assert_eq!(bench.runs(), ["1.0", "1.1"]);
    let commands = bench.fetch_fails("1.0", 0, 1);
    assert!(commands.contains(&Command::DropShuffle { shuffle: ShuffleId(0), before: Some(1) }));
    assert_eq!(launches(&commands), Vec::<String>::new(), "the other reader has not stopped");
    let commands = bench.stopped("1.1");
    assert_eq!(launches(&commands), ["0.0@0", "0.1@1"]);
    bench.run_stage(0);
    assert_eq!(bench.output(0, 0).unwrap().generation, 1);
    bench.run_out();
    assert_eq!(bench.ended(0).as_deref(), Some(""));
    assert_eq!((bench.launches("0.0"), bench.launches("1.1")), (2, 2));
}

#[test]
fn a_job_whose_results_have_left_fails_by_name() {
    let mut bench = Bench::new(&[2]);
    bench.submit(job(0, &[random(0, 2, &[]), last(1, 2, &[0])]));
    bench.run_stage(0);
    bench.succeed("1.0");
    bench.fetch_fails("1.1", 0, 1);
    let end = bench.ended(0).unwrap();
    assert!(end.contains("stage 0") && end.contains("same records twice"), "{end}");
    assert_eq!(bench.launches("0.0"), 1);
}

#[test]
fn a_commit_that_was_allowed_is_a_result_that_has_left() {
    for (ends, fails) in [(false, true), (true, false)] {
        let mut bench = Bench::new(&[2]);
        bench.submit(job(0, &[random(0, 1, &[]), last(1, 2, &[0])]));
        bench.run_stage(0);
        let task = bench.task("1.0");
        let executor = bench.running[&task];
        bench.event(Event::CommitAsked { task, executor });
        if ends {
            // It says that it failed, so it left nothing.
            bench.fail("1.0");
        }
        bench.fetch_fails("1.1", 0, 0);
        assert_eq!(bench.ended(0).is_some(), fails);
    }
}

#[test]
fn results_that_have_left_stay_as_long_as_nobody_needs_the_lost_output() {
    let mut bench = Bench::new(&[2]);
    bench.submit(job(0, &[random(0, 2, &[]), last(1, 2, &[0])]));
    bench.run_stage(0);
    bench.succeed("1.0");
    bench.lose_place(0);
    bench.succeed("1.1");
    assert_eq!((bench.ended(0).as_deref(), bench.launches("0.0")), (Some(""), 1));
}

#[test]
fn everything_downstream_is_made_anew() {
    let mut bench = Bench::new(&[4]);
    let stages = [random(0, 2, &[]), map(1, 2, &[0]), map(2, 2, &[1])];
    bench.submit(job(0, &[&stages[..], &[last(3, 1, &[0, 2])]].concat()));
    bench.run_stage(0);
    bench.run_stage(1);
    bench.run_stage(2);
    let commands = bench.fetch_fails("3.0", 0, 0);
    for (shuffle, before) in [(0, 1), (1, 1), (2, 1)] {
        let drop = Command::DropShuffle { shuffle: ShuffleId(shuffle), before: Some(before) };
        assert!(commands.contains(&drop), "{shuffle}");
    }
    bench.run_out();
    assert_eq!(bench.ended(0).as_deref(), Some(""));
    assert!(["0.0", "0.1", "1.0", "1.1", "2.0", "2.1"].iter().all(|task| bench.launches(task) == 2));
}

#[test]
fn what_was_made_from_it_is_kept_while_nobody_needs_it_itself() {
    let mut bench = Bench::new(&[4, 4]);
    let stages = [random(0, 1, &[]), map(1, 1, &[0])];
    bench.submit(job(0, &[&stages[..], &[last(2, 1, &[1])]].concat()));
    let first = bench.running[&bench.task("0.0")];
    bench.run_out();
    assert_eq!(first.0, 0);
    // Only stage 0's output was there, if stage 1 ran elsewhere.
    let output = bench.output(1, 0).unwrap();
    if output.place.0 == 0 {
        return;
    }
    bench.lose_place(0);
    bench.submit(job(1, &[&stages[..], &[last(3, 1, &[1])]].concat()));
    bench.run_out();
    assert_eq!((bench.ended(1).as_deref(), bench.launches("0.0")), (Some(""), 1));
}

#[test]
fn losing_an_output_while_others_are_made_begins_anew() {
    let mut bench = Bench::new(&[1]);
    bench.submit(job(0, &[random(0, 3, &[]), last(1, 1, &[0])]));
    bench.succeed("0.0");
    bench.lose_place(0);
    assert_eq!(bench.runs(), ["0.1"], "told to stop");
    bench.stopped("0.1");
    assert_eq!(bench.task("0.0").generation, 1);
    bench.run_out();
    assert_eq!(bench.ended(0).as_deref(), Some(""));
    assert_eq!(bench.output(0, 0).map(|output| output.generation), Some(1));
}

#[test]
fn a_task_that_fails_without_an_output_lost_is_tried_again_alone() {
    let mut bench = Bench::new(&[2]);
    bench.submit(job(0, &[random(0, 2, &[]), last(1, 1, &[0])]));
    bench.succeed("0.0");
    bench.fail("0.1");
    assert_eq!(bench.runs(), ["0.1"]);
    bench.run_out();
    assert_eq!((bench.ended(0).as_deref(), bench.launches("0.0")), (Some(""), 1));
}

#[test]
fn failures_are_remembered_over_a_new_beginning() {
    let mut bench = Bench::new(&[1]);
    bench.submit(job(0, &[random(0, 2, &[]), last(1, 1, &[0])]));
    for _ in 0..4 {
        bench.succeed("0.0");
        bench.fail("0.1");
        bench.lose_place(0);
        while bench.runs() == ["0.1"] {
            bench.stopped("0.1");
        }
    }
    assert!(bench.ended(0).unwrap().contains("partition 1 failed 4 time(s)"));
}

#[test]
fn cached_blocks_of_old_outputs_are_dropped_even_those_that_come_late() {
    let mut bench = Bench::new(&[1, 1]);
    let cached = |stage: u32| {
        let mut spec = last(stage, 2, &[0]);
        spec.cached = vec![DatasetId(5)];
        spec.parents[0].behind = vec![DatasetId(5)];
        spec
    };
    bench.submit(job(0, &[random(0, 2, &[]), cached(1)]));
    bench.run_stage(0);
    bench.block(0, 5, 0, true);
    bench.run_out();
    bench.lose_place(1);
    // Partition 0 is held, partition 1 needs the lost outputs: the block must not be mixed with new ones.
    let commands = bench.submit(job(1, &[random(0, 2, &[]), cached(2)]));
    assert!(commands.contains(&Command::DropDataset { dataset: DatasetId(5) }));
    assert_eq!(bench.runs(), ["0.0", "0.1"]);
    bench.run_stage(0);
    assert_eq!(bench.runs(), ["2.0", "2.1"]);
    // A reader that is told to stop may still leave a block.
    bench.fetch_fails("2.1", 0, 1);
    bench.block(0, 5, 0, true);
    assert!(bench.scheduler.holders.is_empty());
    let commands = bench.stopped("2.0");
    assert!(commands.contains(&Command::DropDataset { dataset: DatasetId(5) }));
    bench.run_out();
    assert_eq!(bench.ended(1).as_deref(), Some(""));
}

#[test]
fn partitions_that_do_not_read_it_are_left_alone() {
    let mut bench = Bench::new(&[2]);
    let mut union = last(1, 3, &[0]);
    union.parents[0].readers = Some(1..3);
    bench.submit(job(0, &[random(0, 1, &[]), union]));
    bench.succeed("1.0");
    bench.succeed("0.0");
    bench.lose_place(0);
    bench.fetch_of("1.1", 0, 0, None);
    bench.stopped("1.2");
    bench.run_out();
    assert_eq!((bench.ended(0).as_deref(), bench.launches("1.0")), (Some(""), 1));
}

#[test]
fn what_partitions_got_by_different_ways_must_fit_together() {
    let mut bench = Bench::new(&[3]);
    let mut union = last(2, 2, &[0, 1]);
    union.parents[0].readers = Some(0..1);
    union.parents[1].readers = Some(1..2);
    bench.submit(job(0, &[random(0, 1, &[]), map(1, 1, &[0]), union]));
    bench.succeed("0.0");
    bench.succeed("2.0");
    bench.fetch_fails("1.0", 0, 0);
    assert!(bench.ended(0).unwrap().contains("same records twice"), "the other partition would be of other records");
}
