//! The parsers of what HTTP clients and the operator say, for the fuzz targets: nothing else calls them by these names.

/// Reads the parameters of a request.
pub fn query(text: &str) {
    crate::doors::fuzz_query(text);
}

/// Reads the operator's list of hosts, and a table of racks.
pub fn hosts(text: &str) {
    crate::hosts::fuzz(text);
    crate::topology::fuzz(text);
}
