//! Whole jobs, run locally, beside plain loops.

use crate::prelude::*;
use crate::{Count, LocalInput, LocalResult, Max};
use mammoth_platform::Settings;
use mammoth_protocol::jobs::counters::names;
use proptest::prelude::{prop_assert_eq, proptest};
use std::collections::BTreeMap;

#[derive(Clone)]
struct Words;

impl Mapper for Words {
    type Key = String;
    type Value = u64;

    fn map(&mut self, _offset: u64, line: &str, out: &mut Emit<'_, String, u64>) -> Outcome {
        for word in line.split_whitespace() {
            out.emit(word, &1);
        }
        Ok(())
    }
}

#[derive(Clone)]
struct Total;

impl Reducer for Total {
    type Key = String;
    type Value = u64;

    fn reduce(&mut self, key: &String, values: &mut Values<'_, u64>, out: &mut Output<'_>) -> Outcome {
        out.emit(key, values.sum::<u64>());
        Ok(())
    }
}

#[derive(Clone)]
struct Together;

impl Combiner for Together {
    type Key = String;
    type Value = u64;

    fn combine(&mut self, _: &String, values: &mut Values<'_, u64>, out: &mut Combined<'_, u64>) -> Outcome {
        out.emit(&values.sum());
        Ok(())
    }
}

fn plain() -> Job {
    Job::new("plain").mapper(Words).reducer(Total)
}

fn combined() -> Job {
    Job::new("combined").mapper(Words).combiner(Together).reducer(Total)
}

fn folded() -> Job {
    Job::new("folded").mapper(Words).fold(Sum::new()).reducer(Identity::new())
}

fn naive(text: &str) -> Vec<String> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for word in text.split_whitespace() {
        *counts.entry(word).or_default() += 1;
    }
    counts.iter().map(|(word, count)| format!("{word}\t{count}")).collect()
}

fn sorted(result: &LocalResult) -> Vec<String> {
    let mut lines = result.lines();
    lines.sort();
    lines
}

/// Words of which a few are very common, about so many bytes.
fn words(len: usize) -> String {
    let mut text = String::new();
    let mut state = 1_u64;
    while text.len() < len {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (often, rare) = (state >> 60, (state >> 30) & 0xffff);
        let word = if often < 8 { format!("w{often}") } else { format!("word-number-{rare}") };
        text.push_str(&word);
        text.push(if (state >> 20).is_multiple_of(11) { '\n' } else { ' ' });
    }
    text
}

#[test]
fn every_way_to_count_gives_the_same() {
    let text = words(300_000);
    let expected = naive(&text);
    for job in [plain as fn() -> Job, combined, folded] {
        for reduces in [1, 4] {
            let input = LocalInput::text(&text).in_splits_of(100_000);
            let result = job().reduces(reduces).run_local(input).unwrap();
            assert_eq!(sorted(&result), expected);
            assert_eq!(result.files.len(), reduces as usize);
            assert!(result.files[0].0.starts_with("part-r-0000"));
            let lines: Vec<&str> = std::str::from_utf8(&result.files[0].1).unwrap().lines().collect();
            assert!(lines.is_sorted_by_key(|line| line.split('\t').next().unwrap()), "in the order of keys");
        }
    }
}

#[test]
fn small_buffers_and_frames_change_nothing_but_the_work() {
    let text = words(5_000_000);
    let expected = naive(&text);
    for job in [plain as fn() -> Job, combined, folded] {
        let input = LocalInput::text(&text)
            .setting("mapreduce.task.io.sort.mb", 1)
            .setting("mapreduce.task.io.sort.factor", 2)
            .setting("mapreduce.map.output.compress", true)
            .setting("mammoth.shuffle.frame-bytes", 4096);
        let result = job().reduces(3).run_local(input).unwrap();
        assert_eq!(sorted(&result), expected);
        let counters = &result.counters;
        assert!(counters.get(names::FRAMEWORK, names::MERGE_PASSES) > 0, "{counters:?}");
    }
}

#[test]
fn counters_say_what_happened() {
    let text = "a b a\nb c\n";
    let result = combined().run_local(LocalInput::text(text)).unwrap();
    let count = |name| result.counters.get(names::FRAMEWORK, name);
    assert_eq!([count(names::MAP_INPUT_RECORDS), count(names::MAP_OUTPUT_RECORDS)], [2, 5]);
    assert_eq!(count(names::MAP_OUTPUT_BYTES), 5 * 3, "a letter, its end, a number");
    assert_eq!([count(names::COMBINE_INPUT_RECORDS), count(names::COMBINE_OUTPUT_RECORDS)], [5, 3]);
    assert_eq!([count(names::REDUCE_INPUT_RECORDS), count(names::REDUCE_INPUT_GROUPS)], [3, 3]);
    assert_eq!(count(names::REDUCE_OUTPUT_RECORDS), 3);
    assert_eq!(count(names::SPILLED_RECORDS), 3);
    let bytes = |name| result.counters.get(names::FILE_SYSTEM, name);
    assert_eq!([bytes(names::HDFS_BYTES_READ), bytes(names::HDFS_BYTES_WRITTEN)], [10, 12]);
    let folded = folded().run_local(LocalInput::text(text)).unwrap().counters;
    for name in [names::MAP_OUTPUT_RECORDS, names::MAP_OUTPUT_BYTES, names::COMBINE_OUTPUT_RECORDS] {
        assert_eq!(folded.get(names::FRAMEWORK, name), count(name), "{name}");
    }
}

