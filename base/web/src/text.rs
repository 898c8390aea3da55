//! Numbers, sizes, durations and times as people read them.

use jiff::tz::TimeZone;
use jiff::{Timestamp, fmt::strtime};

/// `1204` as `1,204`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 block`, `1,204 blocks`.
#[must_use]
pub fn plural(number: u64, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{} {many}", count(number)) }
}

/// Bytes with a binary unit and at most one decimal: `128 MiB`, `1.5 GiB`, `512 bytes`.
#[must_use]
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if number < 1024 {
        return plural(number, "byte", "bytes");
    }
    // Tenths of the unit, rounded; carried to the next unit where rounding reaches it.
    let mut shift = 10;
    for unit in UNITS {
        let tenths = (u128::from(number) * 10 + (1_u128 << (shift - 1))) >> shift;
        if tenths < 10240 || unit == "EiB" {
            return match tenths % 10 {
                0 => format!("{} {unit}", tenths / 10),
                decimal if tenths < 1000 => format!("{}.{decimal} {unit}", tenths / 10),
                _ => format!("{} {unit}", (tenths + 5) / 10),
            };
        }
        shift += 10;
    }
    String::new()
}

/// Share of a whole in percent: `0 %`, `under 1 %`, `42 %`, `over 99 %`, `100 %`; a dash without a whole.
#[must_use]
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let thousandths = u128::from(part) * 1000 / u128::from(whole);
    match thousandths {
        0 if part == 0 => "0 %".to_owned(),
        0..10 => "under 1 %".to_owned(),
        991..1000 => "over 99 %".to_owned(),
        other => format!("{} %", other / 10),
    }
}

/// A length of time with its two leading units: `0 s`, `12 s`, `3 min 5 s`, `2 h 4 min`, `3 days 4 h`.
#[must_use]
pub fn duration_ms(ms: u64) -> String {
    let s = ms / 1000;
    let two = |big: u64, big_unit: &str, small: u64, small_unit: &str| {
        if small == 0 { format!("{big} {big_unit}") } else { format!("{big} {big_unit} {small} {small_unit}") }
    };
    match s {
        0..60 => format!("{s} s"),
        60..3600 => two(s / 60, "min", s % 60, "s"),
        3600..86_400 => two(s / 3600, "h", s % 3600 / 60, "min"),
        86_400..172_800 => two(1, "day", s % 86_400 / 3600, "h"),
        _ => two(s / 86_400, "days", s % 86_400 / 3600, "h"),
    }
}

/// How long something took, in microseconds, to three digits: `0.4 ms`, `38 ms`, `1.24 s`, `12.4 s`; from a minute on as
/// [`duration_ms`].
#[must_use]
pub fn took_us(us: u64) -> String {
    match us {
        0 => "0 ms".to_owned(),
        1..10_000 => format!("{}.{} ms", us / 1000, us % 1000 / 100),
        10_000..1_000_000 => format!("{} ms", us / 1000),
        1_000_000..10_000_000 => format!("{}.{:02} s", us / 1_000_000, us % 1_000_000 / 10_000),
        10_000_000..60_000_000 => format!("{}.{} s", us / 1_000_000, us % 1_000_000 / 100_000),
        _ => duration_ms(us / 1000),
    }
}

/// A wall time in the zone of this host, to the minute: `2026-11-21 08:22`; a dash for 0, which means "never".
#[must_use]
pub fn local_time(wall_ms: u64) -> String {
    shown(wall_ms, "%Y-%m-%d %H:%M", TimeZone::system())
}

/// A wall time as RFC 3339 in UTC, to the second, for machines.
#[must_use]
pub fn utc_time(wall_ms: u64) -> String {
    shown(wall_ms, "%Y-%m-%dT%H:%M:%SZ", TimeZone::UTC)
}

fn shown(wall_ms: u64, format: &str, zone: TimeZone) -> String {
    let moment = i64::try_from(wall_ms).ok().filter(|ms| *ms > 0).and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let text = moment.and_then(|moment| strtime::format(format, &moment.to_zoned(zone)).ok());
    text.unwrap_or_else(|| "–".to_owned())
}

/// Permission bits as `ls` shows them: `rwxr-xr-x`, with `t` or `T` for the sticky bit.
#[must_use]
pub fn mode(bits: u16) -> String {
    let mut out: String = (0..9_u16)
        .map(|i| match (bits >> (8 - i) & 1, i % 3) {
            (0, _) => '-',
            (_, 0) => 'r',
            (_, 1) => 'w',
            (_, _) => 'x',
        })
        .collect();
    if bits & 0o1000 != 0 {
        out.pop();
        out.push(if bits & 1 == 1 { 't' } else { 'T' });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1204, "1,204"), (1_000_000, "1,000,000")] {
            assert_eq!(count(number), text);
        }
        assert_eq!(plural(1, "block", "blocks"), "1 block");
        assert_eq!(plural(0, "block", "blocks"), "0 blocks");
    }

    #[test]
    fn bytes_keep_three_digits_and_carry_over() {
        for (number, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1,023 bytes"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (134_217_728, "128 MiB"),
            (1024 * 1024 - 1, "1 MiB"),
            (150 * 1024 + 800, "151 KiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn percents_never_round_to_a_bound_that_is_not_reached() {
        for (part, whole, text) in [
            (0, 0, "–"),
            (0, 10, "0 %"),
            (1, 1_000_000, "under 1 %"),
            (42, 100, "42 %"),
            (999_999, 1_000_000, "over 99 %"),
            (10, 10, "100 %"),
        ] {
            assert_eq!(percent(part, whole), text);
        }
    }

    #[test]
    fn durations_have_two_units() {
        for (ms, text) in [
            (400, "0 s"),
            (12_000, "12 s"),
            (60_000, "1 min"),
            (185_000, "3 min 5 s"),
            (7_440_000, "2 h 4 min"),
            (90_000_000, "1 day 1 h"),
            (273_600_000, "3 days 4 h"),
        ] {
            assert_eq!(duration_ms(ms), text);
        }
    }

    #[test]
    fn what_took_a_moment_is_told_to_three_digits() {
        for (us, text) in [
            (0, "0 ms"),
            (430, "0.4 ms"),
            (38_999, "38 ms"),
            (1_248_000, "1.24 s"),
            (59_990_000, "59.9 s"),
            (60_000_000, "1 min"),
        ] {
            assert_eq!(took_us(us), text);
        }
    }

    #[test]
    fn times_and_modes() {
        assert_eq!(utc_time(1_500_000_000_000), "2017-07-14T02:40:00Z");
        assert_eq!(local_time(0), "–");
        assert_eq!(utc_time(u64::MAX), "–");
        assert_eq!(mode(0o755), "rwxr-xr-x");
        assert_eq!(mode(0o1777), "rwxrwxrwt");
        assert_eq!(mode(0o1770), "rwxrwx--T");
        assert_eq!(mode(0), "---------");
    }
}
