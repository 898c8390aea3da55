//! The trash: deleted paths move to `.Trash/Current` in the user's home folder and keep their whole path there.

use crate::fault::Fault;
use crate::paths::{Item, join, name_of, parent_of};
use crate::session::Session;
use mammoth_platform::{Clock, SystemClock, keys};
use mammoth_protocol::ErrorCode;

/// Only the owner sees what was deleted.
const PERMISSION: u16 = 0o700;
/// A checkpoint of the trash may take the folder away between making it and moving into it.
const ATTEMPTS: u32 = 2;

/// Moves `item` to the trash. False if there is none or the item is in it already.
pub(super) fn move_there(session: &mut Session<'_>, item: &Item) -> Result<bool, Fault> {
    if minutes(session, item)? == 0 {
        return Ok(false);
    }
    let root = join(item.fs.working_folder(), ".Trash");
    if item.path == root || item.path.starts_with(&format!("{root}/")) {
        return Ok(false);
    }
    if item.path == "/" || root.starts_with(&format!("{}/", item.path)) {
        return Err(hint(&format!("Cannot move \"{}\" to the trash, as it contains the trash", item.qualified())));
    }
    let target = place(item, &join(&root, "Current")).map_err(|fault| hint(&fault.line()))?;
    session.note(format_args!("Moved: '{}' to trash at: {}{target}", item.qualified(), item.fs.uri()));
    Ok(true)
}

/// How long the trash keeps files: the server's word, else the user's.
fn minutes(session: &mut Session<'_>, item: &Item) -> Result<u64, Fault> {
    match item.fs.trash_minutes()? {
        0 if item.fs.uri().starts_with("hdfs:") => Ok(session.systems.settings().int(keys::FS_TRASH_INTERVAL)?),
        minutes => Ok(minutes),
    }
}

/// Moves the item below `current` and gives its path there.
fn place(item: &Item, current: &str) -> Result<String, Fault> {
    let mut folder =
        parent_of(&item.path).filter(|p| *p != "/").map_or(current.to_owned(), |p| format!("{current}{p}"));
    let mut attempt = 1;
    loop {
        if let Some(file) = file_in_the_way(item, &folder)? {
            // A file was deleted under the name that is a folder now.
            folder = folder.replacen(&file, &format!("{file}{}", now_ms()), 1);
        }
        item.fs.mkdirs(&folder, Some(PERMISSION))?;
        let plain = join(&folder, name_of(&item.path));
        let mut target = plain.clone();
        while item.fs.status(&target)?.is_some() {
            target = format!("{plain}{}", now_ms());
        }
        match item.fs.rename_to_trash(&item.path, &target) {
            Ok(()) => return Ok(target),
            Err(fault) if attempt < ATTEMPTS && fault.code() == Some(ErrorCode::FileNotFound) => attempt += 1,
            Err(fault) => return Err(fault),
        }
    }
}

/// The first file on the way to a folder.
fn file_in_the_way(item: &Item, folder: &str) -> Result<Option<String>, Fault> {
    let mut path = Some(folder);
    while let Some(here) = path {
        match item.fs.status(here)? {
            Some(status) if status.is_folder() => return Ok(None),
            Some(_) => return Ok(Some(here.to_owned())),
            None => path = parent_of(here),
        }
    }
    Ok(None)
}

fn now_ms() -> u64 {
    SystemClock.now().wall_ms
}

fn hint(text: &str) -> Fault {
    Fault::Other(format!("{text}. Consider using -skipTrash option"))
}
