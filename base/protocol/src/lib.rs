//! What crosses a wire or is shared by name: ids, paths, limits, error codes and codecs.
//!
//! Pure: no socket, no disk, no clock. Bytes that come from outside never panic here; they parse or they are refused.

pub mod caller;
pub mod datatransfer;
pub mod error;
pub mod hadoop;
pub mod ids;
pub mod internal;
pub mod invariant;
pub mod jobs;
pub mod journaled;
pub mod limits;
pub mod path;
pub mod rpc;
pub mod time;
pub mod versioned;
pub mod wire;

pub use caller::{Auth, Caller};
pub use error::{ErrorCode, FsError};
pub use ids::{Block, BlockId, CallId, DatanodeId, Epoch, GenStamp, InodeId, Seq, StorageId, Term, Uuid};
pub use path::DfsPath;
pub use time::Now;
