//! What an errno of the frames' descriptor means (`drivers/net/tun.c`; unix(7) for socket pairs).

use super::super::tap::{ReadFault, WriteFault};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_errno_of_a_read_has_its_meaning() {
        for (errno, fault) in [
            (libc::EAGAIN, ReadFault::Empty),
            (libc::EINTR, ReadFault::Interrupted),
            (libc::EBADFD, ReadFault::Gone),
            (libc::ENODEV, ReadFault::Gone),
            (libc::ENXIO, ReadFault::Gone),
            (libc::ECONNRESET, ReadFault::Gone),
            (libc::ENOTCONN, ReadFault::Gone),
            (libc::EFAULT, ReadFault::Other),
            (libc::EINVAL, ReadFault::Other),
            (libc::EIO, ReadFault::Other),
        ] {
            assert_eq!(read_fault(errno), fault, "{errno}");
        }
    }

    #[test]
    fn b5_each_errno_of_a_write_has_its_meaning() {
        for (errno, fault) in [
            (libc::EAGAIN, WriteFault::WouldBlock),
            (libc::EINTR, WriteFault::Interrupted),
            (libc::ENOBUFS, WriteFault::NoBufferSpace),
            (libc::ENOMEM, WriteFault::NoBufferSpace),
            (libc::EIO, WriteFault::Down),
            (libc::EMSGSIZE, WriteFault::BadLength),
            (libc::EBADFD, WriteFault::Gone),
            (libc::ENODEV, WriteFault::Gone),
            (libc::ENXIO, WriteFault::Gone),
            (libc::ECONNREFUSED, WriteFault::Gone),
            (libc::ECONNRESET, WriteFault::Gone),
            (libc::ENOTCONN, WriteFault::Gone),
            (libc::EPIPE, WriteFault::Gone),
            (libc::EINVAL, WriteFault::Other),
            (libc::EFAULT, WriteFault::Other),
        ] {
            assert_eq!(write_fault(errno), fault, "{errno}");
        }
    }
}
