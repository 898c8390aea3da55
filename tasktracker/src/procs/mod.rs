//! Processes as the kernel shows them: finding and ending everything that descends from a child of the tracker, and reaping
//! what the kernel hands to the tracker.
//!
//! The tracker's process is a subreaper, so a descendant whose parent ends becomes its own child, whatever group or session it
//! moved to. Several trackers may share the process with others who start children, so nothing is reaped that may be theirs.

mod belonging;
mod reaper;

pub(crate) use belonging::Marks;
pub(crate) use reaper::{Leaders, Reaper};

use mammoth_platform::{Clock, Deadline};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, waitpid};
use std::fs;
use std::time::Duration;

/// How long processes that were killed may take to be gone.
const GONE_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause between two looks at them.
const LOOK_PAUSE: Duration = Duration::from_millis(1);

/// One process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Proc {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    /// Ticks between the boot and its start.
    pub(crate) started: u64,
    /// It has ended, and its parent has not been told.
    pub(crate) zombie: bool,
}

/// All processes; those that come and go meanwhile may be missing.
pub(crate) fn all() -> Vec<Proc> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(find).collect()
}

/// One process, if it is there.
pub(crate) fn find(pid: i32) -> Option<Proc> {
    // The name of a program need not be UTF-8.
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse(pid, &String::from_utf8_lossy(&stat))
}

/// `pid (name) state parent group session …`, of which the name may contain anything.
fn parse(pid: i32, stat: &str) -> Option<Proc> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let mut number = || fields.next()?.parse::<i32>().ok();
    let (parent, group, session) = (number()?, number()?, number()?);
    let started = fields.nth(15)?.parse().ok()?;
    Some(Proc { pid, parent, group, session, started, zombie: matches!(state, "Z" | "X") })
}

/// The process that this is.
pub(crate) fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// Kills everything that belongs to `marks` but its leader, and waits until it is gone. Blocks.
pub(crate) fn end_all(marks: &Marks, clock: &dyn Clock) {
    let deadline = Deadline::after(clock, GONE_TIMEOUT);
    let own = own_pid();
    loop {
        let found = marks.members();
        let others: Vec<Proc> = found.into_iter().filter(|proc| Some(proc.pid) != marks.leader).collect();
        let mut alive = 0_usize;
        for proc in &others {
            if proc.zombie {
                if proc.parent == own {
                    reap(proc.pid);
                }
            } else {
                alive += 1;
                kill(*proc);
            }
        }
        if alive == 0 {
            return;
        }
        if deadline.is_over(clock) {
            tracing::warn!(processes = alive, of = %marks.what, "killed processes do not end");
            return;
        }
        std::thread::sleep(LOOK_PAUSE);
    }
}

/// Kills this very process, never another one that has got its number since.
fn kill(proc: Proc) {
    let Some(pid) = Pid::from_raw(proc.pid) else { return };
    let Ok(held) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    if find(proc.pid).is_some_and(|now| now.started == proc.started) {
        let _ = pidfd_send_signal(held, Signal::KILL);
    }
}

/// Takes note of the end of a child that nobody else waits for.
fn reap(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    }
}

#[cfg(test)]
mod tests;
