//! Texts to values, in Hadoop's notation. Every function answers what it would have accepted.

use super::kinds::{HostPort, Rule, StorageDir};
use std::path::PathBuf;

/// Media that a data folder may be marked with.
const MEDIA: [&str; 5] = ["DISK", "SSD", "ARCHIVE", "RAM_DISK", "NVDIMM"];

pub(super) fn flag(rule: &Rule, text: &str) -> Result<bool, String> {
    if text.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if text.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        Err(rule.expected())
    }
}

pub(super) fn int(rule: &Rule, text: &str) -> Result<i64, String> {
    let Rule::Int { min, max } = *rule else { return Err(rule.expected()) };
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let parsed = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => i64::from_str_radix(&format!("{sign}{hex}"), 16),
        _ if digits.bytes().all(|b| b.is_ascii_digit()) => format!("{sign}{digits}").parse(),
        _ => return Err(rule.expected()),
    };
    parsed.ok().filter(|n| (min..=max).contains(n)).ok_or_else(|| rule.expected())
}

pub(super) fn float(rule: &Rule, text: &str) -> Result<f64, String> {
    let Rule::Float { min, max } = *rule else { return Err(rule.expected()) };
    // Java accepts a type suffix: hdfs-default.xml itself writes `0.999f`.
    let digits = text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text);
    digits.parse().ok().filter(|n: &f64| *n >= min && *n <= max).ok_or_else(|| rule.expected())
}

pub(super) fn bytes(rule: &Rule, text: &str) -> Result<u64, String> {
    let Rule::Bytes { min, max } = *rule else { return Err(rule.expected()) };
    let (digits, shift) = match text.char_indices().last() {
        Some((at, suffix)) if suffix.is_ascii_alphabetic() => {
            let power = "kmgtpe".find(suffix.to_ascii_lowercase()).ok_or_else(|| rule.expected())?;
            (text.split_at(at).0.trim_end(), 10 * (power + 1))
        }
        _ => (text, 0),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(rule.expected());
    }
    let number: Option<u64> = digits.parse().ok();
    number
        .and_then(|n| n.checked_mul(1_u64 << shift))
        .filter(|n| (min..=max).contains(n))
        .ok_or_else(|| rule.expected())
}

pub(super) fn millis(rule: &Rule, text: &str) -> Result<u64, String> {
    let Rule::Millis { unit, min } = *rule else { return Err(rule.expected()) };
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, suffix) = text.split_at(end);
    let suffix = suffix.trim().to_ascii_lowercase();
    let ns_per_unit: u128 = match if suffix.is_empty() { unit } else { suffix.as_str() } {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return Err(rule.expected()),
    };
    let number: u64 = digits.parse().map_err(|_| rule.expected())?;
    let ms = (u128::from(number) * ns_per_unit).div_ceil(1_000_000);
    u64::try_from(ms).ok().filter(|ms| *ms >= min).ok_or_else(|| rule.expected())
}

pub(super) fn text(rule: &Rule, text: &str) -> Result<String, String> {
    match rule {
        Rule::OneOf(words) => words
            .iter()
            .find(|word| word.eq_ignore_ascii_case(text))
            .map(|word| (*word).to_owned())
            .ok_or_else(|| rule.expected()),
        _ => Ok(text.to_owned()),
    }
}

pub(super) fn addr(rule: &Rule, text: &str) -> Result<HostPort, String> {
    let bad = || rule.expected();
    let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
    let host = match host.strip_prefix('[') {
        Some(inside) => {
            let host = inside.strip_suffix(']').ok_or_else(bad)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| bad())?;
            host
        }
        None => host,
    };
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let is_v6 = host.contains(':') && text.starts_with('[');
    if host.is_empty() || !(is_v6 || host.bytes().all(is_name)) || !port.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad());
    }
    Ok(HostPort { host: host.to_owned(), port: port.parse().map_err(|_| bad())? })
}

pub(super) fn uri(rule: &Rule, text: &str) -> Result<String, String> {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme).unwrap_or_default();
    let is_scheme = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.bytes().all(is_scheme) {
        return Err(rule.expected());
    }
    if text.bytes().any(|b| b.is_ascii_whitespace() || b.is_ascii_control()) {
        return Err(rule.expected());
    }
    Ok(text.to_owned())
}

pub(super) fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

pub(super) fn dirs(rule: &Rule, text: &str) -> Result<Vec<StorageDir>, String> {
    let dirs: Vec<StorageDir> =
        list(text).iter().map(|part| dir(part).ok_or_else(|| rule.expected())).collect::<Result<_, _>>()?;
    if dirs.is_empty() { Err(rule.expected()) } else { Ok(dirs) }
}

fn dir(text: &str) -> Option<StorageDir> {
    let (medium, place) = match text.strip_prefix('[') {
        Some(rest) => {
            let (medium, place) = rest.split_once(']')?;
            (medium.trim().to_ascii_uppercase(), place.trim())
        }
        None => ("DISK".to_owned(), text),
    };
    if !MEDIA.contains(&medium.as_str()) {
        return None;
    }
    let path = match place.strip_prefix("file:") {
        Some(rest) => percent_decoded(match rest.strip_prefix("//") {
            Some(with_host) => {
                let (host, _) = with_host.split_once('/')?;
                if !host.is_empty() && host != "localhost" {
                    return None;
                }
                with_host.get(host.len()..)?
            }
            None => rest,
        })?,
        None => place.to_owned(),
    };
    path.starts_with('/').then(|| StorageDir { medium, path: PathBuf::from(path) })
}

/// Replaces `%20` and the like; `None` for a broken escape or bytes that are no text.
fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b == b'%' {
            let pair = [bytes.next()?, bytes.next()?];
            let hex = std::str::from_utf8(&pair).ok().filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit()))?;
            out.push(u8::from_str_radix(hex, 16).ok()?);
        } else {
            out.push(b);
        }
    }
    String::from_utf8(out).ok()
}

pub(super) fn octal(rule: &Rule, text: &str) -> Result<u16, String> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let bits = if plain { u16::from_str_radix(text, 8).ok() } else { None };
    bits.filter(|bits| *bits <= 0o777).ok_or_else(|| rule.expected())
}

/// Checks a value of any kind; an empty one passes where the key has no default.
pub(super) fn check(rule: &Rule, value: &str, may_be_empty: bool) -> Result<(), String> {
    if value.is_empty() && may_be_empty {
        return Ok(());
    }
    match rule {
        Rule::Flag => flag(rule, value).map(drop),
        Rule::Int { .. } => int(rule, value).map(drop),
        Rule::Float { .. } => float(rule, value).map(drop),
        Rule::Bytes { .. } => bytes(rule, value).map(drop),
        Rule::Millis { .. } => millis(rule, value).map(drop),
        Rule::Text | Rule::OneOf(_) => text(rule, value).map(drop),
        Rule::Addr => addr(rule, value).map(drop),
        Rule::Uri => uri(rule, value).map(drop),
        Rule::List => Ok(()),
        Rule::Dirs => dirs(rule, value).map(drop),
        Rule::Octal => octal(rule, value).map(drop),
    }
}
