//! The namenode daemon: one thread that owns the core, and the doors around it.
