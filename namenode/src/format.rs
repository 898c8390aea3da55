//! The identity of a file system: drawn once when its folder is formatted, read at every start.

use crate::error::StartError;
use mammoth_journal::{CLUSTER_ID, Identity, JournalError, VERSION_FILE};
use mammoth_platform::{Clock, Entropy};
use mammoth_protocol::internal::ClusterIdentity;
use std::net::IpAddr;
use std::path::Path;

const NAMESPACE_ID: &str = "namespace_id";
const POOL_ID: &str = "pool_id";
const CREATED_MS: &str = "created_ms";

/// Draws a new identity; `ip` is the namenode's address, which HDFS puts into the name of a block pool.
#[must_use]
pub fn draw(clock: &dyn Clock, entropy: &dyn Entropy, ip: IpAddr) -> ClusterIdentity {
    let created_ms = clock.now().wall_ms;
    let number = || u32::try_from(entropy.next_u64() >> 33).unwrap_or_default().max(1);
    ClusterIdentity {
        cluster_id: format!("CID-{}", entropy.uuid()),
        namespace_id: number(),
        // Colons of an IPv6 address are not welcome in folder names.
        pool_id: format!("BP-{}-{}-{created_ms}", number(), ip.to_string().replace(':', ".")),
        created_ms,
    }
}

/// Makes an empty or missing folder a namenode's.
///
/// # Errors
/// A folder that holds anything, or is in use; the disk fails.
pub fn format(dir: &Path, identity: &ClusterIdentity) -> Result<(), StartError> {
    let parts = [
        (CLUSTER_ID, identity.cluster_id.clone()),
        (NAMESPACE_ID, identity.namespace_id.to_string()),
        (POOL_ID, identity.pool_id.clone()),
        (CREATED_MS, identity.created_ms.to_string()),
    ];
    Ok(mammoth_journal::format(dir, &Identity::of(parts))?)
}

/// The identity that a folder's file names.
///
/// # Errors
/// A part that is missing or makes no sense.
pub fn read(dir: &Path, parts: &Identity) -> Result<ClusterIdentity, StartError> {
    let bad =
        |key: &str| JournalError::Identity { path: dir.join(VERSION_FILE), what: format!("bad or missing {key}") };
    let text = |key: &str| parts.get(key).filter(|text| !text.is_empty()).map(str::to_owned).ok_or_else(|| bad(key));
    Ok(ClusterIdentity {
        cluster_id: text(CLUSTER_ID)?,
        namespace_id: text(NAMESPACE_ID)?.parse().map_err(|_| bad(NAMESPACE_ID))?,
        pool_id: text(POOL_ID)?,
        created_ms: text(CREATED_MS)?.parse().map_err(|_| bad(CREATED_MS))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mammoth_platform::{ManualClock, SeededEntropy, SystemEntropy};
    use mammoth_protocol::Now;

    #[test]
    fn identities_have_the_forms_of_hdfs() {
        let clock = ManualClock::at(Now { monotonic_ms: 0, wall_ms: 1_700_000_000_123 });
        for seed in 0..50 {
            let id = draw(&clock, &SeededEntropy::new(seed), "::1".parse().expect("an address"));
            assert!(id.cluster_id.starts_with("CID-") && id.cluster_id.len() == 40);
            assert!(id.namespace_id >= 1 && id.namespace_id < 1 << 31);
            assert!(id.pool_id.starts_with("BP-") && id.pool_id.ends_with("-..1-1700000000123"), "{}", id.pool_id);
        }
    }

    #[test]
    fn what_format_wrote_is_read_again_and_a_full_folder_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let id = draw(&ManualClock::default(), &SystemEntropy, "127.0.0.1".parse().expect("an address"));
        format(dir.path(), &id).expect("formatted");
        let parts = Identity::read(dir.path()).expect("its own file");
        assert_eq!(read(dir.path(), &parts).expect("its own parts"), id);
        let again = format(dir.path(), &id).expect_err("it is formatted already").to_string();
        assert!(again.contains(&dir.path().display().to_string()), "{again}");
    }
}
