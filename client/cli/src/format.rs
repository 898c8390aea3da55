//! Numbers, permissions and dates in the notation of Hadoop's shell.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A size with a binary prefix after a space and at most one decimal: `128 M`, `1.2 K`, `17`.
pub(crate) fn human(bytes: u64) -> String {
    prefixed(i128::from(bytes), "", 1)
}

/// A size in the notation of reports: `1.25 GB`, `0 B`.
pub(crate) fn described(bytes: u64) -> String {
    prefixed(i128::from(bytes), "B", 2)
}

/// A size, human-readable or plain. Signed, as what remains of a quota may be negative.
pub(crate) fn size(value: i128, human: bool) -> String {
    if human { prefixed(value, "", 1) } else { value.to_string() }
}

fn prefixed(value: i128, unit: &str, decimals: u32) -> String {
    const PREFIXES: [char; 6] = ['K', 'M', 'G', 'T', 'P', 'E'];
    let sign = if value < 0 { "-" } else { "" };
    let magnitude = value.unsigned_abs();
    if magnitude < 1024 {
        let space = if unit.is_empty() { "" } else { " " };
        return format!("{sign}{magnitude}{space}{unit}");
    }
    let mut index = 0;
    while index + 1 < PREFIXES.len() && magnitude >> (10 * (index + 2)) != 0 {
        index += 1;
    }
    let mut text = scaled(magnitude, 10 * (index + 1), decimals);
    // 1023.97 K rounds to 1024.0 K, which is written as 1.0 M.
    if text.starts_with("1024") && index + 1 < PREFIXES.len() && text.contains('.') {
        index += 1;
        text = scaled(magnitude, 10 * (index + 1), decimals);
    }
    format!("{sign}{text} {}{unit}", PREFIXES.get(index).copied().unwrap_or('E'))
}

/// `magnitude` divided by `2^shift`: whole if exact, else with `decimals`, halves rounded up.
fn scaled(magnitude: u128, shift: usize, decimals: u32) -> String {
    let unit = 1_u128 << shift;
    if magnitude.is_multiple_of(unit) {
        return (magnitude / unit).to_string();
    }
    fraction(magnitude, unit, decimals)
}

/// `numerator / denominator` with `decimals`, halves rounded up as Java does.
fn fraction(numerator: u128, denominator: u128, decimals: u32) -> String {
    let ten = 10_u128.pow(decimals);
    let rounded = (numerator.saturating_mul(ten).saturating_mul(2) + denominator) / denominator.saturating_mul(2);
    if decimals == 0 {
        return rounded.to_string();
    }
    format!("{}.{:0width$}", rounded / ten, rounded % ten, width = decimals as usize)
}

/// `part` of `whole` as a percentage with `decimals`; 0 of nothing.
pub(crate) fn percent(part: u64, whole: u64, decimals: u32) -> String {
    let text = if whole == 0 {
        fraction(0, 1, decimals)
    } else {
        fraction(u128::from(part) * 100, u128::from(whole), decimals)
    };
    format!("{text}%")
}

/// Permission bits as `rwxr-xr-x`, the last place `t` or `T` with the sticky bit.
pub(crate) fn permission(bits: u16) -> String {
    let mut text = String::with_capacity(9);
    for (index, letter) in "rwxrwxrwx".chars().enumerate() {
        text.push(if bits >> (8 - index) & 1 == 1 { letter } else { '-' });
    }
    if bits & 0o1000 != 0 {
        let last = text.pop();
        text.push(if last == Some('x') { 't' } else { 'T' });
    }
    text
}

/// Text cut from nothing, filled up with spaces on the left to `width` characters.
pub(crate) fn right(text: &str, width: usize) -> String {
    format!("{text:>width$}")
}

/// Filled up with spaces on the right to `width` characters.
pub(crate) fn left(text: &str, width: usize) -> String {
    format!("{text:<width$}")
}

/// Text with a `?` for every character that no terminal shows.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if is_hidden(c) { '?' } else { c }).collect()
}

/// Control and format characters, private use and non-characters.
fn is_hidden(c: char) -> bool {
    const FORMAT: [(u32, u32); 20] = [
        (0xAD, 0xAD),
        (0x600, 0x605),
        (0x61C, 0x61C),
        (0x6DD, 0x6DD),
        (0x70F, 0x70F),
        (0x890, 0x891),
        (0x8E2, 0x8E2),
        (0x180E, 0x180E),
        (0x200B, 0x200F),
        (0x202A, 0x202E),
        (0x2060, 0x2064),
        (0x2066, 0x206F),
        (0xFEFF, 0xFEFF),
        (0xFFF9, 0xFFFB),
        (0x110BD, 0x110BD),
        (0x110CD, 0x110CD),
        (0x13430, 0x1343F),
        (0x1BCA0, 0x1BCA3),
        (0x1D173, 0x1D17A),
        (0xE0001, 0xE007F),
    ];
    let code = u32::from(c);
    let private = matches!(code, 0xE000..=0xF8FF | 0xF_0000..);
    let nothing = code & 0xFFFE == 0xFFFE || matches!(code, 0xFDD0..=0xFDEF);
    c.is_control() || private || nothing || FORMAT.iter().any(|(from, to)| (*from..=*to).contains(&code))
}

/// Dates in one time zone.
pub(crate) struct Dates {
    zone: TimeZone,
}

