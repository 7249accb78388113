//! The bare system call by its instruction, in the loop of the caller: the limit of what a crate can reach.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::RawFd;

/// So many instructions that do nothing, which move what stands behind them.
#[inline(always)]
pub fn skip<const COUNT: usize>() {
    // SAFETY: instructions without effect.
    unsafe {
        std::arch::asm!(".rept {count}", "nop", ".endr", count = const COUNT, options(nomem, nostack, preserves_flags));
    }
}

/// write(2); bytes, or the errno.
#[inline(always)]
pub fn write(fd: RawFd, bytes: &[u8]) -> Result<usize, i32> {
    // SAFETY: reads the bytes of `bytes`, which is borrowed for the call.
    outcome(unsafe { call(libc::SYS_write, fd, bytes.as_ptr() as usize, bytes.len()) })
}

/// read(2).
#[inline(always)]
pub fn read(fd: RawFd, bytes: &mut [u8]) -> Result<usize, i32> {
    // SAFETY: writes to the bytes of `bytes`, which is borrowed exclusively for the call.
    outcome(unsafe { call(libc::SYS_read, fd, bytes.as_mut_ptr() as usize, bytes.len()) })
}

/// writev(2).
#[inline(always)]
pub fn writev(fd: RawFd, slices: &[IoSlice<'_>]) -> Result<usize, i32> {
    // SAFETY: reads the slices, each an iovec, and the bytes behind them, all borrowed for the call.
    outcome(unsafe { call(libc::SYS_writev, fd, slices.as_ptr() as usize, slices.len()) })
}

/// readv(2).
#[inline(always)]
pub fn readv(fd: RawFd, slices: &mut [IoSliceMut<'_>]) -> Result<usize, i32> {
    // SAFETY: reads the slices, each an iovec, and writes to the bytes behind them, all borrowed exclusively for the call.
    outcome(unsafe { call(libc::SYS_readv, fd, slices.as_mut_ptr() as usize, slices.len()) })
}

#[inline(always)]
fn outcome(returned: isize) -> Result<usize, i32> {
    if returned < 0 { Err(-returned as i32) } else { Ok(returned as usize) }
}

/// # Safety
/// As the system call demands.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn call(number: libc::c_long, fd: RawFd, start: usize, count: usize) -> isize {
    let returned: isize;
    // SAFETY: the caller answers for the arguments; the instruction changes the registers named.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => returned,
            in("rdi") fd as isize,
            in("rsi") start,
            in("rdx") count,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack, preserves_flags)
        );
    }
    returned
}

/// # Safety
/// As the system call demands.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
unsafe fn call(number: libc::c_long, fd: RawFd, start: usize, count: usize) -> isize {
    let returned: isize;
    // SAFETY: the caller answers for the arguments; the instruction changes the register named.
    unsafe {
        std::arch::asm!(
            "svc 0",
            in("x8") number as isize,
            inlateout("x0") fd as isize => returned,
            in("x1") start,
            in("x2") count,
            options(nostack, preserves_flags)
        );
    }
    returned
}
