//! The errors as `std::io::Error`, for callers that know no other.

use std::io;

use crate::error::{AttachError, DetachError, ProgramError, ReceiveError, TransmitError};

/// Keeps `raw_os_error` where there is one, and the whole text where there is none.
fn to_io(source: Option<&io::Error>, kind: io::ErrorKind, error: String) -> io::Error {
    match source.and_then(io::Error::raw_os_error) {
        Some(errno) => io::Error::from_raw_os_error(errno),
        None => io::Error::new(kind, error),
    }
}

impl From<AttachError> for io::Error {
    fn from(error: AttachError) -> Self {
        let kind = match &error {
            AttachError::Unsupported { .. } => io::ErrorKind::Unsupported,
            AttachError::Missing { .. } => io::ErrorKind::NotFound,
            AttachError::Program(_) | AttachError::Mismatch { .. } => io::ErrorKind::Other,
            _ => io::ErrorKind::InvalidInput,
        };
        let source = match &error {
            AttachError::Open { source, .. }
            | AttachError::Request { source, .. }
            | AttachError::Busy { source, .. }
            | AttachError::Exists { source, .. }
            | AttachError::Program(ProgramError::Spawn { source, .. } | ProgramError::Wait { source, .. }) => {
                Some(source)
            }
            AttachError::WrongKind { source, .. } => source.as_ref(),
            AttachError::Adopt(adopt) => adopt.source.as_ref(),
            _ => None,
        };
        to_io(source, kind, error.to_string())
    }
}

impl From<DetachError> for io::Error {
    fn from(error: DetachError) -> Self {
        let source = match &error {
            DetachError::Request { source, .. }
            | DetachError::Program(ProgramError::Spawn { source, .. } | ProgramError::Wait { source, .. }) => {
                Some(source)
            }
            DetachError::Program(_) => None,
        };
        to_io(source, io::ErrorKind::Other, error.to_string())
    }
}

impl From<TransmitError> for io::Error {
    fn from(error: TransmitError) -> Self {
        let kind = match &error {
            TransmitError::WouldBlock { .. } => io::ErrorKind::WouldBlock,
            TransmitError::NoBufferSpace { .. } | TransmitError::OutOfMemory { .. } => {
                io::ErrorKind::OutOfMemory
            }
            TransmitError::LinkDown | TransmitError::InterfaceDown { .. } => io::ErrorKind::NetworkDown,
            TransmitError::Gone => io::ErrorKind::NotConnected,
            TransmitError::Unsupported { .. } => io::ErrorKind::Unsupported,
            _ => io::ErrorKind::InvalidInput,
        };
        let source = if let TransmitError::Io { source, .. } = &error { Some(source) } else { None };
        to_io(source, kind, error.to_string())
    }
}

impl From<ReceiveError> for io::Error {
    fn from(error: ReceiveError) -> Self {
        let kind = match &error {
            ReceiveError::Gone => io::ErrorKind::NotConnected,
            ReceiveError::Unsupported { .. } => io::ErrorKind::Unsupported,
            ReceiveError::TooManySlices { .. } => io::ErrorKind::InvalidInput,
            _ => io::ErrorKind::InvalidData,
        };
        let source = if let ReceiveError::Io { source } = &error { Some(source) } else { None };
        to_io(source, kind, error.to_string())
    }
}
