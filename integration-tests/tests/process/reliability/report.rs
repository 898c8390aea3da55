//! `docs/reliability.md`: written by a run that is told to, compared with what ran otherwise.

use super::cells::{Cell, Mode, Moment, Outcome, cells};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Set to write the page.
const WRITE: &str = "MAMMOTH_WRITE_RELIABILITY";

const HEAD: &str = "\
# What survives when somebody dies

A run of the kill matrix wrote this page: real processes, one namenode, four datanodes, files of three replicas, and a client
that does one step at a time. At each moment of the client's or the cluster's work one of those that take part in it is killed,
or stopped as by a long pause, and then all that had been acknowledged is compared with what is there: the file's bytes, read
by another client, and its end, to which that client appends. Who was stopped goes on afterwards (a namenode after two seconds).

`cargo test -p mammoth-integration-tests --test process kill_matrix` runs the matrix and checks that its cells are those of
this page. `MAMMOTH_WRITE_RELIABILITY=1` before that writes the page anew.

Seconds are one run's, in a debug build, six such clusters on two cores at a time, and count from the harm. *Readable*: all that
was acknowledged could be read; the time in which a killed namenode is started again is in it, and so is what the client still
wrote. *Writable*: another client had appended to the file and closed it. The tests' times are short: a datanode is dead after
3 s of silence, a datanode that does not answer is given up after 3 s, a lease can be taken over after 2 s.

";

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace folder").join("docs/reliability.md")
}

/// The columns of a row that are the same in every run.
fn fixed(cell: Cell, acknowledged: &str) -> String {
    let (moment, victim) = (cell.moment.name(), cell.victim.name());
    match cell.reason() {
        Some(reason) => format!("| {moment} | {victim} | – | – | not applicable: {reason} |"),
        None => format!("| {moment} | {victim} | {} | {acknowledged} | lost nothing |", cell.mode.name()),
    }
}

fn render(outcomes: &[Outcome]) -> String {
    let mut text = HEAD.to_owned();
    text += "## The moments\n\n| moment | what holds when it happens |\n| --- | --- |\n";
    for moment in Moment::ALL {
        writeln!(text, "| {} | {} |", moment.name(), moment.how()).expect("text");
    }
    text += "\n## The cells\n\n";
    text += "| moment | victim | harm | acknowledged before | outcome | readable after | writable after |\n";
    text += "| --- | --- | --- | --- | --- | --- | --- |\n";
    for cell in cells() {
        if cell.reason().is_some() {
            if cell.mode == Mode::Kill {
                writeln!(text, "{} – | – |", fixed(cell, "")).expect("text");
            }
            continue;
        }
        let outcome = outcomes.iter().find(|outcome| outcome.cell == cell).expect("every cell has run");
        let seconds = |time: std::time::Duration| format!("{:.1} s", time.as_secs_f64());
        let (readable, writable) = (seconds(outcome.readable), seconds(outcome.writable));
        writeln!(text, "{} {readable} | {writable} |", fixed(cell, &outcome.acknowledged)).expect("text");
    }
    text
}

/// The rows of all tables, without what differs from run to run.
fn rows(text: &str) -> BTreeSet<String> {
    let row = |line: &str| {
        let columns: Vec<&str> = line.split('|').collect();
        columns[..columns.len().min(6)].join("|")
    };
    text.lines().filter(|line| line.starts_with('|')).map(row).collect()
}

/// Writes the page, if the run is told to; otherwise the page must have the cells that ran, no more and no fewer.
pub(super) fn compare_or_write(outcomes: &[Outcome]) {
    let found = render(outcomes);
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(page(), found).expect("the page is written");
        return;
    }
    let kept = std::fs::read_to_string(page()).expect("docs/reliability.md");
    let (kept, found) = (rows(&kept), rows(&found));
    let gone: Vec<_> = kept.difference(&found).collect();
    let new: Vec<_> = found.difference(&kept).collect();
    assert!(
        gone.is_empty() && new.is_empty(),
        "docs/reliability.md is not of this matrix; {WRITE}=1 writes it anew.\nonly there: {gone:#?}\nonly here: {new:#?}"
    );
}
