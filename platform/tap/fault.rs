//! What the errno of a failed read or write on the frames' descriptor means to the engine.

/// A failed read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadFault {
    /// Nothing is queued.
    Empty,
    /// A signal came first; nothing was taken.
    Interrupted,
    /// The interface was removed.
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
    /// A signal came first.
    Interrupted,
    /// The host refuses frames of this length.
    BadLength,
    /// The interface was removed.
    Gone,
    /// Anything else.
    Other,
}

/// Tells whether the errno is the fate of an earlier frame, on a descriptor that says so (`refusal_passes`).
pub(crate) fn is_old_refusal(errno: i32) -> bool {
    errno == libc::ECONNREFUSED
}

/// Tells whether the host refused what the header before a frame asks for, and not the frame.
pub(crate) fn is_refusal(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINVAL)
}
