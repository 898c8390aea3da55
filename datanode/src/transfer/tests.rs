//! Tests of data transfers: real sockets, datanodes without a namenode, clients that speak the protocol by hand.

mod balance;
mod checksums;
mod copies;
mod failures;
mod harness;
mod pipelines;
mod reads;
mod rubbish;
mod short_circuit;
