//! One file at a time.

use super::ahead;
use super::progress::{Overall, Progress};
use crate::fault::{Fault, PathIssue};
use crate::fs::WriteOptions;
use crate::paths::Item;
use mammoth_platform::{IoBuffer, Shutdown};
use std::io::{ErrorKind, Read, Write};

/// Ends the name of a file that is not complete yet.
const TEMPORARY_SUFFIX: &str = "._COPYING_";
/// Bytes that one step moves.
const BUFFER_BYTES: usize = 1 << 20;

/// What a copy keeps of its source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preserve {
    pub(crate) times: bool,
    pub(crate) owner: bool,
    pub(crate) permission: bool,
}

impl Preserve {
    /// Times, owner and permissions.
    pub(crate) const ALL: Self = Self { times: true, owner: true, permission: true };

    pub(crate) fn is_any(self) -> bool {
        self != Self::default()
    }
}

/// How to copy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Replace files.
    pub(crate) overwrite: bool,
    /// Write without a temporary file.
    pub(crate) direct: bool,
    /// Write one replica only.
    pub(crate) lazy: bool,
    /// Refuse bad checksums.
    pub(crate) verify: bool,
    /// Write checksum files to the local disk.
    pub(crate) checksum_file: bool,
    pub(crate) preserve: Preserve,
    /// Delete each source when its copy is complete.
    pub(crate) moves: bool,
    /// Files copied at a time.
    pub(crate) threads: usize,
    /// Files that may wait for a thread.
    pub(crate) queue: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            overwrite: false,
            direct: false,
            lazy: false,
            verify: true,
            checksum_file: false,
            preserve: Preserve::default(),
            moves: false,
            threads: 1,
            queue: 1024,
        }
    }
}

/// What is copied.
enum Input<'a> {
    /// A file of a length that is known, as far as nobody writes to it.
    File { input: Box<dyn Read + Send>, len: u64 },
    /// What ends when it ends; a pipe has a thread of its own already.
    Stream(&'a mut dyn Read),
}

/// What copying one file needs.
pub(crate) struct Engine {
    pub(super) options: Options,
    draws: bool,
    stop: Shutdown,
    /// Where several files are copied at a time and somebody looks on.
    overall: Option<Overall>,
}

impl Engine {
    /// `draws` to show progress; `stop` ends copies early.
    pub(crate) fn new(options: Options, draws: bool, stop: Shutdown) -> Self {
        Self { options, draws, stop, overall: None }
    }

    /// As [`Self::new`], for several files at a time.
    pub(super) fn parallel(options: Options, draws: bool, stop: Shutdown) -> Self {
        Self { overall: draws.then(Overall::new), ..Self::new(options, false, stop) }
    }

    /// A file is going to be copied.
    pub(super) fn expect(&self, source: &Item) {
        if let (Some(overall), Ok(status)) = (&self.overall, source.found()) {
            overall.expect(status.len);
        }
    }

    /// Copies a file to exactly `target`.
    pub(super) fn copy_file(&self, source: &Item, target: &Item) -> Result<(), Fault> {
        let status = source.found()?;
        if !status.is_file() {
            return Err(source.fault(PathIssue::Symlink));
        }
        self.check_free(target)?;
        let input = source.fs.open(&source.path, 0, self.options.verify)?;
        let input = Input::File { input, len: status.len };
        let progress = match &self.overall {
            Some(overall) => Progress::of(overall),
            None => Progress::new(self.draws, source.name(), Some(status.len)),
        };
        self.copy_stream(&source.shown, input, target, progress)?;
        self.preserve(source, target)?;
        if self.options.moves { remove_source(source) } else { Ok(()) }
    }

    /// Writes all that `input` gives to exactly `target`; `name` is what errors of the input are about.
    pub(crate) fn copy_input(&self, name: &str, input: &mut dyn Read, target: &Item) -> Result<(), Fault> {
        self.check_free(target)?;
        self.copy_stream(name, Input::Stream(input), target, Progress::new(self.draws, target.name(), None))
    }

