//! Memory that begins with a page: where bytes lie changes what it costs to copy and to sum them, and is to differ neither
//! between contenders nor between runs.

use std::ops::{Deref, DerefMut};

const PAGE: usize = 4096;

pub struct Aligned {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    /// `len` bytes, all touched already.
    pub fn new(len: usize) -> Self {
        let memory = vec![0x55; len + PAGE];
        let start = memory.as_ptr().align_offset(PAGE);
        Self { memory, start, len }
    }

    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut copy = Self::new(bytes.len());
        copy.copy_from_slice(bytes);
        copy
    }
}

impl Deref for Aligned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.start..][..self.len]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..][..self.len]
    }
}
