//! Why a frame was not sent or received.

use std::io;

use thiserror::Error;

use crate::attach::io_error;
use crate::wire::RejectReason;

/// Says why a frame was not sent, or not all of it.
///
/// `sent` counts the segments of an oversized frame that the host took before the refusal; it is 0 for a frame
/// that goes out whole. `Transmitter::resume` sends the rest.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TransmitError {
    /// The device is full (`EAGAIN`); nothing of the refused segment was taken. Poll for writability, then resume.
    #[error("the device is full; wait until the descriptor is writable")]
    WouldBlock {
        /// Segments already taken.
        sent: u32,
    },
    /// The host is out of buffers (`ENOBUFS`, `ENOMEM`, `ENOSR`).
    #[error("the host has no buffer space")]
    NoBufferSpace {
        /// Segments already taken.
        sent: u32,
    },
    /// The guest's link is down; the frame was dropped and counted.
    #[error("the guest's link is down")]
    LinkDown,
    /// The host's interface is administratively down; the frame was not taken.
    #[error("the host's interface is down; bring it up")]
    InterfaceDown {
        /// Segments already taken.
        sent: u32,
    },
    /// The frame or its segmentation context is malformed; it was dropped and counted.
    #[error("frame rejected: {0}")]
    Rejected(#[from] RejectReason),
    /// The frame is shorter than the host can carry; it was dropped and counted.
    #[error("a frame of {len} bytes is below the host's minimum of {limit}")]
    Runt {
        /// The frame's length in bytes, with the Ethernet header and without FCS.
        len: usize,
        /// The shortest frame the host takes, counted likewise.
        limit: usize,
    },
    /// The frame is longer than the host can carry; it was dropped and counted.
    #[error("a frame of {len} bytes exceeds the host's limit of {limit}")]
    Oversize {
        /// The frame's length in bytes, with the Ethernet header and without FCS.
        len: usize,
        /// The longest frame the host takes, counted likewise.
        limit: usize,
    },
    /// The host refuses a frame of this length (`EMSGSIZE`, `ERANGE`) and does not say its limit. That may be a socket's send buffer
    /// (`SO_SNDBUF`), a TAP with `IFF_NAPI_FRAGS`, a driver's queue. The frame was dropped and counted as oversize.
    #[error("the host refuses a frame of {len} bytes for its length")]
    LengthRefused {
        /// The length in bytes of the frame, or of the segment, with the Ethernet header and without FCS.
        len: usize,
        /// Segments already taken.
        sent: u32,
    },
    /// The frame is scattered over more slices than one system call takes (`sysconf(_SC_IOV_MAX)`).
    #[error("{slices} slices exceed the host's limit of {limit}")]
    TooManySlices {
        /// Slices given, the crate's own included.
        slices: usize,
        /// The host's limit.
        limit: usize,
    },
    /// Memory for a transmit buffer could not be had.
    #[error("no memory for a transmit buffer of {len} bytes")]
    OutOfMemory {
        /// Bytes asked for.
        len: usize,
    },
    /// A resume was to go on after the frame's last segment, or the frame has no segments.
    #[error("cannot resume after {sent} segments: the frame makes {segments}")]
    BadResume {
        /// Segments already taken, as the caller says.
        sent: u32,
        /// Segments the frame makes.
        segments: u32,
    },
    /// The interface was removed. The state is final until the backend is re-attached.
    #[error("the interface is gone; re-attach or detach")]
    Gone,
    /// The kernel answered something that none of the above explains; the frame was dropped and counted.
    #[error("write: {source}")]
    Io {
        /// Segments already taken.
        sent: u32,
        /// The system's answer.
        source: io::Error,
    },
}

/// Says why no frame could be received.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The frame was longer than the buffer; it was consumed and counted, and nothing of it is delivered.
    #[error("a frame longer than {room} bytes was dropped")]
    Truncated {
        /// Bytes of the longest frame that would not have counted as truncated: the buffer's size, less the byte to spare
        /// where it has one ([`Backend::receive_buffer_len`](crate::Backend::receive_buffer_len)).
        room: usize,
    },
    /// The frame was shorter than an Ethernet header; it was consumed and counted.
    #[error("a frame of {len} bytes was dropped")]
    Runt {
        /// The frame's length in bytes.
        len: usize,
    },
    /// The kernel's virtio-net header was malformed; the frame was consumed and counted.
    #[error("received frame rejected: {0}")]
    Rejected(#[from] RejectReason),
    /// More slices than one system call takes (`sysconf(_SC_IOV_MAX)`).
    #[error("{slices} slices exceed the host's limit of {limit}")]
    TooManySlices {
        /// Slices given, the crate's own included.
        slices: usize,
        /// The host's limit.
        limit: usize,
    },
    /// The interface was removed. The state is final until the backend is re-attached.
    #[error("the interface is gone; re-attach or detach")]
    Gone,
    /// This host, or this build, cannot do that.
    #[error("{what} is not supported here")]
    Unsupported {
        /// The thing asked for.
        what: &'static str,
    },
    /// The kernel answered something else.
    #[error("read: {source}")]
    Io {
        /// The system's answer.
        source: io::Error,
    },
}

/// Keeps the whole error, with its text: the kind is that of the errno, where there is one, and the error itself is within.
impl From<TransmitError> for io::Error {
    fn from(error: TransmitError) -> Self {
        let kind = match &error {
            TransmitError::WouldBlock { .. } => io::ErrorKind::WouldBlock,
            TransmitError::NoBufferSpace { .. } | TransmitError::OutOfMemory { .. } => {
                io::ErrorKind::OutOfMemory
            }
            TransmitError::LinkDown | TransmitError::InterfaceDown { .. } => io::ErrorKind::NetworkDown,
            TransmitError::Gone => io::ErrorKind::NotConnected,
            _ => io::ErrorKind::InvalidInput,
        };
        let errno = if let TransmitError::Io { source, .. } = &error { source.raw_os_error() } else { None };
        io_error(errno, kind, error)
    }
}

/// As that of a [`TransmitError`].
impl From<ReceiveError> for io::Error {
    fn from(error: ReceiveError) -> Self {
        let kind = match &error {
            ReceiveError::Gone => io::ErrorKind::NotConnected,
            ReceiveError::Unsupported { .. } => io::ErrorKind::Unsupported,
            ReceiveError::TooManySlices { .. } => io::ErrorKind::InvalidInput,
            _ => io::ErrorKind::InvalidData,
        };
        let errno = if let ReceiveError::Io { source } = &error { source.raw_os_error() } else { None };
        io_error(errno, kind, error)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::{ReceiveError, TransmitError};

    fn errno_within(error: &Error) -> Option<i32> {
        match error.get_ref()?.downcast_ref()? {
            TransmitError::Io { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }

    #[test]
    fn an_io_error_keeps_errno_and_text() {
        let source = || Error::from_raw_os_error(libc::EPERM);
        let error = Error::from(TransmitError::Io { sent: 3, source: source() });
        assert_eq!((error.kind(), errno_within(&error)), (ErrorKind::PermissionDenied, Some(libc::EPERM)));
        assert!(error.to_string().starts_with("write: "), "{error}");
        let error = Error::from(ReceiveError::Io { source: source() });
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(error.to_string().starts_with("read: "), "{error}");
        assert_eq!(
            Error::from(TransmitError::Gone).to_string(),
            "the interface is gone; re-attach or detach"
        );
    }
}
