//! Writing text files.
