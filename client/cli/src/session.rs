//! One run of one command: where it writes, what has failed so far, and which file systems it talks to.

use crate::fault::{Fault, PathIssue};
use crate::fs::{FsRef, Status};
use crate::glob::{self, BadPattern, Lister, Matches};
use crate::input::StoppableInput;
use crate::paths::{Item, Typed, absolute};
use crate::systems::Systems;
use crate::{EXIT_FAILED, Io};
use mammoth_platform::{Shutdown, signals};
use std::io::{BufWriter, Read, Write};

/// The state of one run.
pub(crate) struct Session<'io> {
    /// Name of the command without its dash; errors begin with it.
    pub(crate) name: &'static str,
    out: BufWriter<&'io mut dyn Write>,
    err: &'io mut dyn Write,
    input: &'io mut dyn Read,
    /// Whether progress may be drawn.
    pub(crate) draws: bool,
    owns_process: bool,
    stop: Shutdown,
    /// The file systems.
    pub(crate) systems: Systems,
    watches: bool,
    failed: bool,
    status: u8,
}

impl<'io> Session<'io> {
    pub(crate) fn new(io: Io<'io>, systems: Systems, name: &'static str) -> Self {
        Self {
            name,
            out: BufWriter::with_capacity(64 << 10, io.stdout),
            err: io.stderr,
            input: io.stdin,
            draws: io.stderr_is_terminal,
            owns_process: io.owns_process,
            stop: Shutdown::new(),
            systems,
            watches: false,
            failed: false,
            status: 0,
        }
    }

    /// The exit status so far.
    pub(crate) fn exit_status(&self) -> u8 {
        if self.failed { EXIT_FAILED } else { self.status }
    }

    /// Sets the exit status of a run without errors, for commands that answer by it.
    pub(crate) fn set_status(&mut self, status: u8) {
        self.status = status;
    }

    /// Writes a line to standard output.
    ///
    /// # Errors
    /// Standard output is gone.
    pub(crate) fn line(&mut self, text: impl std::fmt::Display) -> Result<(), Fault> {
        writeln!(self.out, "{text}").map_err(Fault::output)
    }

    /// Writes to standard output.
    ///
    /// # Errors
    /// Standard output is gone.
    pub(crate) fn print(&mut self, text: impl std::fmt::Display) -> Result<(), Fault> {
        write!(self.out, "{text}").map_err(Fault::output)
    }

    /// Shows what was written so far.
    ///
    /// # Errors
    /// Standard output is gone.
    pub(crate) fn flush(&mut self) -> Result<(), Fault> {
        self.out.flush().map_err(Fault::output)
    }

    /// Writes an object of JSON as a line.
    ///
    /// # Errors
    /// Standard output is gone.
    pub(crate) fn json(&mut self, value: &impl serde::Serialize) -> Result<(), Fault> {
        let text = serde_json::to_string(value).map_err(|e| Fault::Other(e.to_string()))?;
        self.line(text)
    }

    /// Standard output for bytes.
    pub(crate) fn out(&mut self) -> &mut dyn Write {
        &mut self.out
    }

    /// Standard input.
    pub(crate) fn input(&mut self) -> &mut dyn Read {
        self.input
    }

    /// A line on standard error that is no failure.
    pub(crate) fn note(&mut self, text: impl std::fmt::Display) {
        // What was printed before the note is seen before it. Nothing can be done about a standard error that is gone.
        let _ = self.out.flush();
        let _ = writeln!(self.err, "{text}");
    }

    /// A question on standard error, without an end of line.
    pub(crate) fn ask(&mut self, text: impl std::fmt::Display) {
        let _ = self.out.flush();
        let _ = write!(self.err, "{text}").and_then(|()| self.err.flush());
    }

    /// Reports a failure; the run goes on and ends with status 1.
    pub(crate) fn report(&mut self, fault: &Fault) {
        self.failed = true;
        if !matches!(fault, Fault::BrokenPipe) {
            let name = self.name;
            self.note(format_args!("{name}: {}", fault.line()));
        }
    }

    /// Reports a failure of one path, unless nothing that follows can succeed either.
    ///
    /// # Errors
    /// A failure that ends the run.
    pub(crate) fn absorb(&mut self, result: Result<(), Fault>) -> Result<(), Fault> {
        match result {
            Err(fault) if !fault.is_final() => {
                self.report(&fault);
                Ok(())
            }
            other => other,
        }
    }

