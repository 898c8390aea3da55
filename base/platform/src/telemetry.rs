//! Log lines: one compact line per event, with the time, to stderr or a file. Called by binaries only.

use crate::error::{IoContext, PlatformError};
use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Arc;
use tracing_subscriber::EnvFilter;

/// The variables that set the level, the first one given wins: `debug`, or `info,mammoth_journal=trace`.
pub const LEVEL_VARIABLES: [&str; 2] = ["MAMMOTH_LOG", "RUST_LOG"];

/// Starts logging at the level that the environment asks for (default `info`), to stderr or appended to `file`.
/// A second call in one process does nothing.
///
/// # Errors
/// A level that cannot be parsed, or a file that cannot be opened.
pub fn start(file: Option<&Path>) -> Result<(), PlatformError> {
    let level = LEVEL_VARIABLES.iter().find_map(|name| Some((*name, std::env::var(name).ok()?)));
    let filter = parse_level(level.as_ref().map(|(name, value)| (*name, value.as_str())))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).compact();
    // An error says that a subscriber is installed already, which is what the caller wants.
    let _already = match file {
        None => builder.with_writer(std::io::stderr).try_init(),
        Some(path) => {
            let file = OpenOptions::new().append(true).create(true).open(path).io("open log", path)?;
            builder.with_writer(Arc::new(file)).try_init()
        }
    };
    Ok(())
}

fn parse_level(level: Option<(&str, &str)>) -> Result<EnvFilter, PlatformError> {
    let Some((name, value)) = level else {
        return Ok(EnvFilter::new("info"));
    };
    EnvFilter::try_new(value).map_err(|e| PlatformError::BadValue {
        key: name.to_owned(),
        value: value.to_owned(),
        origin: "the environment".to_owned(),
        expected: format!("a level or module=level pairs ({e})"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_parse_or_name_their_variable() {
        assert_eq!(parse_level(None).unwrap().to_string(), "info");
        assert_eq!(parse_level(Some(("RUST_LOG", "warn,mammoth=trace"))).unwrap().to_string(), "mammoth=trace,warn");
        let error = parse_level(Some(("MAMMOTH_LOG", "mammoth=loud"))).unwrap_err().to_string();
        assert!(error.starts_with("MAMMOTH_LOG: bad value `mammoth=loud` (from the environment)"), "{error}");
    }
}
