//! The parsers of what other processes send and users type, for the fuzz targets: nothing else calls them by these names.

/// Reads the head of a shuffle server's answer.
pub fn answer_head(bytes: &[u8]) {
    crate::fetch::fuzz_head(bytes);
}

/// Writes out a pattern, compiles each part and matches a name; a text without meaning matches itself alone.
pub fn glob(pattern: &str, name: &str) {
    crate::input::fuzz_glob(pattern, name);
}
