//! What an errno of a TAP or a macvtap means (`drivers/net/tun.c`, `drivers/net/tap.c`).

use super::super::tap::{ReadFault, WriteFault};

pub(crate) fn read_fault(errno: i32) -> ReadFault {
    match errno {
        libc::EAGAIN => ReadFault::Empty,
        libc::EINTR => ReadFault::Interrupted,
        libc::EBADFD | libc::ENODEV | libc::ENXIO | libc::ENOLINK => ReadFault::Gone,
        // When an interface is removed, a read that blocks fails with EFAULT. A read here never blocks, so the address was
        // bad.
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
        libc::EBADFD | libc::ENODEV | libc::ENXIO | libc::ENOLINK => WriteFault::Gone,
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
            (libc::ENOLINK, ReadFault::Gone),
            // What a socket says, and no TAP.
            (libc::ECONNRESET, ReadFault::Other),
            (libc::EFAULT, ReadFault::Other),
            (libc::EINVAL, ReadFault::Other),
            (libc::EIO, ReadFault::Other),
        ] {
            assert_eq!(read_fault(errno), fault, "{errno}");
        }
    }

    /// Row B5.
    #[test]
    fn each_errno_of_a_write_costs_what_it_must() {
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
            (libc::ENOLINK, WriteFault::Gone),
            (libc::ECONNREFUSED, WriteFault::Other),
            (libc::EINVAL, WriteFault::Other),
            (libc::EFAULT, WriteFault::Other),
        ] {
            assert_eq!(write_fault(errno), fault, "{errno}");
        }
    }
}
