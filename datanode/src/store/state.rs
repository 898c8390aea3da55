//! What a volume remembers over restarts: up to when its replicas are surely on the disk, under which boot of the machine
//! it was last used, what it has seen of the namenode, and how far verifying got.

use super::layout::STATE;
use crate::error::Result;
use mammoth_platform::{IoContext, durable};
use mammoth_protocol::BlockId;
use mammoth_protocol::internal::HighWater;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// Version of the file; a newer one is not read.
const VERSION: u32 = 1;

/// The memory of a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VolumeState {
    version: u32,
    /// Boot of the machine under which the volume was last used.
    pub(crate) boot_id: String,
    /// Everything written before is on the disk, wall clock milliseconds; 0 = nothing is known.
    pub(crate) synced_ms: u64,
    /// What was seen of the namenode.
    pub(crate) seen: HighWater,
    /// The replica that was verified last.
    pub(crate) scrubbed: Option<BlockId>,
    /// When the present round of verifying began, wall clock milliseconds.
    pub(crate) scrub_began_ms: u64,
}

fn path_of(root: &Path) -> PathBuf {
    root.join("current").join(STATE)
}

impl VolumeState {
    /// Reads the memory of the volume at `root`. A missing or damaged file is no memory: it costs verifying all replicas
    /// after a crash of the machine, nothing else.
    pub(crate) fn load(root: &Path) -> Result<Self> {
        let path = path_of(root);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error).io("read", &path).map_err(Into::into),
        };
        match Self::parse(&bytes) {
            Ok(state) if state.version == VERSION => Ok(state),
            Ok(state) => {
                tracing::warn!(path = %path.display(), version = state.version, "volume state of another version ignored");
                Ok(Self::default())
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "damaged volume state ignored");
                Ok(Self::default())
            }
        }
    }

    /// Reads the bytes of the file.
    pub(super) fn parse(bytes: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(bytes)
    }

    /// Writes it, durably.
    pub(crate) fn save(&self, root: &Path) -> Result<()> {
        let state = Self { version: VERSION, ..self.clone() };
        let bytes = serde_json::to_vec(&state).expect("plain data");
        Ok(durable::replace(&path_of(root), &bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mammoth_protocol::{Seq, Term};

    #[test]
    fn memory_survives_and_damage_is_no_memory() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("current")).unwrap();
        assert_eq!(VolumeState::load(dir.path()).unwrap(), VolumeState::default());
        let seen = HighWater { term: Term(3), seq: Seq(9), block: BlockId(7) };
        let state = VolumeState { boot_id: "b".into(), synced_ms: 5, seen, ..VolumeState::default() };
        state.save(dir.path()).unwrap();
        let loaded = VolumeState::load(dir.path()).unwrap();
        assert_eq!((loaded.seen, loaded.synced_ms, loaded.boot_id.as_str()), (seen, 5, "b"));
        fs::write(path_of(dir.path()), b"{").unwrap();
        assert_eq!(VolumeState::load(dir.path()).unwrap(), VolumeState::default());
    }
}
