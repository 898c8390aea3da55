//! All binaries of Mammoth.
