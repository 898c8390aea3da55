//! The in-memory mode, untyped: plan, executor, blocks, driver.
