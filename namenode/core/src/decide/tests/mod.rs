//! Commands by family: what they do, what they refuse and in which words.

mod concat;
mod leases;
mod namespace;
mod permissions;
mod retries;
mod truncate;
mod writing;
