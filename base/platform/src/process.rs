//! Facts about this process, its machine and its users, read from `/proc` and `/etc`.
//!
//! Users and groups come from the files only: a directory service behind the C library is not asked.

use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeSet;
use std::fs;

/// Memory of this process that is resident, in bytes; 0 where the system does not tell.
#[must_use]
pub fn resident_bytes() -> u64 {
    fs::read_to_string("/proc/self/status").ok().and_then(|text| status_field_kib(&text, "VmRSS:")).unwrap_or(0) * 1024
}

fn status_field_kib(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Whether an error says that this process, or the machine, has no file descriptor left: closing others then helps.
#[must_use]
pub fn is_out_of_descriptors(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE))
}

/// Raises the number of files and sockets that this process may have open as far as it may: the usual soft limit of 1024 is
/// there for programs that use `select`. Gives what it may have open now, `None` for any number.
pub fn raise_open_files() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limits = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limits.maximum, maximum: limits.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limits.maximum,
        Err(error) => {
            tracing::debug!(%error, "the limit of open files stays as it is");
            limits.current
        }
    }
}

/// Processor time that this process has used, in seconds.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "nanoseconds do not matter beyond 2^53 seconds")]
pub fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Identity of the machine's present boot; it changes with every boot, so a changed one tells an unclean end apart from a
/// mere restart of the process. `None` where the system does not tell.
#[must_use]
pub fn boot_id() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let id = text.trim();
    (!id.is_empty()).then(|| id.to_owned())
}

/// The machine's name, `localhost` where it has none.
#[must_use]
pub fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

/// Name of the user that this process runs as: by `/etc/passwd`, else `$USER`, else the number.
#[must_use]
pub fn user_name() -> String {
    let uid = rustix::process::geteuid().as_raw();
    Accounts::of_system()
        .user_of(uid)
        .map(str::to_owned)
        .or_else(|| std::env::var("USER").ok().filter(|name| !name.is_empty()))
        .unwrap_or_else(|| uid.to_string())
}

/// Groups of a user by the system's files, the primary one first; empty for an unknown user.
#[must_use]
pub fn groups_of(user: &str) -> Vec<String> {
    Accounts::of_system().groups_of(user)
}

/// The contents of `/etc/passwd` and `/etc/group`.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    passwd: String,
    group: String,
}

impl Accounts {
    /// Accounts of these two files' texts.
    #[must_use]
    pub fn of_texts(passwd: String, group: String) -> Self {
        Self { passwd, group }
    }

    /// Accounts of this machine; an unreadable file counts as empty.
    #[must_use]
    pub fn of_system() -> Self {
        let read = |path| fs::read(path).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
        Self { passwd: read("/etc/passwd"), group: read("/etc/group") }
    }

    /// The first user with this number.
    #[must_use]
    pub fn user_of(&self, uid: u32) -> Option<&str> {
        self.passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
        })
    }

    /// See [`groups_of`].
    #[must_use]
    pub fn groups_of(&self, user: &str) -> Vec<String> {
        let primary = self.passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            if fields.next()? == user { fields.nth(2)?.parse::<u32>().ok() } else { None }
        });
        let mut first = Vec::new();
        let mut others = BTreeSet::new();
        for line in self.group.lines() {
            let mut fields = line.split(':');
            let (Some(name), Some(gid)) = (fields.next(), fields.nth(1)) else { continue };
            if gid.parse().ok() == primary && primary.is_some() {
                first.push(name.to_owned());
            } else if fields.next().unwrap_or_default().split(',').any(|member| member.trim() == user) {
                others.insert(name.to_owned());
            }
        }
        first.extend(others);
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory_and_time() {
        assert!(resident_bytes() > 100_000);
        let before = cpu_seconds();
        let mut sum = 0_u64;
        while cpu_seconds() <= before {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(before >= 0.0);
        assert!(!host_name().is_empty() && !user_name().is_empty());
    }

    #[test]
    fn status_fields_are_found_or_absent() {
        assert_eq!(status_field_kib("Name:\tx\nVmRSS:\t   1234 kB\n", "VmRSS:"), Some(1234));
        assert_eq!(status_field_kib("VmRSS:\tmany\n", "VmRSS:"), None);
    }

    #[test]
    fn groups_put_the_primary_one_first() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:100:Ann:/home/ann:/bin/sh\nbroken\n";
        let group = "root:x:0:\nwheel:x:10:root,ann\nusers:x:100:\naudio:x:5: ann\nbroken:\n";
        let accounts = Accounts::of_texts(passwd.to_owned(), group.to_owned());
        assert_eq!(accounts.user_of(1000), Some("ann"));
        assert_eq!(accounts.user_of(7), None);
        assert_eq!(accounts.groups_of("ann"), ["users", "audio", "wheel"]);
        assert!(accounts.groups_of("nobody").is_empty());
    }
}
