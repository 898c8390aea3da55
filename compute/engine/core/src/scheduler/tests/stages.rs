//! Which stages run, in which order, and which are skipped.

use crate::api::{Command, JobNumber, ShuffleId, StageId};
use crate::testing::{Bench, job, last, launches, map};

#[test]
fn readers_run_after_all_that_they_read_and_the_job_ends_once() {
    let mut bench = Bench::new(&[2]);
    bench.submit(job(0, &[map(0, 3, &[]), last(1, 2, &[0])]));
    assert_eq!(bench.runs(), ["0.0", "0.1"], "two cores");
    bench.succeed("0.0");
    bench.succeed("0.2");
    assert_eq!(bench.runs(), ["0.1"], "one is still missing");
    bench.succeed("0.1");
    assert_eq!(bench.runs(), ["1.0", "1.1"]);
    bench.succeed("1.1");
    assert_eq!(bench.ended(0), None);
    bench.succeed("1.0");
    assert_eq!(bench.ended(0).as_deref(), Some(""));
    let completed = |command: &&Command| matches!(command, Command::StageCompleted { .. });
    assert_eq!(bench.said.iter().filter(completed).count(), 2);
}

#[test]
fn launches_name_the_shuffles_that_the_partition_reads() {
    let mut bench = Bench::new(&[4]);
    let mut union = last(2, 2, &[0, 1]);
    union.parents[0].readers = Some(0..1);
    union.parents[1].readers = Some(1..2);
    bench.submit(job(0, &[map(0, 1, &[]), map(1, 1, &[]), union]));
    // The partition whose input is there does not wait for the other's.
    let commands = bench.succeed("0.0");
    assert_eq!(launches(&commands), ["2.0@0"]);
    assert!(commands.iter().any(|c| matches!(c, Command::Launch { inputs, .. } if *inputs == [ShuffleId(0)])));
    bench.run_out();
    assert_eq!(bench.ended(0).as_deref(), Some(""));
}

#[test]
fn a_stage_whose_output_exists_is_skipped_and_so_is_all_before_it() {
    let mut bench = Bench::new(&[4]);
    bench.submit(job(0, &[map(0, 2, &[]), map(1, 2, &[0]), last(2, 1, &[1])]));
    bench.run_out();
    let commands = bench.submit(job(1, &[map(0, 2, &[]), map(1, 2, &[0]), last(3, 1, &[1])]));
    for stage in [StageId(0), StageId(1)] {
        assert!(commands.contains(&Command::StageSkipped { stage }));
    }
    assert_eq!(launches(&commands), ["3.0@0"]);
    bench.run_out();
    let skipped = |command: &&Command| matches!(command, Command::StageSkipped { .. });
    assert_eq!(bench.said.iter().filter(skipped).count(), 2, "told once");
}

#[test]
fn two_jobs_share_a_stage_that_runs_and_neither_says_it_is_skipped() {
    let mut bench = Bench::new(&[4]);
    bench.submit(job(0, &[map(0, 2, &[]), last(1, 1, &[0])]));
    bench.submit(job(1, &[map(0, 2, &[]), last(2, 1, &[0])]));
    assert_eq!(bench.runs(), ["0.0", "0.1"]);
    bench.run_out();
    assert_eq!((bench.ended(0).as_deref(), bench.ended(1).as_deref()), (Some(""), Some("")));
    assert_eq!(bench.launches("0.0"), 1);
    assert!(!bench.said.iter().any(|command| matches!(command, Command::StageSkipped { .. })));
}

#[test]
fn the_first_job_goes_first_and_others_take_what_is_left() {
    let mut bench = Bench::new(&[3]);
    bench.submit(job(0, &[last(0, 2, &[])]));
    bench.submit(job(1, &[last(1, 4, &[])]));
    assert_eq!(bench.runs(), ["0.0", "0.1", "1.0"]);
    bench.submit(job(2, &[last(2, 1, &[])]));
    assert_eq!(launches(&bench.fail("0.0")), ["0.0@0"], "what the first job lacks again comes before the others");
    bench.run_out();
    assert!((0..3).all(|job| bench.ended(job).as_deref() == Some("")));
}

#[test]
fn only_wanted_partitions_are_computed() {
    let mut bench = Bench::new(&[4]);
    let mut spec = job(0, &[map(0, 1, &[]), last(1, 9, &[0])]);
    spec.partitions = vec![7];
    bench.submit(spec);
    bench.succeed("0.0");
    assert_eq!(bench.runs(), ["1.7"]);
    bench.run_out();
    assert_eq!(bench.ended(0).as_deref(), Some(""));
    let mut nothing = job(1, &[map(0, 1, &[]), last(2, 9, &[0])]);
    nothing.partitions.clear();
    bench.submit(nothing);
    assert_eq!(bench.ended(1).as_deref(), Some(""));
}

#[test]
fn a_stage_of_no_partitions_is_there_at_once() {
    let mut bench = Bench::new(&[1]);
    bench.submit(job(0, &[map(0, 0, &[]), last(1, 1, &[0])]));
    bench.succeed("1.0");
    assert_eq!(bench.ended(0).as_deref(), Some(""));
}

#[test]
fn a_long_lineage_takes_no_stack() {
    let mut bench = Bench::new(&[1]);
    let mut stages = vec![map(0, 1, &[])];
    stages.extend((1..3000).map(|stage| map(stage, 1, &[stage - 1])));
    stages.push(last(3000, 1, &[2999]));
    bench.submit(job(0, &stages));
    assert_eq!(bench.runs(), ["0.0"]);
    bench.cancel(0);
}

#[test]
fn plans_that_make_no_sense_are_refused_by_name() {
    let mut bench = Bench::new(&[1]);
    bench.submit(job(0, &[map(0, 1, &[]), last(1, 1, &[0])]));
    let mut beyond = job(1, &[last(9, 1, &[])]);
    beyond.partitions = vec![1];
    let mut hosts = job(2, &[last(9, 2, &[])]);
    hosts.stages[0].hosts = vec![vec!["h".to_owned()]];
    let mut no_result = job(3, &[map(8, 1, &[])]);
    no_result.result = StageId(8);
    let plans = [
        (beyond, "1 partitions only"),
        (hosts, "hosts of 1 partitions"),
        (no_result, "gives no results"),
        (job(4, &[last(9, 1, &[5])]), "no stage before stage 9 writes shuffle 5"),
        (job(5, &[last(1, 1, &[])]), "another job's"),
        (job(6, &[map(0, 2, &[]), last(9, 1, &[0])]), "not what it was"),
        (job(7, &[last(9, 1, &[]), last(10, 1, &[])]), "not the last one"),
        (job(8, &[map(9, 1, &[]), map(9, 1, &[]), last(10, 1, &[])]), "twice"),
    ];
    for (plan, why) in plans {
        let number = plan.job.0;
        bench.submit(plan);
        let end = bench.ended(number).unwrap_or_default();
        assert!(end.contains(why), "job {number}: {end}");
    }
    assert_eq!(bench.ended(0), None);
    assert!(!bench.scheduler.stages.contains_key(&StageId(9)), "nothing of a refused plan is kept");
}

#[test]
fn the_same_job_submitted_twice_runs_once() {
    let mut bench = Bench::new(&[1]);
    let spec = job(0, &[last(0, 2, &[])]);
    bench.submit(spec.clone());
    assert_eq!(bench.submit(spec), []);
    bench.run_out();
    assert_eq!(bench.ended(0).as_deref(), Some(""));
    assert_eq!(bench.accepted("0.0"), 1);
    assert!(!bench.scheduler.jobs.contains_key(&JobNumber(0)));
}
