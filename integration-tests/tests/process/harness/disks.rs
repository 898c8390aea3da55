//! Disks that really fill, and disks that really break: small file systems, mounted in a mount namespace of the cluster's own,
//! so that nothing of them can stay behind. A disk that fills is one in memory; it needs no privilege where users may make
//! namespaces, otherwise root. A disk that breaks is a file, used as a disk by the system (a loop device) and cut to nothing
//! when it is to break, so that what is read and written gives true I/O errors; it needs root.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A mount namespace with small file systems, as long as this value lives (and the processes that were started in it).
pub(crate) struct SmallDisks {
    /// Does nothing but keep the namespace; ends with its standard input, so also when the test is killed.
    keeper: Child,
    /// `nsenter` with its options.
    enter: Vec<String>,
}

/// What a small disk can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Disk {
    /// It fills.
    Fills,
    /// It fills, and breaks when this file is cut.
    Breaks(PathBuf),
}

impl SmallDisks {
    /// Mounts a file system of so many MiB on each of these folders.
    ///
    /// # Errors
    /// This machine allows it neither way; what each of them said.
    pub(crate) fn mount(disks: &[(PathBuf, u64, Disk)]) -> Result<Self, String> {
        let as_user = Self::try_mount(disks, &["--user", "--map-root-user"]);
        as_user.or_else(|first| Self::try_mount(disks, &[]).map_err(|second| format!("{first}; {second}")))
    }

    fn try_mount(disks: &[(PathBuf, u64, Disk)], namespaces: &[&str]) -> Result<Self, String> {
        let mut script = String::from("set -e\n");
        for (path, mib, disk) in disks {
            let path = path.display();
            script += &match disk {
                Disk::Fills => format!("mkdir -p '{path}'\nmount -t tmpfs -o size={mib}m,mode=700 small '{path}'\n"),
                Disk::Breaks(file) => format!(
                    "mkdir -p '{path}'\ntruncate -s {mib}M '{0}'\nmkfs.ext4 -q -O ^has_journal '{0}'\n\
                     mount -o loop,errors=continue '{0}' '{path}'\nrmdir '{path}/lost+found'\n",
                    file.display()
                ),
            };
        }
        script += "echo mounted\nexec cat\n";
        let mut unshare = Command::new("unshare");
        unshare.args(namespaces).args(["--mount", "--propagation", "private", "sh", "-c", &script]);
        unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut keeper = unshare.spawn().map_err(|e| format!("unshare: {e}"))?;
        let mut line = String::new();
        let out = keeper.stdout.take().expect("a pipe");
        BufReader::new(out).read_line(&mut line).expect("the pipe is read");
        if line != "mounted\n" {
            let mut said = String::new();
            let _ = keeper.stderr.take().expect("a pipe").read_to_string(&mut said);
            let _ = keeper.wait();
            return Err(format!("unshare {}: {}", namespaces.join(" "), said.trim()));
        }
        let mut enter = vec!["nsenter".to_owned()];
        if !namespaces.is_empty() {
            enter.extend([format!("--user=/proc/{}/ns/user", keeper.id()), "--preserve-credentials".to_owned()]);
        }
        enter.extend([format!("--mount=/proc/{}/ns/mnt", keeper.id()), "--".to_owned()]);
        Ok(Self { keeper, enter })
    }

    /// A command that runs where the disks are.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(&self.enter[0]);
        command.args(&self.enter[1..]).arg(program);
        command
    }

    /// A path of the namespace as seen from here.
    pub(crate) fn seen(&self, path: &Path) -> PathBuf {
        let inside = path.strip_prefix("/").expect("an absolute path");
        PathBuf::from(format!("/proc/{}/root", self.keeper.id())).join(inside)
    }
}

impl Drop for SmallDisks {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Writes a file until not one byte more fits, but for `left` bytes.
pub(crate) fn fill(file: &Path, left: u64) {
    let mut filler = std::fs::File::create(file).expect("a file is made");
    // Whole pages: a file system in memory has nothing smaller.
    let page = [0x55; 4096];
    loop {
        match filler.write_all(&page) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::StorageFull => break,
            Err(e) => panic!("{}: {e}", file.display()),
        }
    }
    let len = filler.metadata().expect("its length").len();
    filler.set_len(len.saturating_sub(left)).expect("cut");
}
