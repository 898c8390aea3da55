//! The shuffle's files and routes. Record-agnostic: a map task leaves one data file and one index file; a partition's segment
//! is a run of frames, each compressed and checksummed by itself; what a frame holds is the business of who wrote it.

/// Route of a tasktracker's HTTP door: GET one partition's segment, the bytes of the data file as they are. `{owner}` is a
/// job or application id, `{output}` the name of the output (an attempt id, or what an executor chose: letters, digits, `_`
/// and `-`, at most 200). `?generation=UUID` must be that of the folder. 404: no such output. 410: another generation.
pub const ROUTE: &str = "/shuffle/v1/{owner}/{output}/{partition}";
/// Longest name of an output.
pub const OUTPUT_NAME_MAX: usize = 200;
