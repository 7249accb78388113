//! What an errno of the frames' descriptor means (`drivers/net/tun.c`; unix(7) for socket pairs).

use crate::platform::fault::{ReadFault, WriteFault};

pub(crate) fn read_fault(errno: i32) -> ReadFault {
    match errno {
        libc::EAGAIN => ReadFault::Empty,
        libc::EINTR => ReadFault::Interrupted,
        libc::EBADFD | libc::ENODEV | libc::ENXIO | libc::ECONNRESET | libc::ENOTCONN => ReadFault::Gone,
        // EFAULT is what the removal answers to a read that blocks; this one never does, so the address was bad.
        _ => ReadFault::Other,
    }
}

pub(crate) fn write_fault(errno: i32) -> WriteFault {
    match errno {
        libc::EAGAIN => WriteFault::WouldBlock,
        libc::EINTR => WriteFault::Interrupted,
        libc::ENOBUFS | libc::ENOMEM => WriteFault::NoBufferSpace,
        libc::EIO => WriteFault::Down,
        libc::EMSGSIZE => WriteFault::BadLength,
        libc::EBADFD | libc::ENODEV | libc::ENXIO => WriteFault::Gone,
        libc::ECONNREFUSED | libc::ECONNRESET | libc::ENOTCONN | libc::EPIPE => WriteFault::Gone,
        _ => WriteFault::Other,
    }
}
