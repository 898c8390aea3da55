//! The cores, seeded and single-threaded, on fake nodes, disks and networks.
