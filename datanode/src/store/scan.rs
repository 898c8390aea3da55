//! Loading a volume, and putting right what a crash left in it.
//!
//! - Complete replicas are taken by name and length. If the machine was not shut down cleanly, those that were written after
//!   the last whole sync are read and verified first.
//! - A replica that was being written is cut to what its checksums vouch for.
//! - A replica between two folders, data here and checksums there, was complete: it goes back where complete ones are.
//! - Copies that were arriving are dropped.

use super::finish::rename;
use super::layout::{FileKind, bad_data_name, data_name, meta_name, parse_name};
use super::replica::{Replica, State};
use super::verify::{Files, Unfit, Verifier, valid_prefix};
use super::volume::{Volume, footprint, meta_len};
use crate::error::{DiskContext, Result};
use mammoth_protocol::{Block, BlockId, GenStamp, StorageId};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// How much earlier than a recorded sync a file's own time may lie and still count as later: clocks are set back at times.
const SYNC_MARGIN_MS: u64 = 60_000;

/// What a volume holds.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    pub(crate) replicas: Vec<Replica>,
    /// Replicas in `bad/`.
    pub(crate) bad: Vec<(StorageId, Block)>,
}

/// The files of one block in one folder.
#[derive(Debug, Default)]
struct Pair {
    data: Option<fs::Metadata>,
    metas: Vec<(GenStamp, u64)>,
}

struct Scan<'a> {
    volume: &'a Arc<Volume>,
    /// Wall clock milliseconds of the last whole sync, if the machine went down since; replicas after it are verified.
    verify_from_ms: Option<u64>,
    found: Scanned,
}

/// Loads a volume. `synced_ms` is set if the machine was booted since the volume was last used.
pub(crate) fn scan(volume: &Arc<Volume>, synced_ms: Option<u64>) -> Result<Scanned> {
    let verify_from_ms = synced_ms.map(|ms| ms.saturating_sub(SYNC_MARGIN_MS));
    let mut scan = Scan { volume, verify_from_ms, found: Scanned::default() };
    scan.drop_copies()?;
    scan.rbw()?;
    scan.finalized()?;
    scan.bad()?;
    Ok(scan.found)
}

