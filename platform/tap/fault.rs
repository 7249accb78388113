//! What the errno of a failed read or write on the frames' descriptor means to the engine.

/// A failed read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadFault {
    /// Nothing is queued.
    Empty,
    /// A signal interrupted the call, or the call reported the error of an earlier datagram. Nothing was taken. Call again.
    Interrupted,
    /// The interface was removed, or the peer is.
    Gone,
    /// Anything else.
    Other,
}

/// A failed write. Nothing of the frame was taken in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteFault {
    /// The queue is full; the descriptor becomes writable later.
    WouldBlock,
    /// No memory for a buffer; no event announces when there is.
    NoBufferSpace,
    /// The interface is administratively down; the descriptor becomes writable when it is up.
    Down,
    /// A signal interrupted the call, or the call reported the error of an earlier datagram. Call again.
    Interrupted,
    /// The host refuses frames of this length.
    BadLength,
    /// The interface was removed, or the peer is.
    Gone,
    /// Anything else.
    Other,
}

/// What a descriptor is, as far as it decides what an errno, or nothing at all, means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The system's own TAP: its errnos are the system's to explain.
    Device,
    /// A socket whose peer is on this machine (`AF_UNIX`): its errnos tell of the peer.
    Local {
        /// Made by `SOCK_SEQPACKET`: a read of nothing is the end, and not an empty datagram.
        ends: bool,
    },
    /// A socket whose peer may be anywhere (`AF_INET`, `AF_INET6`): most of its errnos tell of an earlier datagram.
    Internet,
}

impl Kind {
    /// What the errno of a failed read means.
    pub(super) fn read_fault(self, errno: i32) -> ReadFault {
        match (self, errno) {
            (Self::Device, _) => super::super::sys::read_fault(errno),
            (_, libc::EAGAIN) => ReadFault::Empty,
            (_, libc::EINTR) => ReadFault::Interrupted,
            (Self::Internet, libc::ECONNREFUSED | libc::ENOPROTOOPT | libc::EPROTO) => ReadFault::Interrupted,
            _ if self.may_be_earlier(errno) => ReadFault::Interrupted,
            (Self::Local { .. }, libc::ECONNREFUSED | libc::ECONNRESET | libc::EPIPE) => ReadFault::Gone,
            (_, libc::ENOTCONN) => ReadFault::Gone,
            _ => ReadFault::Other,
        }
    }

    /// Tells whether the errno of a failed write may belong to an earlier datagram. The network reports both alike, and an
    /// earlier one's errno once only. The errno of a read always belongs to an earlier datagram.
    pub(super) fn may_be_earlier(self, errno: i32) -> bool {
        const EITHER: [i32; 5] =
            [libc::EHOSTUNREACH, libc::ENETUNREACH, libc::EHOSTDOWN, libc::EACCES, libc::EMSGSIZE];
        self == Self::Internet && EITHER.contains(&errno)
    }

    /// What the errno of a failed write means. It means the same as that of a read, where both can have it. An errno that
    /// [`may_be_earlier`](Self::may_be_earlier) comes here only when a second write has failed with it.
    pub(super) fn write_fault(self, errno: i32) -> WriteFault {
        match (self, errno) {
            (Self::Device, _) => super::super::sys::write_fault(errno),
            (_, libc::EMSGSIZE) => WriteFault::BadLength,
            (_, libc::ENOBUFS | libc::ENOMEM) => WriteFault::NoBufferSpace,
            // What illumos answers once the other end is closed.
            (_, libc::EDESTADDRREQ) => WriteFault::Gone,
            _ if self.may_be_earlier(errno) => WriteFault::Other,
            _ => match self.read_fault(errno) {
                ReadFault::Empty => WriteFault::WouldBlock,
                ReadFault::Interrupted => WriteFault::Interrupted,
                ReadFault::Gone => WriteFault::Gone,
                ReadFault::Other => WriteFault::Other,
            },
        }
    }

    /// Whether a read of no bytes is the end: of a stream that was hung up, of a peer that has closed. From a datagram socket
    /// it is a datagram without content.
    pub(super) fn nothing_is_the_end(self) -> bool {
        matches!(self, Self::Device | Self::Local { ends: true })
    }
}

/// Tells whether the host refused the header before a frame, and not the frame: what it asks for, or room too small for it.
pub(crate) fn is_refusal(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: Kind = Kind::Local { ends: false };

    #[test]
    fn each_errno_of_a_socket_means_the_same_both_ways() {
        let table = [
            (libc::EAGAIN, [ReadFault::Empty, ReadFault::Empty]),
            (libc::EINTR, [ReadFault::Interrupted, ReadFault::Interrupted]),
            (libc::ECONNREFUSED, [ReadFault::Gone, ReadFault::Interrupted]),
            (libc::ENOPROTOOPT, [ReadFault::Other, ReadFault::Interrupted]),
            (libc::EPROTO, [ReadFault::Other, ReadFault::Interrupted]),
            (libc::ECONNRESET, [ReadFault::Gone, ReadFault::Other]),
            (libc::EPIPE, [ReadFault::Gone, ReadFault::Other]),
            (libc::ENOTCONN, [ReadFault::Gone, ReadFault::Gone]),
            (libc::EINVAL, [ReadFault::Other, ReadFault::Other]),
            // What a TAP says, and no socket.
            (libc::EIO, [ReadFault::Other, ReadFault::Other]),
            (libc::ENXIO, [ReadFault::Other, ReadFault::Other]),
        ];
        for (errno, meanings) in table {
            for (kind, meaning) in [LOCAL, Kind::Internet].into_iter().zip(meanings) {
                assert_eq!(kind.read_fault(errno), meaning, "{kind:?}, errno {errno}");
                let written = match meaning {
                    ReadFault::Empty => WriteFault::WouldBlock,
                    ReadFault::Interrupted => WriteFault::Interrupted,
                    ReadFault::Gone => WriteFault::Gone,
                    ReadFault::Other => WriteFault::Other,
                };
                assert_eq!(kind.write_fault(errno), written, "{kind:?}, errno {errno}");
            }
        }
    }

    #[test]
    fn what_the_network_says_of_either_datagram_is_final_for_none_but_the_second_time() {
        for errno in [libc::EHOSTUNREACH, libc::ENETUNREACH, libc::EHOSTDOWN, libc::EACCES, libc::EMSGSIZE] {
            assert!(Kind::Internet.may_be_earlier(errno) && !LOCAL.may_be_earlier(errno), "errno {errno}");
            assert_eq!(Kind::Internet.read_fault(errno), ReadFault::Interrupted, "errno {errno}");
            assert_eq!(LOCAL.read_fault(errno), ReadFault::Other, "errno {errno}");
            let written = if errno == libc::EMSGSIZE { WriteFault::BadLength } else { WriteFault::Other };
            assert_eq!(Kind::Internet.write_fault(errno), written, "errno {errno}");
        }
        assert!(!Kind::Internet.may_be_earlier(libc::EAGAIN));
    }

    #[test]
    fn each_errno_of_a_socket_that_only_a_write_has_is_known() {
        for kind in [LOCAL, Kind::Internet] {
            assert_eq!(kind.write_fault(libc::EMSGSIZE), WriteFault::BadLength);
            assert_eq!(kind.write_fault(libc::ENOBUFS), WriteFault::NoBufferSpace);
            assert_eq!(kind.write_fault(libc::ENOMEM), WriteFault::NoBufferSpace);
            assert_eq!(kind.write_fault(libc::EDESTADDRREQ), WriteFault::Gone);
        }
    }
}
