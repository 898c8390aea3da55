//! Copies of files and folders between file systems: what put, get, cp and moveFromLocal share.
//!
//! A file is written under `name._COPYING_` and renamed when it is complete, so that nobody mistakes a part for the whole; a
//! copy that fails deletes its temporary file.

mod ahead;
mod engine;
mod parallel;
mod progress;

pub(crate) use engine::{Engine, Options, Preserve, pump};

use crate::fault::{Fault, PathIssue};
use crate::paths::Item;
use crate::session::Session;
use parallel::Pool;

/// A folder whose attributes are to be set once its files are there.
struct Made {
    source: Item,
    target: Item,
}

/// One run of a copying command.
struct Run<'a, 'scope> {
    engine: &'a Engine,
    pool: Option<&'a Pool<'scope>>,
    made: Vec<Made>,
}

/// Copies every source to `target`, or into it if it is a folder.
///
/// # Errors
/// A failure that ends the run; others are reported.
pub(crate) fn copy_all(
    session: &mut Session<'_>,
    sources: Vec<Item>,
    target: &Item,
    options: Options,
) -> Result<(), Fault> {
    if sources.is_empty() {
        return Ok(());
    }
    check_target(&sources, target, options.overwrite)?;
    session.watch_signals()?;
    let several = sources.len() > 1 || sources.first().is_some_and(Item::is_folder);
    let (threads, queue) = (options.threads, options.queue);
    let parallel = several && threads > 1;
    let make = if parallel { Engine::parallel } else { Engine::new };
    let engine = make(options, session.draws, session.stop().clone());
    let made = if parallel {
        parallel::with_pool(session, &engine, threads, queue, |session, pool| {
            copy_each(session, sources, target, Run { engine: &engine, pool: Some(pool), made: Vec::new() })
        })?
    } else {
        copy_each(session, sources, target, Run { engine: &engine, pool: None, made: Vec::new() })?
    };
    // Innermost first: setting the times of a folder must come after the last change inside it.
    for Made { source, target } in made.into_iter().rev() {
        let result = engine.preserve(&source, &target);
        session.absorb(result)?;
    }
    Ok(())
}

fn copy_each(
    session: &mut Session<'_>,
    sources: Vec<Item>,
    target: &Item,
    mut run: Run<'_, '_>,
) -> Result<Vec<Made>, Fault> {
    for source in sources {
        let result = source
            .found()
            .map(|_| ())
            .and_then(|()| check_source(&source, target))
            .and_then(|()| run.copy(session, &source, target, Depth::Top));
        session.absorb(result)?;
    }
    Ok(run.made)
}

/// Refuses a target that cannot take the sources.
///
/// # Errors
/// Several sources without a folder to take them; a file in the way; no folder to put the target in.
pub(crate) fn check_target(sources: &[Item], target: &Item, overwrite: bool) -> Result<(), Fault> {
    if sources.len() > 1 {
        target.found()?;
        return if target.is_folder() { Ok(()) } else { Err(target.fault(PathIssue::NotDirectory)) };
    }
    if target.exists() {
        return if target.is_folder() || overwrite { Ok(()) } else { Err(target.fault(PathIssue::Exists)) };
    }
    if target.parent_exists()? {
        return Ok(());
    }
    Err(target.fault(PathIssue::NotFound).qualified(target.qualified()))
}

/// Refuses to copy or move a folder into itself.
///
/// # Errors
/// See above.
pub(crate) fn check_source(source: &Item, target: &Item) -> Result<(), Fault> {
    if !source.is_folder() || source.fs.uri() != target.fs.uri() {
        return Ok(());
    }
    let target = place_for(source, target, Depth::Top, false)?;
    if target.path == source.path {
        return Err(source.fault(PathIssue::Identical).target(target.qualified()));
    }
    let inside = if source.path == "/" { "/".to_owned() } else { format!("{}/", source.path) };
    if target.path.starts_with(&inside) {
        return Err(source.fault(PathIssue::IntoItself).target(target.shown));
    }
    Ok(())
}

/// How deep a copy is below what the user named.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    Top,
    /// In a folder that was there before.
    Inside,
    /// In a folder that this run made, so that nothing is in it.
    Fresh,
}

/// Where `source` goes: to `target` itself, or under its own name into it. `ask` to learn what is there.
pub(crate) fn place_for(source: &Item, target: &Item, depth: Depth, ask: bool) -> Result<Item, Fault> {
    if depth == Depth::Top && !target.is_folder() && !target.looks_like_folder() {
        return Ok(target.clone());
    }
    if source.name().is_empty() {
        return Ok(target.clone());
    }
    if depth == Depth::Fresh || !ask {
        return Ok(target.child(source.name(), None));
    }
    target.child_asked(source.name())
}

impl Run<'_, '_> {
    fn copy(&mut self, session: &mut Session<'_>, source: &Item, target: &Item, depth: Depth) -> Result<(), Fault> {
        let place = place_for(source, target, depth, true)?;
        if !source.is_folder() {
            return self.copy_file(session, source, place);
        }
        if self.engine.options.moves && place.is_folder() {
            // A move does not mix two folders.
            return Err(place.fault(PathIssue::Exists));
        }
        let below = if place.exists() {
            if !place.is_folder() {
                return Err(place.fault(PathIssue::NotDirectory));
            }
            Depth::Inside
        } else {
            place.fs.mkdirs(&place.path, None)?;
            Depth::Fresh
        };
        if self.engine.options.preserve.is_any() {
            self.made.push(Made { source: source.clone(), target: place.clone() });
        }
        for child in source.children()? {
            let result = self.copy(session, &child, &place, below);
            session.absorb(result)?;
        }
        if self.engine.options.moves {
            engine::remove_source(source)?;
        }
        Ok(())
    }

    fn copy_file(&mut self, session: &mut Session<'_>, source: &Item, place: Item) -> Result<(), Fault> {
        match self.pool {
            Some(pool) => {
                self.engine.expect(source);
                pool.submit(session, source.clone(), place)
            }
            None => self.engine.copy_file(source, &place),
        }
    }
}
