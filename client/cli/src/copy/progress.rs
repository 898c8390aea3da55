//! The bar that a long copy draws on a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Copies up to this many bytes are over before a bar would be of use.
const QUIET_BYTES: u64 = 8 << 20;

/// Progress of one file.
pub(super) struct Progress {
    draws: bool,
    name: String,
    total: Option<u64>,
    done: u64,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// `total` is unknown for standard input.
    pub(super) fn new(draws: bool, name: &str, total: Option<u64>) -> Self {
        let draws = draws && total.is_none_or(|total| total > QUIET_BYTES);
        Self { draws, name: if draws { name.to_owned() } else { String::new() }, total, done: 0, bar: None }
    }

    /// Some more bytes are copied.
    pub(super) fn add(&mut self, bytes: u64) {
        self.done += bytes;
        if !self.draws || (self.total.is_none() && self.done <= QUIET_BYTES) {
            return;
        }
        let (name, total) = (&self.name, self.total);
        self.bar.get_or_insert_with(|| bar(name, total)).set_position(self.done);
    }

    /// The copy is complete.
    pub(super) fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
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
    // The templates are our own; were one wrong, the default style would do.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style).with_prefix(name.to_owned())
}
