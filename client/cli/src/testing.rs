//! Runs whole command lines against a folder of the local disk, which is a file system like any other to the commands.

use crate::generic::Surroundings;
use crate::{Io, run_in};
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// What a command line did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) status: u8,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A folder to work in.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// The folder and a name in it.
    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file, making the folders above it.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).unwrap()
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.dir.path().join(name).exists()
    }

    /// Every file and folder below, by name.
    pub(crate) fn all(&self) -> Vec<String> {
        fn walk(base: &Path, folder: &Path, all: &mut Vec<String>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                all.push(path.strip_prefix(base).unwrap().to_str().unwrap().to_owned());
                if path.is_dir() {
                    walk(base, &path, all);
                }
            }
        }
        let mut all = Vec::new();
        walk(self.dir.path(), self.dir.path(), &mut all);
        all.sort();
        all
    }

    /// Runs a command line, words separated by blanks; `@` stands for this folder. In the output the
    /// folder is written `@` again.
    pub(crate) fn run(&self, line: &str) -> Ran {
        self.run_with(line, "")
    }

    /// The same with something to read.
    pub(crate) fn run_with(&self, line: &str, input: &str) -> Ran {
        let mut args = vec!["-fs".to_owned(), "file:///".to_owned()];
        let folder = self.dir.path().to_str().unwrap();
        args.extend(line.split(' ').map(|word| word.replace('@', folder)));
        let ran = run_bare(&args, input);
        let hide = |text: String| text.replace(folder, "@");
        Ran { status: ran.status, out: hide(ran.out), err: hide(ran.err) }
    }

    /// Runs a command line that must succeed without a word of complaint.
    pub(crate) fn ok(&self, line: &str) -> String {
        let ran = self.run(line);
        assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{line}: {ran:?}");
        ran.out
    }

    /// Runs a command line that must fail with status 1 and exactly this line.
    pub(crate) fn fails(&self, line: &str, message: &str) {
        let ran = self.run(line);
        assert_eq!((ran.status, ran.err.trim_end()), (1, message), "{line}: {ran:?}");
    }

    /// Runs a command line that must be refused with status 255, this line and the usage of its command.
    pub(crate) fn refused(&self, line: &str, message: &str) {
        let ran = self.run(line);
        let mut lines = ran.err.lines();
        assert_eq!((ran.status, lines.next()), (255, Some(message)), "{line}: {ran:?}");
        let command = line.split(' ').next().unwrap().trim_start_matches('-');
        let usage = format!("Usage: dfs [generic options] -{command}");
        assert!(lines.next().is_some_and(|usage_line| usage_line.starts_with(&usage)), "{line}: {ran:?}");
        assert_eq!(lines.next(), None, "{line}");
    }
}

/// Runs a command line as it is, in an empty environment.
pub(crate) fn run_bare(args: &[String], input: &str) -> Ran {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let io = Io {
        stdin: &mut input.as_bytes(),
        stdout: &mut out,
        stderr: &mut err,
        stderr_is_terminal: false,
        owns_process: false,
    };
    let status = run_in(args.iter().map(OsString::from).collect(), io, Surroundings::default());
    Ran { status, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

/// A stream whose reader went away.
pub(crate) struct Closed;

impl Write for Closed {
    fn write(&mut self, _data: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
