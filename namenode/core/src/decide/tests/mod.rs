//! Commands by family: what they do, what they refuse and in which words.

mod leases;
mod namespace;
mod permissions;
mod retries;
mod writing;