impl Dates {
    /// The zone of this machine (or of `TZ`); UTC where none is set up.
    pub(crate) fn local() -> Self {
        Self { zone: TimeZone::try_system().unwrap_or(TimeZone::UTC) }
    }

    /// UTC.
    pub(crate) fn utc() -> Self {
        Self { zone: TimeZone::UTC }
    }

    /// Of a given zone.
    #[cfg(test)]
    pub(crate) fn of(zone: TimeZone) -> Self {
        Self { zone }
    }

    /// `2017-08-03 06:57`.
    pub(crate) fn minute(&self, ms: u64) -> String {
        self.show("%Y-%m-%d %H:%M", ms)
    }

    /// `2017-08-03 06:57:09`.
    pub(crate) fn second(&self, ms: u64) -> String {
        self.show("%Y-%m-%d %H:%M:%S", ms)
    }

    /// `Thu Aug 03 06:57:09 UTC 2017`, as Java writes a date.
    pub(crate) fn java(&self, ms: u64) -> String {
        self.show("%a %b %d %H:%M:%S %Z %Y", ms)
    }

    /// `Aug 3, 2017, 6:57:09 AM`, as Java writes date and time.
    pub(crate) fn balancer(&self, ms: u64) -> String {
        self.show("%b %-d, %Y, %-I:%M:%S %p", ms)
    }

    /// Milliseconds since 1970 of `yyyyMMdd:HHmmss` in this zone.
    pub(crate) fn parse_stamp(&self, text: &str) -> Option<u64> {
        let digits =
            text.len() == 15 && text.bytes().enumerate().all(|(i, b)| (i == 8 && b == b':') || b.is_ascii_digit());
        if !digits {
            return None;
        }
        let civil = jiff::civil::DateTime::strptime("%Y%m%d:%H%M%S", text).ok()?;
        let zoned = civil.to_zoned(self.zone.clone()).ok()?;
        u64::try_from(zoned.timestamp().as_millisecond()).ok()
    }

    fn show(&self, format: &str, ms: u64) -> String {
        // A time that no calendar holds cannot be a real one; it is shown as the number that it is.
        let stamp = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        stamp.map_or_else(|| ms.to_string(), |stamp| stamp.to_zoned(self.zone.clone()).strftime(format).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn human_sizes_match_hadoop() {
        for (bytes, text) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1 K"),
            (1025, "1.0 K"),
            (1280, "1.3 K"),
            (1536, "1.5 K"),
            (128 << 20, "128 M"),
            ((1 << 20) - 1, "1.0 M"),
            (1_048_524, "1023.9 K"),
            (1_048_525, "1.0 M"),
            (u64::MAX, "16.0 E"),
            (5 << 60, "5 E"),
        ] {
            assert_eq!(human(bytes), text, "{bytes}");
        }
        assert_eq!(size(-2048, true), "-2 K");
        assert_eq!(size(-5, false), "-5");
    }

    #[test]
    fn described_sizes_and_percentages() {
        assert_eq!(described(0), "0 B");
        assert_eq!(described(1000), "1000 B");
        assert_eq!(described(1 << 30), "1 GB");
        assert_eq!(described(1_342_177_281), "1.25 GB");
        assert_eq!(percent(1, 8, 2), "12.50%");
        assert_eq!(percent(1, 3, 0), "33%");
        assert_eq!(percent(5, 1000, 0), "1%");
        assert_eq!(percent(0, 0, 2), "0.00%");
        assert_eq!(percent(u64::MAX, u64::MAX, 2), "100.00%");
    }

    #[test]
    fn permissions() {
        for (bits, text) in [
            (0o755, "rwxr-xr-x"),
            (0o644, "rw-r--r--"),
            (0, "---------"),
            (0o1777, "rwxrwxrwt"),
            (0o1776, "rwxrwxrwT"),
            (0o1700, "rwx-----T"),
        ] {
            assert_eq!(permission(bits), text);
        }
    }

    #[test]
    fn dates() {
        let utc = Dates::utc();
        assert_eq!(utc.minute(1_501_743_429_999), "2017-08-03 06:57");
        assert_eq!(utc.second(1_501_743_429_999), "2017-08-03 06:57:09");
        assert_eq!(utc.java(1_501_743_429_999), "Thu Aug 03 06:57:09 UTC 2017");
        assert_eq!(utc.minute(0), "1970-01-01 00:00");
        assert_eq!(utc.minute(u64::MAX), u64::MAX.to_string());
        let berlin = Dates::of(TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap());
        assert_eq!(berlin.minute(1_501_743_429_999), "2017-08-03 08:57");
        assert_eq!(berlin.java(1_501_743_429_999), "Thu Aug 03 08:57:09 CEST 2017");
        assert_eq!(berlin.parse_stamp("20170803:085709"), Some(1_501_743_429_000));
        for bad in ["20170803085709", "2017-08-03:08:57", "20171303:085709", "", "+0170803:085709"] {
            assert_eq!(utc.parse_stamp(bad), None, "{bad}");
        }
    }

    #[test]
    fn hidden_characters_become_question_marks() {
        assert_eq!(printable("a\tb\u{7f}c\u{200b}d\u{e000}é字"), "a?b?c?d?é字");
    }

    #[test]
    fn padding_counts_characters() {
        assert_eq!(right("é", 3), "  é");
        assert_eq!(left("é", 3), "é  ");
        assert_eq!(left("long", 2), "long");
    }
}
