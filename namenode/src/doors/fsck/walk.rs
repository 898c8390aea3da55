//! The walk of a check: a page of a folder at a time, each a query of its own, so that nobody waits for the whole.

use super::tally::Tally;
use super::{Check, End};
use mammoth_namenode_core::api::{
    AdminState, Answer, Command, FileBlocks, FileStatus, Listing, LocatedBlock, Place, Query,
};
use mammoth_protocol::{DfsPath, ErrorCode, FsError};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Entries of unfinished pages that a walk remembers; beyond that pages are asked for again.
const HELD_MAX: usize = 10_000;
/// Text that is gathered before it is handed on.
const PIECE: usize = 16 * 1024;
/// Pages after which the reader gets a sign of life, whatever there is to say: clients wait two minutes.
const TURNS: u32 = 1000;
/// Files after which a dot shows that the check goes on, and dots in a line.
const DOT_FILES: u64 = 100;
const LINE_FILES: u64 = 10_000;

/// A folder on the way down, with what is left of its present page.
struct Level {
    path: DfsPath,
    rest: std::vec::IntoIter<FileStatus>,
    /// Last name that was taken from a page.
    last: String,
    more: bool,
}

/// What was found about one file.
#[derive(Default)]
struct Found {
    missing: u64,
    missing_size: u64,
    corrupt: u64,
    corrupt_size: u64,
    noted: bool,
    blocks: String,
}