    /// Makes the first SIGINT or SIGTERM end the work in order instead of the process, where the process is ours.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn watch_signals(&mut self) -> Result<(), Fault> {
        if self.owns_process && !self.watches {
            signals::on_terminate(&self.stop)?;
            self.watches = true;
        }
        Ok(())
    }

    /// Standard input for a copy: one that ends with [`Stopped`](crate::fault::Stopped) when the user asks for the end, as
    /// waiting for a terminal would otherwise outlast it.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub(crate) fn copy_input(&mut self) -> Result<Box<dyn Read + '_>, Fault> {
        if self.owns_process {
            Ok(Box::new(StoppableInput::start(&self.stop)?))
        } else {
            Ok(Box::new(&mut *self.input))
        }
    }

    /// Triggered when the user asks for the end.
    pub(crate) fn stop(&self) -> &Shutdown {
        &self.stop
    }

    /// What one argument stands for: the matches of a pattern, or one path that may not exist.
    ///
    /// # Errors
    /// A pattern without a match; whatever asking about it runs into.
    pub(crate) fn expand(&mut self, arg: &str) -> Result<Vec<Item>, Fault> {
        let typed = parse_checked(arg)?;
        let fs = self.systems.of(&typed)?;
        let home = fs.working_folder().to_owned();
        // A scheme alone means the root, not the working folder.
        let base = if typed.scheme.is_some() { "/" } else { home.as_str() };
        let matches = glob::expand(&mut FsLister(&fs), typed.path, |path| absolute(path, base))?;
        match matches {
            Matches::Missing => {
                let path = absolute(&glob::unquote(typed.path), base);
                Ok(vec![Item { fs, shown: glob::unquote(arg), path, status: None }])
            }
            Matches::Found(found) if found.is_empty() => Err(Fault::path(arg, PathIssue::NotFound)),
            Matches::Found(found) => Ok(found
                .into_iter()
                .map(|(path, status)| Item {
                    fs: fs.clone(),
                    shown: typed.show(&path, &home),
                    path,
                    status: Some(status),
                })
                .collect()),
        }
    }

    /// One path taken as it is, without patterns.
    ///
    /// # Errors
    /// Whatever asking about it runs into.
    pub(crate) fn lookup(&mut self, arg: &str) -> Result<Item, Fault> {
        let typed = parse_checked(arg)?;
        let fs = self.systems.of(&typed)?;
        let base = if typed.scheme.is_some() { "/" } else { fs.working_folder() };
        let path = absolute(typed.path, base);
        let status = fs.status(&path)?;
        Ok(Item { fs, shown: arg.to_owned(), path, status })
    }

    /// One path of the local disk, taken as it is; `file:` in front of it is fine.
    ///
    /// # Errors
    /// Whatever asking about it runs into.
    pub(crate) fn local(&mut self, arg: &str) -> Result<Item, Fault> {
        let typed = parse_checked(arg)?;
        let text = if typed.scheme == Some("file") { typed.path } else { arg };
        let fs = self.systems.local()?;
        let path = absolute(text, fs.working_folder());
        let status = fs.status(&path)?;
        Ok(Item { fs, shown: text.to_owned(), path, status })
    }

    /// Expands every argument, then works on each item. Failures of one do not keep the others from being worked on.
    ///
    /// # Errors
    /// A failure that ends the run.
    pub(crate) fn each_item(
        &mut self,
        args: &[String],
        mut work: impl FnMut(&mut Self, Item) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        for item in self.expand_all(args)? {
            let result = work(self, item);
            self.absorb(result)?;
        }
        Ok(())
    }

    /// The same for items that must exist.
    ///
    /// # Errors
    /// A failure that ends the run.
    pub(crate) fn each(
        &mut self,
        args: &[String],
        mut work: impl FnMut(&mut Self, Item) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.each_item(args, |session, item| {
            item.found()?;
            work(session, item)
        })
    }

    /// What all arguments stand for; those that stand for nothing are reported.
    ///
    /// # Errors
    /// A failure that ends the run.
    pub(crate) fn expand_all(&mut self, args: &[String]) -> Result<Vec<Item>, Fault> {
        let mut items = Vec::new();
        for arg in args {
            let result = self.expand(arg).map(|found| items.extend(found));
            self.absorb(result)?;
        }
        Ok(items)
    }

    /// Works on an item, then on all that is below it.
    ///
    /// # Errors
    /// A failure of `item` itself; one that ends the run.
    pub(crate) fn descend(
        &mut self,
        item: &Item,
        work: &mut dyn FnMut(&mut Self, &Item) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        work(self, item)?;
        if item.is_folder() {
            for child in item.children()? {
                let result = self.descend(&child, work);
                self.absorb(result)?;
            }
        }
        Ok(())
    }
}

fn parse_checked(arg: &str) -> Result<Typed<'_>, Fault> {
    if arg.is_empty() {
        return Err(Fault::Usage("Can not create a Path from an empty string".to_owned()));
    }
    Ok(Typed::parse(arg))
}

/// A file system as something to find patterns in.
struct FsLister<'a>(&'a FsRef);

impl Lister for FsLister<'_> {
    type Entry = Status;
    type Error = Fault;

    fn entry(&mut self, path: &str) -> Result<Option<Status>, Fault> {
        self.0.status(path)
    }

    fn entries(&mut self, path: &str) -> Result<Vec<(String, Status)>, Fault> {
        match self.0.list(path) {
            Ok(entries) => Ok(entries.into_iter().map(|entry| (entry.name, entry.status)).collect()),
            Err(fault) if fault.means_no_folder() => Ok(Vec::new()),
            Err(fault) => Err(fault),
        }
    }

    fn is_folder(entry: &Status) -> bool {
        entry.is_folder()
    }
}

impl From<BadPattern> for Fault {
    fn from(bad: BadPattern) -> Self {
        Self::Other(bad.to_string())
    }
}
