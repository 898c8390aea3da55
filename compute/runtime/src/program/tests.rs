use super::*;
use crate::task::testing::plan;

fn job(_: &JobArgs<'_>) -> Result<JobPlan, RuntimeError> {
    Ok(plan(&[], None))
}

fn app(_: Invocation) -> ExitCode {
    ExitCode::SUCCESS
}

fn executor() -> ExitCode {
    ExitCode::SUCCESS
}

const JOBS: &[JobEntry] = &[JobEntry { name: "both", define: job }, JobEntry { name: "sort", define: job }];
const APPS: &[AppEntry] =
    &[AppEntry { name: "both", driver: app, executor }, AppEntry { name: "pagerank", driver: app, executor }];

fn chosen(name: &str, mode: Option<Mode>) -> Result<&'static str, String> {
    match choose(JOBS, APPS, name, mode) {
        Ok(Choice::Job(_)) => Ok("job"),
        Ok(Choice::App(_)) => Ok("app"),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn a_name_that_is_both_is_a_job_unless_the_mode_says_memory() {
    assert_eq!(chosen("both", None).unwrap(), "job");
    assert_eq!(chosen("both", Some(Mode::Disk)).unwrap(), "job");
    assert_eq!(chosen("both", Some(Mode::Memory)).unwrap(), "app");
    assert_eq!(chosen("pagerank", None).unwrap(), "app");
    assert_eq!(chosen("sort", None).unwrap(), "job");
    assert_eq!(chosen("sort", Some(Mode::Memory)).unwrap_err(), "`sort` runs on disk only: mapred run --mode disk");
    assert!(chosen("pagerank", Some(Mode::Disk)).unwrap_err().contains("runs in memory only"));
}

#[test]
fn an_unknown_name_is_answered_with_those_there_are() {
    let error = choose(JOBS, APPS, "wordcont", None).unwrap_err();
    assert_eq!(error.to_string(), "Unknown job `wordcont`. This program has: both, pagerank, sort");
    assert_eq!(error.exit_status(), 1, "a mistake in the name is no wrong usage of the program");
    let usage = usage("./prog", JOBS, APPS);
    assert!(usage.contains("both (disk, memory)") && usage.contains("sort (disk)"), "{usage}");
}

#[test]
fn a_program_describes_itself() {
    let json = serde_json::to_string(&description(JOBS, APPS)).unwrap();
    assert_eq!(json, r#"{"contract":1,"jobs":["both","sort"],"apps":["both","pagerank"]}"#);
}
