//! What an errno of a control stream means. read(2), write(2), streamio(4I).

use super::super::tap::{ReadFault, WriteFault};

/// A failed read.
///
/// `ENOSR` is a pending `M_ERROR`: the driver found no memory for an answer, and the stream fails every call from then on.
pub(crate) fn read_fault(errno: i32) -> ReadFault {
    match errno {
        libc::EAGAIN => ReadFault::Empty,
        libc::EINTR => ReadFault::Interrupted,
        libc::ENXIO | libc::EIO | libc::ENODEV | libc::ENOSR => ReadFault::Gone,
        _ => ReadFault::Other,
    }
}

/// A failed write. The stream head takes a message whole or not at all.
pub(crate) fn write_fault(errno: i32) -> WriteFault {
    match errno {
        libc::EAGAIN => WriteFault::WouldBlock,
        libc::EINTR => WriteFault::Interrupted,
        libc::ERANGE | libc::EMSGSIZE => WriteFault::BadLength,
        libc::ENOSR | libc::ENOMEM | libc::ENOBUFS => WriteFault::NoBufferSpace,
        libc::ENETDOWN => WriteFault::Down,
        libc::EIO | libc::ENXIO | libc::ENODEV => WriteFault::Gone,
        _ => WriteFault::Other,
    }
}
