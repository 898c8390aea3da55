//! Write in-memory programs: contexts, datasets, broadcasts, accumulators.
//!
//! ```
//! use mammoth_rdd::Context;
//!
//! # fn main() -> Result<(), mammoth_rdd::Error> {
//! let context = Context::local("local[2]")?;
//! let lines = context.parallelize(vec!["to be", "or not", "to be"].into_iter().map(str::to_owned).collect(), 2)?;
//! let counts = lines
//!     .flat_map(|line: String| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
//!     .map(|word| (word, 1_u64))
//!     .reduce_by_key(|a, b| a + b, 2);
//! let mut counts = counts.collect()?;
//! counts.sort();
//! assert_eq!(counts[0], ("be".to_owned(), 2));
//! # Ok(())
//! # }
//! ```
//!
//! # Closures
//! A closure travels to executors as a reference into the program, so it must not capture anything: what it needs is handed over
//! beside it, serialised, with the `_with` form of the operation. One that captures does not compile:
//!
//! ```compile_fail
//! # use mammoth_rdd::Context;
//! let context = Context::local("local[1]").unwrap();
//! let factor = 3;
//! let _ = context.range(0..10, 2).map(move |x| x * factor).collect();
//! ```
//!
//! ```compile_fail
//! # use mammoth_rdd::Context;
//! let context = Context::local("local[1]").unwrap();
//! let function: fn(u64) -> u64 = |x| x + 1;
//! let _ = context.range(0..10, 2).map(function).collect();
//! ```
//!
//! ```
//! # use mammoth_rdd::Context;
//! # fn main() -> Result<(), mammoth_rdd::Error> {
//! let context = Context::local("local[1]")?;
//! let factor = 3;
//! let tripled = context.range(0..4, 2).map_with(factor, |factor, x| x * factor).collect()?;
//! assert_eq!(tripled, [0, 3, 6, 9]);
//! # Ok(())
//! # }
//! ```
//!
//! Values that many tasks need, and that are large, go into a [`Broadcast`].
//!
//! # Records and keys of one's own
//! No other crate is needed for them. Records are what serde can write and read back, a key's parts are keys:
//!
//! ```
//! use mammoth_rdd::serde::{Deserialize, Serialize};
//! use mammoth_rdd::{Context, Key};
//!
//! #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Key, Serialize, Deserialize)]
//! #[serde(crate = "mammoth_rdd::serde")]
//! struct Place {
//!     year: u16,
//!     station: String,
//! }
//!
//! # fn main() -> Result<(), mammoth_rdd::Error> {
//! let context = Context::local("local[2]")?;
//! let place = |year| (Place { year, station: "north".to_owned() }, 1_u64);
//! let readings = context.parallelize(vec![place(1999), place(1998), place(1999)], 2)?;
//! let mut counts = readings.reduce_by_key(|a, b| a + b, 2).collect()?;
//! counts.sort();
//! assert_eq!(counts.iter().map(|(place, n)| (place.year, *n)).collect::<Vec<_>>(), [(1998, 1), (1999, 2)]);
//! # Ok(())
//! # }
//! ```

mod accumulator;
mod actions;
mod app;
mod broadcast;
mod context;
mod error;
mod ops;
mod pairs;
mod rdd;
mod save;
mod transform;

pub use accumulator::Accumulator;
pub use app::{App, AppResult, MASTER_VARIABLE, drive, main};
pub use broadcast::Broadcast;
pub use context::Context;
pub use error::Error;
pub use mammoth_engine::{Options, executor_main};
pub use mammoth_platform::{PlatformError as SettingError, Settings, keys};
pub use mammoth_runtime::key::{Key, KeyEncode};
pub use mammoth_runtime::program::{AppEntry, Invocation};
pub use mammoth_runtime::text::Text;
pub use ops::{Emit, Func, State};
pub use pairs::Cogrouped;
pub use rdd::{Data, Rdd};
/// For records of one's own types, see the crate's documentation.
pub use serde;

/// Where `#[derive(Key)]` finds the traits in a program that depends on this crate alone.
#[doc(hidden)]
pub mod runtime {
    pub use mammoth_runtime::key;
}
