//! The memory of this process, for callers that pass real pointers.

// UNSAFETY: reads and writes through addresses that the process passed to a system call.
#![expect(unsafe_code, reason = "copies bytes at addresses a system call's caller passed")]

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
