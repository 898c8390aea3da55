//! The bar that a long copy draws on a terminal: one of a file, or one of all files where several are copied at a time.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::atomic::{AtomicU64, Ordering};

/// So are copies of up to this many files.
const QUIET_FILES: u64 = 100;
/// Copies up to this many bytes are over before a bar would be of use.
const QUIET_BYTES: u64 = 8 << 20;

/// Progress of all files of a copy, which become known while it runs.
pub(super) struct Overall {
    bar: ProgressBar,
    files: AtomicU64,
    known: AtomicU64,
}

impl Overall {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden());
        let template = "{msg} {bar:30} {percent:>3}% {bytes}/{total_bytes} {bytes_per_sec} ETA {eta}";
        Self { bar: styled(bar, template), files: AtomicU64::new(0), known: AtomicU64::new(0) }
    }

    /// One more file is to be copied.
    pub(super) fn expect(&self, bytes: u64) {
        let files = self.known.fetch_add(1, Ordering::Relaxed) + 1;
        self.bar.inc_length(bytes);
        self.tell();
        let is_long = files > QUIET_FILES || self.bar.length().is_some_and(|total| total > QUIET_BYTES);
        if is_long && self.bar.is_hidden() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    fn add(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn file_ended(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.tell();
    }

    fn tell(&self) {
        let (files, known) = (self.files.load(Ordering::Relaxed), self.known.load(Ordering::Relaxed));
        self.bar.set_message(format!("{files}/{known} files"));
    }
}

impl Drop for Overall {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Progress of one file.
pub(super) struct Progress<'a> {
    overall: Option<&'a Overall>,
    draws: bool,
    name: String,
    total: Option<u64>,
    done: u64,
    bar: Option<ProgressBar>,
}

impl<'a> Progress<'a> {
    /// Of one of many files.
    pub(super) fn of(overall: &'a Overall) -> Self {
        let mut progress = Self::new(false, "", None);
        progress.overall = Some(overall);
        progress
    }

    /// `total` is unknown for standard input.
    pub(super) fn new(draws: bool, name: &str, total: Option<u64>) -> Self {
        let draws = draws && total.is_none_or(|total| total > QUIET_BYTES);
        Self {
            overall: None,
            draws,
            name: if draws { name.to_owned() } else { String::new() },
            total,
            done: 0,
            bar: None,
        }
    }

    /// Some more bytes are copied.
    pub(super) fn add(&mut self, bytes: u64) {
        self.done += bytes;
        if let Some(overall) = self.overall {
            overall.add(bytes);
        }
        if !self.draws || (self.total.is_none() && self.done <= QUIET_BYTES) {
            return;
        }
        let (name, total) = (&self.name, self.total);
        self.bar.get_or_insert_with(|| bar(name, total)).set_position(self.done);
    }

    /// The copy is complete.
    pub(super) fn end(&mut self) {
        if let Some(overall) = self.overall.take() {
            overall.file_ended();
        }
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

fn bar(name: &str, total: Option<u64>) -> ProgressBar {
    let (template, bar) = match total {
        Some(total) => (
            "{prefix} {bar:30} {percent:>3}% {bytes}/{total_bytes} {bytes_per_sec} ETA {eta}",
            ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()),
        ),
        None => ("{prefix} {bytes} {bytes_per_sec}", ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())),
    };
    styled(bar, template).with_prefix(name.to_owned())
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    // The templates are our own; were one wrong, the default style would do.
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}
