//! The image that this process runs: driver and executors must run the same one, as functions travel by their place in it.

use crate::error::EngineError;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io::Read;
use std::sync::OnceLock;

/// The image, even if its file was replaced since.
pub(crate) const OWN_IMAGE: &str = "/proc/self/exe";
const CHUNK: usize = 1 << 20;

/// SHA-256 of the own image, lower-case hex. Computed once: it does not change while the process runs.
pub(crate) fn digest() -> Result<String, EngineError> {
    static DIGEST: OnceLock<String> = OnceLock::new();
    if let Some(known) = DIGEST.get() {
        return Ok(known.clone());
    }
    let failed = || EngineError::io(format!("read {OWN_IMAGE}"));
    let mut file = std::fs::File::open(OWN_IMAGE).map_err(failed())?;
    let mut sha = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let len = file.read(&mut chunk).map_err(failed())?;
        if len == 0 {
            break;
        }
        sha.update(chunk.get(..len).unwrap_or_default());
    }
    let mut text = String::with_capacity(64);
    for byte in sha.finalize() {
        let _infallible = write!(text, "{byte:02x}");
    }
    Ok(DIGEST.get_or_init(|| text).clone())
}
