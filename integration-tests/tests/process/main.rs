//! Tests on real processes: the programs are built once, started, killed, stopped and asked; then the bytes are compared.

mod harness;

mod bad_input;
mod balancer;
mod broken_disks;
mod buffers;
mod compare;
mod corruption;
mod crowd;
mod following;
mod foreign;
mod fsck;
mod full_disks;
mod hadoop;
mod hedged;
mod jobs;
mod leases;
mod lengths;
mod log_damage;
mod lost_answers;
mod memory;
mod namenode_crash;
mod operator;
mod outside;
mod pages;
mod partitions;
mod pipeline;
mod readme;
mod reliability;
mod replication;
mod rubbish;
mod shell;
mod short_circuit;
mod volumes;
