//! Memory that files and sockets are read into and written from.
//!
//! The kernel copies between such memory and pages of its cache, which start where pages start. On some processors (seen: AMD
//! Zen) a copy takes twice as long when source and target lie just a few bytes apart within a page. A large allocation of glibc
//! starts 16 bytes into a page, which is such a case; one that starts [`OFFSET`] bytes into a page is none, whatever multiple
//! of 1 KiB the position in the file is.

use std::ops::{Deref, DerefMut};

/// Bytes of a page.
const PAGE: usize = 4096;
/// Where in a page the memory starts: far from where any packet's data starts in a page of its file.
const OFFSET: usize = 512;
/// Shorter memory is not worth the room.
const PLACED_FROM: usize = 16 * 1024;

/// A slice of bytes of a chosen length, at a place where copies are fast. Its first bytes stay when it grows.
#[derive(Debug, Default)]
pub struct IoBuffer {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl IoBuffer {
    /// `len` bytes of zeros.
    #[must_use]
    pub fn new(len: usize) -> Self {
        let spare = if len < PLACED_FROM { 0 } else { PAGE };
        let memory = vec![0; len.saturating_add(spare)];
        let start = if spare == 0 { 0 } else { OFFSET.wrapping_sub(memory.as_ptr().addr()) % PAGE };
        Self { memory, start, len }
    }

    /// Makes it `len` bytes long: what is cut off is kept for later, what is added is arbitrary. Memory never shrinks.
    pub fn resize(&mut self, len: usize) {
        let room = self.memory.len() - self.start;
        if len > room {
            // In steps that double, so that growing bit by bit costs no more than the bytes.
            let mut grown = Self::new(len.max(room.saturating_mul(2)));
            if let Some(front) = grown.get_mut(..self.len) {
                front.copy_from_slice(self);
            }
            *self = grown;
        }
        self.len = len;
    }

    /// Makes it no longer than `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

impl Deref for IoBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.memory.get(self.start..self.start + self.len).unwrap_or_default()
    }
}

impl DerefMut for IoBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.memory.get_mut(self.start..self.start + self.len).unwrap_or_default()
    }
}

impl AsRef<[u8]> for IoBuffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_ones_start_at_the_chosen_place_and_keep_their_bytes_when_they_grow() {
        let mut buffer = IoBuffer::new(100);
        buffer.fill(7);
        for len in [PLACED_FROM, 100_000, 1 << 20, (1 << 20) + 1] {
            buffer.resize(len);
            assert_eq!(buffer.len(), len);
            assert_eq!(buffer.as_ptr().addr() % PAGE, OFFSET, "{len}");
            assert_eq!(buffer[..100], [7; 100]);
        }
        buffer.truncate(50);
        assert_eq!(buffer.len(), 50);
        buffer.resize(60);
        assert_eq!(buffer[..50], [7; 50]);
    }

    #[test]
    fn an_empty_one_has_nothing() {
        assert!(IoBuffer::default().is_empty() && IoBuffer::new(0).is_empty());
    }
}
