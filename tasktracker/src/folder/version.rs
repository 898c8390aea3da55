//! The `VERSION` file: that a folder is a tasktracker's, and which one's. Text, one `key=value` a line.

use crate::error::{Result, TasktrackerError};
use mammoth_platform::{DirLock, Entropy, IoContext, durable};
use mammoth_protocol::jobs::TrackerId;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// Version of everything in the folder.
const LAYOUT: u32 = 1;
/// A file larger than this is none of ours.
const FILE_MAX: u64 = 64 * 1024;

/// The identity of the folder, drawn now if it has none.
///
/// # Errors
/// A file of a newer version, or that is none of ours; a folder without one that holds anything.
pub(super) fn read_or_format(path: &Path, entropy: &dyn Entropy) -> Result<TrackerId> {
    let mut text = String::new();
    match fs::File::open(path) {
        Ok(file) => {
            file.take(FILE_MAX).read_to_string(&mut text).io("read", path)?;
            parse(&text).map_err(|reason| TasktrackerError::BadFolder { path: path.to_owned(), reason })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            refuse_used(path)?;
            let tracker = TrackerId(entropy.uuid());
            let text = format!("# Written by Mammoth; do not edit.\nlayout_version={LAYOUT}\ntracker_id={tracker}\n");
            durable::replace(path, text.as_bytes())?;
            Ok(tracker)
        }
        Err(error) => Ok(Err(error).io("open", path)?),
    }
}

/// Refuses a folder with anything in it but the lock: the start of a tracker deletes what former runs left.
fn refuse_used(version: &Path) -> Result<()> {
    let Some(folder) = version.parent() else { return Ok(()) };
    let own = |name: &OsStr| name == DirLock::FILE_NAME || name.to_string_lossy().ends_with(durable::TMP_SUFFIX);
    for entry in fs::read_dir(folder).io("list", folder)? {
        let name = entry.io("list", folder)?.file_name();
        if !own(&name) {
            let reason = format!(
                "it is no tasktracker's folder (no VERSION) and holds `{}`; use an empty or new folder",
                name.to_string_lossy()
            );
            return Err(TasktrackerError::BadFolder { path: folder.to_owned(), reason });
        }
    }
    Ok(())
}

pub(crate) fn parse(text: &str) -> std::result::Result<TrackerId, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pairs: BTreeMap<&str, &str> = lines.filter_map(|line| line.split_once('=')).collect();
    let field = |name: &str| pairs.get(name).copied().ok_or_else(|| format!("{name} is missing"));
    match field("layout_version")?.parse::<u32>() {
        Ok(LAYOUT) => {}
        Ok(newer) if newer > LAYOUT => {
            return Err(format!("layout_version is {newer}, of a newer program; this one knows {LAYOUT}"));
        }
        _ => return Err(format!("layout_version is `{}`, expected {LAYOUT}", field("layout_version")?)),
    }
    let id = field("tracker_id")?;
    id.parse().map(TrackerId).map_err(|_| format!("tracker_id is `{id}`, expected a UUID"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mammoth_platform::SystemEntropy;

    #[test]
    fn an_identity_is_drawn_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("VERSION");
        let first = read_or_format(&path, &SystemEntropy).unwrap();
        assert_eq!(read_or_format(&path, &SystemEntropy).unwrap(), first);
    }

    #[test]
    fn a_folder_with_something_in_it_is_not_formatted() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("jobs")).unwrap();
        let path = dir.path().join("VERSION");
        let error = read_or_format(&path, &SystemEntropy).unwrap_err().to_string();
        assert!(error.contains("holds `jobs`") && error.contains("use an empty or new folder"), "{error}");
        assert!(!path.exists());
        fs::remove_dir(dir.path().join("jobs")).unwrap();
        fs::write(dir.path().join(DirLock::FILE_NAME), "").unwrap();
        read_or_format(&path, &SystemEntropy).unwrap();
    }

    #[test]
    fn what_is_not_ours_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("VERSION");
        for (text, part) in [
            ("", "layout_version is missing"),
            ("layout_version=2\ntracker_id=x\n", "of a newer program"),
            ("layout_version=x\n", "expected 1"),
            ("layout_version=1\n", "tracker_id is missing"),
            ("layout_version=1\ntracker_id=7\n", "expected a UUID"),
        ] {
            fs::write(&path, text).unwrap();
            let error = read_or_format(&path, &SystemEntropy).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("VERSION"), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
