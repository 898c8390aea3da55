//! What the end of a process means. A process that was not ended by us succeeded only if it said that its work is done and then
//! ended with status 0: a status alone may come from user code that exits early, a word alone from a process that was torn
//! down after it.

use super::reason::seconds;
use mammoth_protocol::jobs::Counters;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// The last that it said about its work.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Said {
    #[default]
    Nothing,
    Done {
        counters: Counters,
        partitions: Vec<u64>,
    },
    Failed(String),
}

/// Why we ended it, if we did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cause {
    #[default]
    Itself,
    /// By order, or with the tracker.
    Ordered(String),
    /// It said nothing for so many milliseconds.
    Silent(u64),
    /// It said what makes no sense.
    Broken(String),
    /// It had said that it was done or failed, or closed its link, and did not end.
    Lingered(u64),
}

/// How it ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    Succeeded {
        counters: Counters,
        partitions: Vec<u64>,
    },
    /// One line.
    Failed(String),
    Killed(String),
}

/// The verdict on a task.
pub(crate) fn of_task(said: Said, cause: Cause, status: ExitStatus) -> Verdict {
    match (cause, said) {
        (Cause::Ordered(reason), _) => Verdict::Killed(reason),
        (Cause::Silent(ms), _) => Verdict::Failed(format!("no progress for {}", seconds(ms))),
        (Cause::Broken(reason), _) => Verdict::Failed(reason),
        (_, Said::Failed(reason)) => Verdict::Failed(reason),
        (Cause::Lingered(ms), Said::Done { .. }) => {
            Verdict::Failed(format!("it was done but had not ended {} later", seconds(ms)))
        }
        (Cause::Lingered(_), Said::Nothing) => Verdict::Failed("it closed its link before it was done".to_owned()),
        (Cause::Itself, Said::Done { counters, partitions }) if status.success() => {
            Verdict::Succeeded { counters, partitions }
        }
        (Cause::Itself, Said::Done { .. }) => Verdict::Failed(format!("it was done and then {}", ended(status))),
        (Cause::Itself, Said::Nothing) if status.success() => {
            Verdict::Failed("exited with status 0 before it was done".to_owned())
        }
        (Cause::Itself, Said::Nothing) => Verdict::Failed(ended(status)),
    }
}

/// Why an executor is no more, in one line.
pub(crate) fn of_executor(said: Said, cause: Cause, status: ExitStatus) -> String {
    match (cause, said) {
        (Cause::Ordered(reason), _) => reason,
        (Cause::Broken(reason), _) => reason,
        (_, Said::Failed(reason)) => reason,
        (Cause::Silent(_) | Cause::Lingered(_), _) => "it closed its link and did not end".to_owned(),
        (Cause::Itself, _) => ended(status),
    }
}

fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => {
            let core = if status.core_dumped() { ", core dumped" } else { "" };
            format!("was killed by signal {signal} ({}{core})", signal_name(signal))
        }
        (None, None) => format!("ended with {status}"),
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        10 => "SIGUSR1",
        11 => "SIGSEGV",
        12 => "SIGUSR2",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => "another one",
    }
}
