//! What an errno of the frames' descriptor means. read(2), write(2), streamio(4I); unix(4P) for a datagram socket.

use super::super::tap::{ReadFault, WriteFault};

/// A failed read.
///
/// `ENOSR` is a pending `M_ERROR`: the driver found no memory for an answer, and the stream fails every call from then on.
pub(crate) fn read_fault(errno: i32) -> ReadFault {
    match errno {
        libc::EAGAIN => ReadFault::Empty,
        libc::EINTR => ReadFault::Interrupted,
        libc::ENXIO | libc::EIO | libc::ENODEV | libc::ENOSR => ReadFault::Gone,
        libc::ECONNRESET | libc::ENOTCONN => ReadFault::Gone,
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
        libc::EPIPE | libc::ECONNREFUSED | libc::ECONNRESET | libc::ENOTCONN => WriteFault::Gone,
        // An end of a pair whose other end is closed, once ECONNRESET has been told.
        libc::EDESTADDRREQ => WriteFault::Gone,
        _ => WriteFault::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_without_its_peer_is_gone_both_ways() {
        for errno in [libc::ECONNRESET, libc::ENOTCONN] {
            assert_eq!(read_fault(errno), ReadFault::Gone, "{errno}");
            assert_eq!(write_fault(errno), WriteFault::Gone, "{errno}");
        }
        assert_eq!(write_fault(libc::EDESTADDRREQ), WriteFault::Gone);
        assert_eq!(read_fault(libc::EAGAIN), ReadFault::Empty);
    }
}
