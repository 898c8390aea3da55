//! Why an attempt ended, in the words that its user reads: one line, the last lines that it printed, where the rest is.

use mammoth_protocol::limits::REASON_BYTES_MAX;

/// Lines of the standard error that are shown.
pub(crate) const LINES: usize = 20;
/// Longest first line, and longest of the others.
const FIRST_BYTES_MAX: usize = 600;
const LINE_BYTES_MAX: usize = 400;

/// Puts it together; of the lines as many as fit, the last ones.
pub(crate) fn full(line: &str, last_lines: &[String], url: &str) -> String {
    let first = cut(&line.replace(['\n', '\r'], " "), FIRST_BYTES_MAX);
    let last = format!("Log: {url}");
    let mut room = REASON_BYTES_MAX.saturating_sub(first.len() + last.len() + 2);
    let mut shown: Vec<String> = Vec::new();
    for text in last_lines.iter().rev().take(LINES) {
        let text = cut(text.trim_end(), LINE_BYTES_MAX);
        if text.len() + 1 > room {
            break;
        }
        room -= text.len() + 1;
        shown.push(text);
    }
    let mut out = first;
    for text in shown.iter().rev() {
        out.push('\n');
        out.push_str(text);
    }
    out.push('\n');
    out.push_str(&last);
    out
}

/// At most `max` bytes of a text; control characters, which a terminal would obey, are replaced.
fn cut(text: &str, max: usize) -> String {
    let mut out = String::new();
    for c in text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }) {
        if out.len() + c.len_utf8() + '…'.len_utf8() > max {
            out.push('…');
            break;
        }
        out.push(c);
    }
    out
}

/// Milliseconds as people say them.
pub(crate) fn seconds(ms: u64) -> String {
    if ms.is_multiple_of(1000) || ms >= 10_000 { format!("{} s", ms / 1000) } else { format!("{ms} ms") }
}
