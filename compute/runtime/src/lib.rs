//! What runs inside the process of a task: dispatch, keys, splits, sort, spill, merge, shuffle, commit.
