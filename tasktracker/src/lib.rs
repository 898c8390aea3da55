//! The tasktracker daemon: grants, child processes, localised programs, the shuffle server.
