//! Which processes belong to an attempt or executor: the process that was started, its descendants, its group, the groups and
//! sessions that these made, and whoever carries its mark in the environment or works in its folder.

use super::{Proc, all, find, own_pid};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Longest environment that is searched for a mark.
const ENVIRONMENT_MAX: u64 = 4 << 20;

/// Group or session of a process whose maker is outside of the process namespace: may be any, so it tells nothing.
const OUTSIDE: i32 = 0;

/// By what the processes of one attempt or executor are known.
#[derive(Clone, Debug)]
pub(crate) struct Marks {
    /// For people.
    pub(crate) what: String,
    /// The process that was started; its number is also that of its group. Must not have been reaped yet.
    pub(crate) leader: Option<i32>,
    /// Nothing that started before belongs.
    pub(crate) since: u64,
    /// `NAME=value` texts that all stand in the environment.
    pub(crate) environment: Vec<String>,
    /// Folder that nobody else works in.
    pub(crate) folder: Option<PathBuf>,
    /// Everything that belongs is known to descend from this process.
    pub(crate) below_us: bool,
}

/// What is the same for all processes that do not belong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own {
    pub(super) pid: i32,
    pub(super) group: i32,
    pub(super) session: i32,
}

impl Own {
    /// Read as the others are: where whoever made our group or session is outside of the process namespace (the first process of
    /// a container), the kernel calls it 0, which the typed calls do not foresee.
    pub(super) fn now() -> Self {
        let pid = own_pid();
        let (group, session) = find(pid).map_or((OUTSIDE, OUTSIDE), |own| (own.group, own.session));
        Self { pid, group, session }
    }
}

impl Marks {
    /// All that belong now, the leader included.
    pub(crate) fn members(&self) -> Vec<Proc> {
        belonging(self, Own::now(), &all(), |pid| self.is_marked(pid))
    }

    /// Whether a process carries the mark or works in the folder.
    fn is_marked(&self, pid: i32) -> bool {
        let inside = |folder: &Path| {
            let link = fs::read_link(format!("/proc/{pid}/cwd"));
            link.is_ok_and(|link| link.starts_with(folder) || deleted(&link).starts_with(folder))
        };
        let named = || {
            use std::io::Read;
            let mut environment = Vec::new();
            let read = fs::File::open(format!("/proc/{pid}/environ"))
                .and_then(|file| file.take(ENVIRONMENT_MAX).read_to_end(&mut environment));
            let has = |mark: &String| environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes());
            read.is_ok() && !self.environment.is_empty() && self.environment.iter().all(has)
        };
        named() || self.folder.as_deref().is_some_and(inside)
    }
}

/// The path of a folder that is gone, without what the kernel appends.
fn deleted(link: &Path) -> PathBuf {
    let bytes = link.as_os_str().as_bytes();
    let bytes = bytes.strip_suffix(b" (deleted)").unwrap_or(bytes);
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

/// The processes of `procs` that belong; `is_marked` is asked only about those that may.
pub(super) fn belonging(marks: &Marks, own: Own, procs: &[Proc], is_marked: impl Fn(i32) -> bool) -> Vec<Proc> {
    let below = below(own.pid, procs);
    let exists: BTreeSet<i32> = procs.iter().map(|proc| proc.pid).collect();
    let mut members: Vec<Proc> = Vec::new();
    let mut pids: BTreeSet<i32> = marks.leader.into_iter().collect();
    let mut groups = pids.clone();
    let mut sessions = BTreeSet::new();
    let mut rest: Vec<Proc> =
        procs.iter().filter(|proc| proc.pid != own.pid && proc.started >= marks.since).copied().collect();
    let marked: BTreeSet<i32> = rest
        .iter()
        .filter(|proc| !proc.zombie && (!marks.below_us || below.contains(&proc.pid)) && is_marked(proc.pid))
        .map(|proc| proc.pid)
        .collect();
    loop {
        let known = members.len();
        rest.retain(|proc| {
            let belongs = pids.contains(&proc.pid)
                || pids.contains(&proc.parent)
                || groups.contains(&proc.group)
                || sessions.contains(&proc.session)
                || marked.contains(&proc.pid);
            if belongs {
                members.push(*proc);
            }
            !belongs
        });
        if members.len() == known {
            return members;
        }
        pids.extend(members.iter().map(|proc| proc.pid));
        // A group belongs if one of them made it, as far as that can still be told: attempts and executors start in groups of
        // their own. They start in the session of their tracker, which others may share whose maker is gone as well, so such a
        // session belongs only if everybody in it descends from this process.
        let ours = |session: i32| procs.iter().all(|proc| proc.session != session || below.contains(&proc.pid));
        for proc in &members {
            let (group, session) = (proc.group, proc.session);
            if group != OUTSIDE && group != own.group && (pids.contains(&group) || !exists.contains(&group)) {
                groups.insert(group);
            }
            let made = || pids.contains(&session) || !exists.contains(&session) && ours(session);
            if session != OUTSIDE && session != own.session && made() {
                sessions.insert(session);
            }
        }
    }
}

/// All descendants of a process.
fn below(pid: i32, procs: &[Proc]) -> BTreeSet<i32> {
    let mut found = BTreeSet::from([pid]);
    loop {
        let before = found.len();
        for proc in procs {
            if found.contains(&proc.parent) {
                found.insert(proc.pid);
            }
        }
        if found.len() == before {
            found.remove(&pid);
            return found;
        }
    }
}