#[test]
fn phases_sum_to_the_time_of_the_tasks() {
    let result = plain().run_local(LocalInput::text(words(2_000_000)).in_splits_of(500_000)).unwrap();
    let phases = &result.counters.groups[names::PHASES];
    let sum: i64 = phases.values().sum();
    let total = result.counters.get(names::FRAMEWORK, names::TASK_MILLISECONDS) * 1000;
    assert!((sum - total).abs() <= total / 10 + 10_000, "{sum} of {total}");
    let other = phases.get("other").copied().unwrap_or(0);
    assert!(other * 5 < sum, "most of the time has a name: {phases:?}");
}

/// Lines by their first word, with the position where they start; shows bytes, setup, cleanup and counters.
#[derive(Clone, Default)]
struct Heads {
    lines: u64,
    unit: u64,
}

impl Mapper<[u8]> for Heads {
    type Key = Text;
    type Value = (u64, String);

    fn setup(&mut self, context: &TaskContext) -> Outcome {
        self.unit = context.setting("heads.unit").unwrap_or_default().parse()?;
        Ok(())
    }

    fn map(&mut self, offset: u64, line: &[u8], out: &mut Emit<'_, Text, (u64, String)>) -> Outcome {
        self.lines += self.unit;
        let head = std::str::from_utf8(line.split(|byte| *byte == b' ').next().unwrap_or_default())?;
        out.counter("heads", "seen").add(1);
        out.emit(head, &(offset, format!("{}", line.len())));
        Ok(())
    }

    fn cleanup(&mut self, out: &mut Emit<'_, Text, (u64, String)>) -> Outcome {
        out.emit("~lines", &(self.lines, String::new()));
        Ok(())
    }
}

#[derive(Clone)]
struct Show;

impl Reducer for Show {
    type Key = Text;
    type Value = (u64, String);

    fn reduce(&mut self, key: &Text, values: &mut Values<'_, (u64, String)>, out: &mut Output<'_>) -> Outcome {
        if let Some((offset, len)) = values.next() {
            out.line(format_args!("{key}@{offset}+{len}"));
        }
        Ok(())
    }
}

#[test]
fn mappers_see_bytes_settings_and_counters() {
    let job = || Job::new("heads").mapper(Heads::default()).reducer(Show);
    let input = LocalInput::text("b x\na y z\nb again\n").setting("heads.unit", 10);
    let result = job().run_local(input.clone()).unwrap();
    assert_eq!(result.lines(), ["a@4+5", "b@0+3", "~lines@30+"]);
    assert_eq!(result.counters.get("heads", "seen"), 3);
    let error = job().run_local(LocalInput::text("x")).unwrap_err().to_string();
    assert_eq!(error, "map: cannot parse integer from empty string");
    let error = job().run_local(LocalInput::text(b"\xff\n").setting("heads.unit", 1)).unwrap_err().to_string();
    assert!(error.starts_with("map: invalid utf-8"), "{error}");
}

#[test]
fn text_that_is_none_is_replaced_as_hadoop_does() {
    let result = folded().run_local(LocalInput::text(b"a\xffb a\xffb \xe2\x82\n")).unwrap();
    assert_eq!(result.lines(), ["a\u{fffd}b\t2", "\u{fffd}\t1"]);
}

#[test]
fn a_job_without_reducer_writes_a_file_for_each_map() {
    let job = Job::new("split").mapper(Words).without_reducer();
    let result = job.run_local(LocalInput::text("b a\nc\n").and_text("")).unwrap();
    let names: Vec<&str> = result.files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["part-m-00000", "part-m-00001"]);
    assert_eq!(result.lines(), ["b\t1", "a\t1", "c\t1"], "in the order of the input");
}

#[derive(Clone)]
struct ByFirst;

impl Partitioner for ByFirst {
    type Key = String;

    fn partition(&self, key: &String, _partitions: u32) -> u32 {
        key.bytes().next().map_or(9, |byte| u32::from(byte - b'a'))
    }
}

