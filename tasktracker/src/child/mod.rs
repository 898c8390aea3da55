//! One process of an attempt or executor, from its start to the point where nothing is left of it.
//!
//! - [`life`]: all of it; [`spawn`]: starting it; [`link`]: lines to and from it; [`log`]: what it prints
//! - [`supervise`]: waiting for what happens; [`verdict`]: what its end means; [`reason`]: how that is put into words

pub(crate) mod life;
pub(crate) mod link;
pub(crate) mod log;
pub(crate) mod reason;
pub(crate) mod spawn;
pub(crate) mod supervise;
pub(crate) mod verdict;

pub(crate) use link::Inbox;

#[cfg(test)]
mod tests;