impl Scan<'_> {
    fn drop_copies(&self) -> Result<()> {
        let tmp = &self.volume.dirs.tmp;
        for entry in fs::read_dir(tmp).disk("list", tmp)? {
            let path = entry.disk("list", tmp)?.path();
            fs::remove_file(&path).disk("delete", &path)?;
        }
        Ok(())
    }

    fn rbw(&mut self) -> Result<()> {
        let dir = self.volume.dirs.rbw.clone();
        for (id, pair) in pairs(&dir)? {
            match (pair.data, pair.metas.as_slice()) {
                (None, metas) => drop_metas(&dir, id, metas)?,
                (Some(data), []) => self.between_folders(&dir, id, data.len())?,
                (Some(_), [.., (stamp, _)]) => self.unfinished(&dir, id, *stamp)?,
            }
        }
        Ok(())
    }

    /// A replica that was being written.
    fn unfinished(&mut self, dir: &Path, id: BlockId, stamp: GenStamp) -> Result<()> {
        let (data, meta) = (dir.join(data_name(id)), dir.join(meta_name(id, stamp)));
        let prefix = valid_prefix(&data, &meta)?;
        let block = Block { id, stamp, len: prefix.len };
        if prefix.inner_damage && self.verify_from_ms.is_none() {
            // Only the loss of power may tear it in the middle; otherwise its bytes have changed, and a recovery that took
            // it for short would cut good replicas.
            return self.set_aside(dir, block, "wrong bytes before the end of an unfinished replica");
        }
        let cut = || -> std::io::Result<()> {
            let open = |path: &Path| fs::File::options().read(true).write(true).open(path);
            let files = Files { data: open(&data)?, meta: open(&meta)?, chunk: prefix.chunk };
            files.data.set_len(prefix.len)?;
            if prefix.len == 0 {
                super::writer::begin_meta(&files)?;
            }
            files.meta.set_len(meta_len(prefix.len, prefix.chunk))
        };
        cut().disk("cut", &data)?;
        self.keep(block, State::Rwr);
        Ok(())
    }

    /// Data without checksums beside it: both were on their way between this folder and the finalized tree.
    fn between_folders(&mut self, dir: &Path, id: BlockId, len: u64) -> Result<()> {
        let target = self.volume.dirs.finalized_of(id);
        let metas = match fs::metadata(&target) {
            Ok(_) => pairs(&target)?.remove(&id).map(|pair| pair.metas).unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        let data = dir.join(data_name(id));
        if metas.is_empty() && len == 0 {
            return fs::remove_file(&data).disk("delete", &data);
        }
        let Some((stamp, _)) = metas.last().filter(|_| !target.join(data_name(id)).exists()) else {
            return self.set_aside(dir, Block { id, stamp: GenStamp(0), len }, "data without checksums");
        };
        tracing::info!(block = %Block { id, stamp: *stamp, len }, "replica put together that was between two folders");
        rename(&data, &target.join(data_name(id)))
    }

    fn finalized(&mut self) -> Result<()> {
        let root = self.volume.dirs.finalized.clone();
        for first in subdirs(&root)? {
            for second in subdirs(&first)? {
                for (id, pair) in pairs(&second)? {
                    self.complete(&second, id, pair)?;
                }
            }
        }
        Ok(())
    }

    /// The files of one block in the finalized tree.
    fn complete(&mut self, dir: &Path, id: BlockId, pair: Pair) -> Result<()> {
        let Some(data) = pair.data else { return drop_metas(dir, id, &pair.metas) };
        let len = data.len();
        let Some(((stamp, found), older)) = pair.metas.split_last() else {
            return self.set_aside(dir, Block { id, stamp: GenStamp(0), len }, "its checksum file is missing");
        };
        drop_metas(dir, id, older)?;
        let block = Block { id, stamp: *stamp, len };
        let usual = *found == meta_len(len, mammoth_protocol::limits::BYTES_PER_CHECKSUM);
        let (data_path, meta_path) = (dir.join(data_name(id)), dir.join(meta_name(id, *stamp)));
        let verdict = if self.must_verify(&data) {
            Verifier::open(&data_path, &meta_path, len).and_then(Verifier::finish)
        } else if usual {
            Ok(())
        } else {
            Files::open(&data_path, &meta_path, len, false).and_then(|files| match meta_len(len, files.chunk) {
                needed if needed == *found => Ok(()),
                needed => Err(Unfit::Bad(format!("its checksum file has {found} instead of {needed} bytes"))),
            })
        };
        match verdict {
            Ok(()) => {
                self.keep(block, State::Finalized);
                Ok(())
            }
            Err(Unfit::Bad(reason)) => self.set_aside(dir, block, &reason),
            Err(Unfit::Disk(error)) => Err(error),
        }
    }

    /// Whether a replica may have lost bytes with the power.
    fn must_verify(&self, data: &fs::Metadata) -> bool {
        let Some(from_ms) = self.verify_from_ms else { return false };
        let modified = data.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        modified.is_none_or(|since| since.as_millis() >= u128::from(from_ms))
    }

    fn keep(&mut self, block: Block, state: State) {
        self.volume.charge_existing(footprint(block.len));
        let volume = Arc::clone(self.volume);
        self.found.replicas.push(Replica { id: block.id, stamp: block.stamp, len: block.len, volume, state });
    }

    /// The list of `bad/` is made after all folders, so it will have this one.
    fn set_aside(&self, dir: &Path, block: Block, reason: &str) -> Result<()> {
        tracing::warn!(%block, folder = %dir.display(), reason, "bad replica set aside");
        let bad = &self.volume.dirs.bad;
        rename(&dir.join(data_name(block.id)), &bad.join(bad_data_name(block.id, block.stamp)))?;
        let meta = dir.join(meta_name(block.id, block.stamp));
        if meta.exists() {
            rename(&meta, &bad.join(meta_name(block.id, block.stamp)))?;
        }
        Ok(())
    }

    fn bad(&mut self) -> Result<()> {
        let dir = self.volume.dirs.bad.clone();
        for entry in fs::read_dir(&dir).disk("list", &dir)? {
            let entry = entry.disk("list", &dir)?;
            if let Some(FileKind::BadData(id, stamp)) = entry.file_name().to_str().and_then(parse_name) {
                let len = entry.metadata().disk("look at", &entry.path())?.len();
                self.volume.charge_existing(footprint(len));
                self.found.bad.push((self.volume.id, Block { id, stamp, len }));
            }
        }
        Ok(())
    }
}

/// The replicas of a folder by block. Checksum files come in ascending order of their stamps. Other files are ignored.
fn pairs(dir: &Path) -> Result<BTreeMap<BlockId, Pair>> {
    let mut pairs: BTreeMap<BlockId, Pair> = BTreeMap::new();
    for entry in fs::read_dir(dir).disk("list", dir)? {
        let entry = entry.disk("list", dir)?;
        let kind = entry.file_name().to_str().and_then(parse_name);
        let metadata = || entry.metadata().disk("look at", &entry.path());
        match kind {
            Some(FileKind::Data(id)) => pairs.entry(id).or_default().data = Some(metadata()?),
            Some(FileKind::Meta(id, stamp)) => {
                let metas = &mut pairs.entry(id).or_default().metas;
                metas.push((stamp, metadata()?.len()));
                metas.sort_unstable();
            }
            Some(FileKind::BadData(..)) | None => {}
        }
    }
    Ok(pairs)
}

fn subdirs(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).disk("list", dir)? {
        let entry = entry.disk("list", dir)?;
        let named = entry.file_name().to_str().is_some_and(|name| name.starts_with("subdir"));
        if named && entry.file_type().disk("look at", &entry.path())?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Deletes checksum files without data, or older than those beside the data.
fn drop_metas(dir: &Path, id: BlockId, metas: &[(GenStamp, u64)]) -> Result<()> {
    for (stamp, _) in metas {
        let path = dir.join(meta_name(id, *stamp));
        tracing::warn!(path = %path.display(), "checksum file without data deleted");
        fs::remove_file(&path).disk("delete", &path)?;
    }
    Ok(())
}