    fn check_free(&self, target: &Item) -> Result<(), Fault> {
        if target.exists() && (target.is_folder() || !self.options.overwrite) {
            return Err(target.fault(PathIssue::Exists));
        }
        Ok(())
    }

    fn copy_stream(&self, name: &str, input: Input<'_>, target: &Item, progress: Progress<'_>) -> Result<(), Fault> {
        if self.options.direct {
            return self.write(name, input, target, &target.path, progress);
        }
        let temporary = format!("{}{TEMPORARY_SUFFIX}", target.path);
        let result =
            self.write(name, input, target, &temporary, progress).and_then(|()| put_in_place(target, &temporary));
        if result.is_err() {
            // Best effort: the first failure is the one to tell about.
            let _ = target.fs.delete(&temporary, false);
        }
        result
    }

    fn write(
        &self,
        name: &str,
        input: Input<'_>,
        target: &Item,
        path: &str,
        mut progress: Progress<'_>,
    ) -> Result<(), Fault> {
        let len = if let Input::File { len, .. } = &input { Some(*len) } else { None };
        let (lazy, checksum_file) = (self.options.lazy, self.options.checksum_file);
        let options = WriteOptions { overwrite: true, lazy, checksum_file, len };
        let mut sink = target.fs.create(path, options)?;
        let each = |bytes| {
            progress.add(bytes);
            if self.stop.is_triggered() { Err(Fault::Interrupted) } else { Ok(()) }
        };
        match input {
            Input::File { input, len } => ahead::copy(name, input, len, &target.shown, &mut *sink, each)?,
            Input::Stream(input) => pump(name, input, &target.shown, &mut *sink, each)?,
        }
        sink.finish()?;
        progress.end();
        Ok(())
    }

    /// Gives the copy what is to be kept of its source.
    pub(super) fn preserve(&self, source: &Item, target: &Item) -> Result<(), Fault> {
        let Preserve { times, owner, permission } = self.options.preserve;
        let status = source.found()?;
        if times {
            target.fs.set_times(&target.path, Some(status.modified_ms), Some(status.accessed_ms))?;
        }
        if owner {
            target.fs.set_owner(&target.path, Some(&status.owner), Some(&status.group))?;
        }
        if permission {
            target.fs.set_permission(&target.path, status.permission)?;
        }
        Ok(())
    }
}

/// Gives a complete file its name.
fn put_in_place(target: &Item, temporary: &str) -> Result<(), Fault> {
    if target.exists() {
        return target.fs.replace(temporary, &target.path);
    }
    if target.fs.rename(temporary, &target.path)? {
        return Ok(());
    }
    let shown = format!("{}{TEMPORARY_SUFFIX}", target.shown);
    Err(Fault::path(shown, PathIssue::Io).operation("rename").target(target.shown.clone()))
}

/// Deletes what was copied.
pub(super) fn remove_source(source: &Item) -> Result<(), Fault> {
    if source.fs.delete(&source.path, false)? { Ok(()) } else { Err(source.fault(PathIssue::Io).operation("remove")) }
}

/// Moves all bytes from `input` to `output`, telling `each` how many moved. The names are what errors are about.
pub(crate) fn pump(
    input_name: &str,
    input: &mut dyn Read,
    output_name: &str,
    output: &mut (impl Write + ?Sized),
    each: impl FnMut(u64) -> Result<(), Fault>,
) -> Result<(), Fault> {
    pump_through(&mut IoBuffer::new(BUFFER_BYTES), input_name, input, output_name, output, each)
}

/// As [`pump`], through this memory.
pub(super) fn pump_through(
    buffer: &mut [u8],
    input_name: &str,
    input: &mut dyn Read,
    output_name: &str,
    output: &mut (impl Write + ?Sized),
    mut each: impl FnMut(u64) -> Result<(), Fault>,
) -> Result<(), Fault> {
    loop {
        let count = match input.read(buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => return Err(Fault::stream(input_name, e)),
        };
        let data = buffer.get(..count).unwrap_or_default();
        output.write_all(data).map_err(|e| Fault::stream(output_name, e))?;
        each(count as u64)?;
    }
}
