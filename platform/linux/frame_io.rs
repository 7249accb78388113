//! One frame by one system call, made where it is wanted: the instruction stands in the loop of the caller.
//!
//! On many processors the first return behind a system call costs more than half of the call itself: the kernel has
//! emptied what predicts returns. So no function that was there before the call returns between two frames.

// UNSAFETY: the instruction takes numbers. What the kernel does with them is known by the call's number. The types of the
// slices promise that the bytes behind them may be read, or written, during the call.
#![expect(unsafe_code, reason = "a system call by its instruction")]

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::memory::{FrameSlice, RoomSlice};

/// Writes one frame: write(2) for one slice, writev(2) for several. An errno comes as it is.
#[inline(always)]
pub(crate) fn write(fd: BorrowedFd<'_>, slices: &[FrameSlice<'_>]) -> Result<usize, i32> {
    let (number, start, count) = match slices {
        [one] => (libc::SYS_write, one.as_ptr() as usize, one.len()),
        many => (libc::SYS_writev, many.as_ptr() as usize, many.len()),
    };
    // SAFETY: write reads `count` bytes at `start`, those of the slice; writev reads `count` iovecs there, the caller's array of
    // a type laid out so, and the bytes behind them. All of it can be read for the life time of the borrow, which outlasts
    // the call. Neither writes to memory.
    outcome(unsafe { call(number, fd.as_raw_fd(), start, count) })
}

/// Reads one frame: read(2) for one slice, readv(2) for several. An errno comes as it is.
#[inline(always)]
pub(crate) fn read(fd: BorrowedFd<'_>, slices: &[RoomSlice<'_>]) -> Result<usize, i32> {
    let (number, start, count) = match slices {
        [one] => (libc::SYS_read, one.as_mut_ptr() as usize, one.len()),
        many => (libc::SYS_readv, many.as_ptr() as usize, many.len()),
    };
    // SAFETY: read writes at most `count` bytes at `start`, those of the slice; readv reads `count` iovecs there, the caller's
    // array of a type laid out so, and writes to the bytes behind them. All of these can be written for the life time of the
    // borrow, which outlasts the call, and no Rust reference to them exists meanwhile.
    outcome(unsafe { call(number, fd.as_raw_fd(), start, count) })
}

#[inline(always)]
fn outcome(returned: isize) -> Result<usize, i32> {
    // The kernel returns a negative errno.
    usize::try_from(returned).map_err(|_| i32::try_from(-returned).unwrap_or(libc::EIO))
}

/// # Safety
/// As the system call `number` demands.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn call(number: libc::c_long, fd: i32, start: usize, count: usize) -> isize {
    let returned: isize;
    // SAFETY: the caller answers for the arguments. The instruction changes the three registers named, and memory as the call
    // does; it leaves the stack alone.
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
/// As the system call `number` demands.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
unsafe fn call(number: libc::c_long, fd: i32, start: usize, count: usize) -> isize {
    let returned: isize;
    // SAFETY: the caller answers for the arguments. The instruction changes the register named, and memory as the call does; it
    // leaves the stack alone.
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
