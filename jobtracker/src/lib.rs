//! The jobtracker daemon: one thread that owns the core, and its doors.
