//! Tests of the store: real files, no network.

mod crash;
mod oracle;
mod refuse;
mod space;
mod states;
mod volumes;
mod wrong_bytes;
