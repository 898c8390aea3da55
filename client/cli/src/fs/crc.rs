//! The checksum file that Hadoop's local file system keeps beside a file: `.name.crc` with `crc`, a zero, the bytes per checksum
//! and a CRC-32 for each run of 512 bytes, all big-endian.

use std::path::{Path, PathBuf};

const BYTES_PER_CHECKSUM: usize = 512;

/// Gathers the checksums of bytes as they pass.
pub(super) struct ChecksumFile {
    table: [u32; 256],
    crc: u32,
    in_run: usize,
    bytes: Vec<u8>,
}

impl ChecksumFile {
    pub(super) fn new() -> Self {
        let mut bytes = b"crc\0".to_vec();
        bytes.extend((BYTES_PER_CHECKSUM as u32).to_be_bytes());
        Self { table: table(), crc: !0, in_run: 0, bytes }
    }

    /// Takes the next bytes of the file.
    pub(super) fn update(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let (run, rest) = data.split_at(data.len().min(BYTES_PER_CHECKSUM - self.in_run));
            for byte in run {
                let index = (self.crc ^ u32::from(*byte)) & 0xFF;
                self.crc = self.table.get(index as usize).copied().unwrap_or_default() ^ (self.crc >> 8);
            }
            self.in_run += run.len();
            if self.in_run == BYTES_PER_CHECKSUM {
                self.end_run();
            }
            data = rest;
        }
    }

    /// The bytes of the checksum file.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.in_run > 0 {
            self.end_run();
        }
        self.bytes
    }

    fn end_run(&mut self) {
        self.bytes.extend((!self.crc).to_be_bytes());
        self.crc = !0;
        self.in_run = 0;
    }
}

/// CRC-32 of each byte, by the reflected polynomial of Ethernet.
fn table() -> [u32; 256] {
    std::array::from_fn(|index| {
        (0..8).fold(index as u32, |crc, _| if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 })
    })
}

/// Where the checksum file of `path` is.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".crc");
    path.with_file_name(name)
}

/// Whether a name is that of a checksum file.
pub(super) fn is_checksum_name(name: &str) -> bool {
    name.len() > 5 && name.starts_with('.') && name.ends_with(".crc")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_a_header_and_one_sum_for_each_run() {
        let mut sums = ChecksumFile::new();
        sums.update(b"1234");
        sums.update(b"56789");
        assert_eq!(sums.finish(), [b"crc\0\0\0\x02\0".as_slice(), &0xCBF4_3926_u32.to_be_bytes()].concat());
        let mut sums = ChecksumFile::new();
        sums.update(&[0; 700]);
        sums.update(&[0; 400]);
        let bytes = sums.finish();
        assert_eq!(bytes.len(), 8 + 3 * 4);
        assert_eq!(bytes[8..12], bytes[12..16], "equal runs have equal sums");
        assert_eq!(ChecksumFile::new().finish().len(), 8);
    }

    #[test]
    fn names() {
        assert_eq!(beside(Path::new("/a/b")), Path::new("/a/.b.crc"));
        assert!(is_checksum_name(".b.crc") && !is_checksum_name("b.crc") && !is_checksum_name(".crc"));
    }
}
