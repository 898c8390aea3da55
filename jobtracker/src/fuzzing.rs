//! The parsers of what comes from the file system and from HTTP clients, for the fuzz targets: nothing else calls them by these
//! names.

use mammoth_protocol::jobs::Resources;
use mammoth_protocol::jobs::spec::{InputSplit, JobSpec, ProgramRef, SPEC_VERSION};
use std::collections::BTreeMap;

/// Reads a specification; tells whether it is one.
#[must_use]
pub fn spec(bytes: &[u8]) -> bool {
    crate::files::read_spec(bytes).is_ok()
}

/// A specification with these splits.
#[must_use]
pub fn spec_of(splits: Vec<InputSplit>) -> JobSpec {
    JobSpec {
        version: SPEC_VERSION,
        name: "j".to_owned(),
        user: "ann".to_owned(),
        program: ProgramRef::default(),
        entry: "wordcount".to_owned(),
        args: vec!["/in".to_owned()],
        sdk: vec![1, 2],
        settings: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        fs: "hdfs://h:1".to_owned(),
        splits,
        reduces: 1,
        output: Some("/out".to_owned()),
        map_resources: Resources::default(),
        reduce_resources: Resources::default(),
        map_attempts_max: 4,
        reduce_attempts_max: 4,
        task_timeout_ms: 600_000,
        slowstart_percent: 5,
    }
}

/// Reads the parameters of a request.
pub fn query(text: &str) {
    crate::doors::fuzz_query(text);
}