#[test]
fn partitioners_choose_the_file_or_fail_by_name() {
    let jobs = || {
        let mapped = || Job::new("by first").mapper(Words).partitioner(ByFirst);
        [mapped().reducer(Total), mapped().fold(Sum::new()).reducer(Identity::new())]
    };
    for job in jobs() {
        let result = job.reduces(3).run_local(LocalInput::text("ax bx cx ay\n")).unwrap();
        let texts: Vec<&str> = result.files.iter().map(|(_, bytes)| std::str::from_utf8(bytes).unwrap()).collect();
        assert_eq!(texts, ["ax\t1\nay\t1\n", "bx\t1\n", "cx\t1\n"]);
    }
    for job in jobs() {
        let error = job.reduces(3).run_local(LocalInput::text("ax ex\n")).unwrap_err().to_string();
        assert_eq!(error, "the partitioner chose partition 4 of 3");
    }
}

#[test]
fn folds_may_change_the_type() {
    let longest = Job::new("max").mapper(Words).fold(Max::new()).reducer(ShowMax);
    assert_eq!(longest.run_local(LocalInput::text("a b a\n")).unwrap().lines(), ["a\t1", "b\t1"]);
    let count = Job::new("count").mapper(Words).fold(Count::new()).reducer(Identity::new());
    assert_eq!(count.run_local(LocalInput::text("a b a\n")).unwrap().lines(), ["a\t2", "b\t1"]);
}

#[derive(Clone)]
struct ShowMax;

impl Reducer for ShowMax {
    type Key = String;
    type Value = Option<u64>;

    fn reduce(&mut self, key: &String, values: &mut Values<'_, Option<u64>>, out: &mut Output<'_>) -> Outcome {
        let all: Vec<u64> = values.flatten().collect();
        assert_eq!(all.len(), 1, "a fold gives one value");
        out.emit(key, all[0]);
        Ok(())
    }
}

#[test]
fn empty_input_gives_empty_output() {
    let result = folded().reduces(2).run_local(LocalInput::text("")).unwrap();
    assert_eq!(result.files, [("part-r-00000".to_owned(), Vec::new()), ("part-r-00001".to_owned(), Vec::new())]);
}

#[test]
fn jobs_are_listed_by_name() {
    fn wordcount(args: &JobArgs<'_>) -> Result<Job, JobError> {
        let [inputs @ .., output] = args.args else { return Err(usage("wordcount IN... OUT")) };
        Ok(folded().inputs(inputs).output(output))
    }
    let jobs = jobs![wordcount, "top-words" => wordcount, count => wordcount,];
    let names: Vec<&str> = jobs.iter().map(|job| job.name).collect();
    assert_eq!(names, ["wordcount", "top-words", "count"]);
    let settings = Settings::load(None, &[]).unwrap();
    let args = ["/a".to_owned(), "/b".to_owned()];
    let plan = (jobs[1].define)(&JobArgs { args: &args, settings: &settings }).unwrap();
    assert_eq!((plan.inputs.as_slice(), plan.output.as_deref()), (&args[..1], Some("/b")));
    let error = (jobs[0].define)(&JobArgs { args: &[], settings: &settings }).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.exit_status()), ("Usage: wordcount IN... OUT", 255));
}

proptest! {
    #[test]
    fn any_text_is_counted_right(text in "[ab\u{e9} \t\r\n]{0,200}", split in 1..60_u64, reduces in 1..4_u32) {
        let expected = naive(&text);
        for job in [plain as fn() -> Job, combined, folded] {
            let input = LocalInput::text(&text).in_splits_of(split);
            prop_assert_eq!(sorted(&job().reduces(reduces).run_local(input).unwrap()), expected.clone());
        }
    }
}

/// Gives each line under its place, many times as long.
#[derive(Clone)]
struct Long;

impl Mapper for Long {
    type Key = u64;
    type Value = String;

    fn map(&mut self, offset: u64, line: &str, out: &mut Emit<'_, u64, String>) -> Outcome {
        out.emit(&offset, &line.repeat(100));
        Ok(())
    }
}

#[derive(Clone)]
struct Lengths;

impl Reducer for Lengths {
    type Key = u64;
    type Value = Option<String>;

    fn reduce(&mut self, key: &u64, values: &mut Values<'_, Option<String>>, out: &mut Output<'_>) -> Outcome {
        for value in values {
            out.emit(key, value.map_or(0, |text| text.len()));
        }
        Ok(())
    }
}

#[test]
fn what_accumulators_hold_counts_as_memory() {
    let text: String = (0..4000).map(|n| format!("line {n:010}\n")).collect();
    let spilled = |sort_mb: u32| {
        let job = Job::new("long").mapper(Long).fold(Max::new()).reducer(Lengths).reduces(1);
        let result = job.run_local(LocalInput::text(&text).setting("mapreduce.task.io.sort.mb", sort_mb)).unwrap();
        let lines = result.lines();
        assert!(lines.len() == 4000 && lines.iter().all(|line| line.ends_with("\t1500")), "{} lines", lines.len());
        result.counters.get(names::FRAMEWORK, names::SPILLED_RECORDS)
    };
    // The keys would fit into a megabyte, their texts do not.
    let (little, much) = (spilled(1), spilled(100));
    assert!(little >= much + 3000, "{little} with a megabyte, {much} with many");
}