/// One walk.
pub(super) struct Walk<'a> {
    check: &'a Check,
    pub(super) tally: Tally,
    racks: usize,
    text: String,
    levels: Vec<Level>,
    held: usize,
    /// Pages looked at.
    turns: u32,
    /// A corrupt file could not be deleted.
    pub(super) failed: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(check: &'a Check, tally: Tally, racks: usize) -> Self {
        Self { check, tally, racks, text: String::new(), levels: Vec::new(), held: 0, turns: 0, failed: false }
    }

    /// Looks at a path and at everything below it.
    pub(super) async fn run(&mut self, root: &DfsPath, is_dir: bool) -> Result<(), End> {
        if is_dir {
            self.enter(root.clone()).await?;
        } else {
            // A file lists itself, without a name.
            let listing = self.page(root, "").await?;
            for file in listing.into_iter().flat_map(|listing| listing.entries) {
                self.file(root, file).await?;
            }
        }
        while let Some(mut level) = self.levels.pop() {
            let Some(entry) = level.rest.next() else {
                if level.more {
                    self.turn(level).await?;
                }
                continue;
            };
            self.held = self.held.saturating_sub(1);
            level.last.clone_from(&entry.name);
            let path = level.path.join(&entry.name).map_err(FsError::from)?;
            self.levels.push(level);
            if entry.is_dir {
                self.enter(path).await?;
            } else {
                self.file(&path, entry).await?;
            }
        }
        self.flush().await
    }

    async fn enter(&mut self, path: DfsPath) -> Result<(), End> {
        self.tally.dirs += 1;
        if self.check.asked.files {
            let _ = writeln!(self.text, "{path} <dir>");
            self.flush_if_long().await?;
        }
        if self.held > HELD_MAX {
            for level in &mut self.levels {
                level.more |= level.rest.len() > 0;
                level.rest = Vec::new().into_iter();
            }
            self.held = 0;
        }
        self.turn(Level { path, rest: Vec::new().into_iter(), last: String::new(), more: true }).await
    }

    /// Gets the next page of a folder.
    async fn turn(&mut self, level: Level) -> Result<(), End> {
        // Notices a reader who went away, also where there is nothing to say for a long time.
        self.turns = self.turns.wrapping_add(1);
        if self.turns.is_multiple_of(TURNS) {
            // Also tells the reader that the check goes on.
            self.text.push('.');
            self.flush().await?;
        }
        self.check.send(String::new()).await?;
        // What went away meanwhile is not there to be looked at.
        let Some(listing) = self.page(&level.path, &level.last).await? else { return Ok(()) };
        self.held += listing.entries.len();
        let more = listing.remaining > 0 && !listing.entries.is_empty();
        self.levels.push(Level { rest: listing.entries.into_iter(), more, ..level });
        Ok(())
    }

    async fn page(&self, path: &DfsPath, after: &str) -> Result<Option<Listing>, End> {
        let start_after = after.as_bytes().to_vec();
        let query = Query::Listing { path: path.clone(), start_after, need_location: true };
        match self.check.ask(query).await {
            Ok(Answer::Listing(listing)) => Ok(listing),
            // A folder that became a file meanwhile.
            Err(error) if error.code == ErrorCode::ParentNotDirectory => Ok(None),
            Ok(_) => Err(super::odd().into()),
            Err(error) => Err(error.into()),
        }
    }

    async fn flush(&mut self) -> Result<(), End> {
        self.check.send(std::mem::take(&mut self.text)).await
    }

    async fn flush_if_long(&mut self) -> Result<(), End> {
        if self.text.len() >= PIECE { self.flush().await } else { Ok(()) }
    }

    async fn file(&mut self, path: &DfsPath, file: FileStatus) -> Result<(), End> {
        let blocks = file.blocks.clone().unwrap_or_default();
        if !self.head(path, &file, &blocks) {
            return Ok(());
        }
        let mut found = Found::default();
        let finished = if blocks.last_complete { blocks.blocks.len() } else { blocks.blocks.len().saturating_sub(1) };
        for (number, block) in blocks.blocks.iter().enumerate() {
            if number < finished {
                self.block(path, &file, number, block, &mut found);
            } else {
                let _ = write!(
                    found.blocks,
                    "\nUnder Construction Block:\n{number}. {} len={} Expected_repl={}{}",
                    self.name(block),
                    block.block.len,
                    block.places.len(),
                    self.places(block)
                );
            }
        }
        self.tail(path, &found);
        if found.missing + found.corrupt > 0 {
            self.tally.corrupt_files += 1;
            if self.check.asked.delete && !blocks.open {
                self.flush().await?;
                let gone = self.check.order(Command::Delete { path: path.clone(), recursive: true }).await;
                match gone {
                    Ok(_) => tracing::info!(%path, user = self.check.caller.user, "corrupt file deleted by a check"),
                    Err(error) => {
                        tracing::warn!(%path, %error, "corrupt file not deleted");
                        self.failed = true;
                    }
                }
            }
        }
        self.flush_if_long().await
    }

    /// The line that a file begins with; false if nothing more is to be said of it.
    fn head(&mut self, path: &DfsPath, file: &FileStatus, blocks: &FileBlocks) -> bool {
        let (count, asked) = (blocks.blocks.len() as u64, &self.check.asked);
        if blocks.open && !asked.open {
            self.tally.open_files += 1;
            self.tally.open_size += file.len;
            self.tally.open_blocks += count;
            return false;
        }
        self.tally.files += 1;
        self.tally.size += file.len;
        self.tally.blocks += count;
        if asked.files || blocks.open {
            let (len, replication) = (file.len, file.replication);
            let _ = write!(
                self.text,
                "{path} {len} bytes, replicated: replication={replication}, {count} block(s){}",
                if blocks.open { ", OPENFORWRITE: " } else { ": " }
            );
        } else if self.tally.files.is_multiple_of(DOT_FILES) {
            self.text.push('.');
            if self.tally.files.is_multiple_of(LINE_FILES) {
                self.text.push('\n');
            }
        }
        true
    }

    fn block(&mut self, path: &DfsPath, file: &FileStatus, number: usize, block: &LocatedBlock, found: &mut Found) {
        let live = if block.corrupt { 0 } else { block.places.len() };
        let of = |admin| block.places.iter().filter(|place| !block.corrupt && place.admin == admin).count();
        let (leaving, left) = (of(AdminState::Decommissioning), of(AdminState::Decommissioned));
        self.tally.admin.count(of);
        let (wanted, len) = (usize::from(file.replication), block.block.len);
        let tally = &mut self.tally;
        tally.replicas += live as u64;
        tally.expected += wanted as u64;
        let minimal = live >= tally.min_replication;
        *(if minimal { &mut tally.minimal } else { &mut tally.below_minimal }) += 1;
        tally.over += u64::from(live > wanted);
        if block.corrupt {
            tally.corrupt += 1;
            tally.corrupt_size += len;
            found.corrupt += 1;
            found.corrupt_size += len;
            let pool = &self.check.pool;
            let _ = write!(self.text, "\n{path}: CORRUPT blockpool {pool} block blk_{}\n", block.block.id);
        }
        if live > 0 && live < wanted {
            self.tally.under += 1;
            self.tally.missing_replicas += (wanted - live) as u64;
            self.note(path, found);
            let name = self.name(block);
            let _ = writeln!(
                self.text,
                " Under replicated {name}. Target Replicas is {wanted} but found {} live replica(s), \
                 {left} decommissioned replica(s), {leaving} decommissioning replica(s).",
                of(AdminState::InService)
            );
        }
        self.placement(path, wanted, block, found);
        let _ = write!(found.blocks, "{number}. {} len={len}", self.name(block));
        if live == 0 && !block.corrupt {
            self.tally.missing += 1;
            self.tally.missing_size += len;
            found.missing += 1;
            found.missing_size += len;
            found.blocks.push_str(" MISSING!");
        } else {
            let _ = write!(found.blocks, " Live_repl={live}{}", self.places(block));
        }
        found.blocks.push('\n');
    }

    /// Two racks at least, where there are two.
    fn placement(&mut self, path: &DfsPath, wanted: usize, block: &LocatedBlock, found: &mut Found) {
        let racks: BTreeSet<&str> = block.places.iter().map(|place| place.rack.as_str()).collect();
        let needed = wanted.min(2);
        if racks.is_empty() || racks.len() >= needed || racks.len() >= self.racks {
            return;
        }
        self.tally.misplaced += 1;
        self.note(path, found);
        let _ = writeln!(
            self.text,
            " Replica placement policy is violated for {}. Block should be additionally replicated on {} more rack(s). \
             Total number of racks in the cluster: {}",
            self.name(block),
            needed - racks.len(),
            self.racks
        );
    }

    /// Names the file before a remark on one of its blocks, where it was not named yet.
    fn note(&mut self, path: &DfsPath, found: &mut Found) {
        found.noted = true;
        if !self.check.asked.files {
            let _ = write!(self.text, "\n{path}: ");
        }
    }

    /// What a file ends with.
    fn tail(&mut self, path: &DfsPath, found: &Found) {
        let files = self.check.asked.files;
        for (word, count, size) in
            [("MISSING", found.missing, found.missing_size), ("CORRUPT", found.corrupt, found.corrupt_size)]
        {
            if count > 0 && files {
                let _ = writeln!(self.text, " {word} {count} blocks of total size {size} B");
            } else if count > 0 {
                let _ = write!(self.text, "\n{path}: {word} {count} blocks of total size {size} B.");
            }
        }
        if files && !found.noted && found.missing + found.corrupt == 0 {
            self.text.push_str(" OK\n");
        }
        if files && self.check.asked.blocks {
            let _ = writeln!(self.text, "{}", found.blocks);
        }
    }

    fn name(&self, block: &LocatedBlock) -> String {
        format!("{}:{}", self.check.pool, block.block)
    }

    /// Where the replicas are, if that was asked for.
    fn places(&self, block: &LocatedBlock) -> String {
        let asked = &self.check.asked;
        if !asked.locations && !asked.racks && !asked.details {
            return String::new();
        }
        let standing = if !asked.details {
            ""
        } else if block.corrupt {
            "(CORRUPT)"
        } else {
            "(LIVE)"
        };
        let place = |place: &Place| {
            let addr = std::net::SocketAddr::new(place.addr.ip, place.addr.transfer_port);
            if asked.racks {
                format!("{}/{addr}{standing}", place.rack)
            } else {
                format!("DatanodeInfoWithStorage[{addr},{},DISK]{standing}", place.storage)
            }
        };
        let places: Vec<String> = block.places.iter().map(place).collect();
        format!("  [{}]", places.join(", "))
    }
}
