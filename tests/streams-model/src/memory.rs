//! The caller's memory, as a kernel sees it: addresses that may be bad. Callers are tests with an arena, or programs with
//! real pointers.
//!
//! The kernel never gets a Rust reference to what a caller passes; it copies bytes in and out through [`Memory`], the
//! place of `copyin(9F)` and `copyout(9F)`.

use crate::abi::Errno;

pub use host::HostMemory;

/// Copies bytes between the kernel and its caller.
pub trait Memory {
    /// Copies `bytes.len()` bytes in from `address`.
    ///
    /// # Errors
    /// `EFAULT` when the range is not the caller's.
    fn copy_in(&self, address: u64, bytes: &mut [u8]) -> Result<(), Errno>;

    /// Copies `bytes` out to `address`.
    ///
    /// # Errors
    /// `EFAULT` when the range is not the caller's.
    fn copy_out(&mut self, address: u64, bytes: &[u8]) -> Result<(), Errno>;
}

/// Copies in the NUL-terminated string at `address`, without the NUL.
///
/// # Errors
/// `EFAULT` for a bad address, `ENAMETOOLONG` when `limit` bytes hold no NUL.
pub fn copy_in_string(memory: &dyn Memory, address: u64, limit: usize) -> Result<Vec<u8>, Errno> {
    let mut text = Vec::new();
    for offset in 0..limit as u64 {
        let mut byte = [0];
        memory.copy_in(address.wrapping_add(offset), &mut byte)?;
        if byte[0] == 0 {
            return Ok(text);
        }
        text.push(byte[0]);
    }
    Err(Errno::ENAMETOOLONG)
}

/// Copies in `length` bytes.
///
/// # Errors
/// `EFAULT` for a bad address.
pub fn copy_in_vec(memory: &dyn Memory, address: u64, length: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; length];
    memory.copy_in(address, &mut bytes)?;
    Ok(bytes)
}

/// A safe memory of its own for tests that call the kernel without a process: a growing arena with fake addresses.
#[derive(Clone, Debug, Default)]
pub struct Arena {
    bytes: Vec<u8>,
}

impl Arena {
    /// Where the arena's first byte lies. Everything below faults, the null page included.
    pub const BASE: u64 = 0x1_0000;

    /// Makes an empty arena.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores `bytes` at a fresh address, aligned to 8, and returns it.
    pub fn put(&mut self, bytes: &[u8]) -> u64 {
        let address = Self::BASE + self.bytes.len() as u64;
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        address
    }

    /// Stores a C string and returns its address.
    pub fn put_string(&mut self, text: &str) -> u64 {
        self.put(&[text.as_bytes(), &[0]].concat())
    }

    /// The `length` bytes at `address`.
    ///
    /// # Panics
    /// When the range was never stored: a mistake of the test.
    pub fn get(&self, address: u64, length: usize) -> &[u8] {
        let range = self.range(address, length).expect("the range was stored before");
        &self.bytes[range]
    }

    fn range(&self, address: u64, length: usize) -> Result<std::ops::Range<usize>, Errno> {
        let start = address.checked_sub(Self::BASE).ok_or(Errno::EFAULT)? as usize;
        let end = start.checked_add(length).filter(|&end| end <= self.bytes.len()).ok_or(Errno::EFAULT)?;
        Ok(start..end)
    }
}

impl Memory for Arena {
    fn copy_in(&self, address: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        bytes.copy_from_slice(&self.bytes[self.range(address, bytes.len())?]);
        Ok(())
    }

    fn copy_out(&mut self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        let range = self.range(address, bytes.len())?;
        self.bytes[range].copy_from_slice(bytes);
        Ok(())
    }
}

/// Lets the kernel read, and swallows what it writes: a call that fails copies nothing out.
pub(crate) struct ReadOnly<'a>(pub(crate) &'a dyn Memory);

impl Memory for ReadOnly<'_> {
    fn copy_in(&self, address: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        self.0.copy_in(address, bytes)
    }

    fn copy_out(&mut self, _address: u64, _bytes: &[u8]) -> Result<(), Errno> {
        Ok(())
    }
}

/// The memory of this process, for callers that pass real pointers.
// UNSAFETY: reads and writes through addresses that the process passed to a system call.
#[expect(unsafe_code, reason = "copies bytes at addresses a system call's caller passed")]
mod host {
    use std::ptr;

    use crate::abi::Errno;
    use crate::memory::Memory;

    /// The first page is never mapped; an address in it is refused as a kernel would.
    const NULL_PAGE: u64 = 4096;

    /// The address space of this process.
    #[derive(Debug)]
    pub struct HostMemory {
        _made_by_new: (),
    }

    impl HostMemory {
        /// Gives the kernel access to this process' memory.
        ///
        /// # Safety
        /// Until the value is dropped, every address a call passes to the kernel together with it must
        /// - be below 4096 (answered with `EFAULT`), or
        /// - point at as many readable (for results: writable) bytes as the system call of that name requires,
        /// - which no other thread writes meanwhile.
        pub unsafe fn new() -> Self {
            Self { _made_by_new: () }
        }
    }

    impl Memory for HostMemory {
        fn copy_in(&self, address: u64, bytes: &mut [u8]) -> Result<(), Errno> {
            let from = pointer(address, bytes.len())?;
            // SAFETY: `from` points at `bytes.len()` bytes of the system call's caller, readable and unchanged for the
            // length of the call (the promise of `new`); `bytes` is ours and cannot overlap a caller's buffer.
            unsafe { ptr::copy_nonoverlapping(from.cast_const(), bytes.as_mut_ptr(), bytes.len()) };
            Ok(())
        }

        fn copy_out(&mut self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
            let to = pointer(address, bytes.len())?;
            // SAFETY: `to` points at `bytes.len()` bytes of the system call's caller, writable and used by nobody else for
            // the length of the call (the promise of `new`); `bytes` is ours and cannot overlap a caller's buffer.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
            Ok(())
        }
    }

    fn pointer(address: u64, length: usize) -> Result<*mut u8, Errno> {
        if length > 0 && address < NULL_PAGE {
            return Err(Errno::EFAULT);
        }
        Ok(ptr::with_exposed_provenance_mut(address as usize))
    }
}
