//! The host's end of the socket pair that stands in for a TAP.

use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Bytes of the header in front of a frame.
const HEADER: usize = 12;
/// Where a frame's number lies: behind the Ethernet header.
const NUMBER: usize = HEADER + 14;

/// Reads all that comes, so that the daemon is never held up, and remembers the last number.
pub(crate) struct Wire {
    socket: UnixDatagram,
    seen: Arc<(Mutex<u64>, Condvar)>,
}

impl Wire {
    /// The host's end, and the daemon's.
    pub(crate) fn new() -> std::io::Result<(Self, UnixDatagram)> {
        let (socket, near) = UnixDatagram::pair()?;
        let (reader, seen) = (socket.try_clone()?, Arc::new((Mutex::new(0), Condvar::new())));
        let sink = Arc::clone(&seen);
        thread::spawn(move || {
            let mut bytes = [0; 256];
            while let Ok(len) = reader.recv(&mut bytes) {
                if let Some(number) = bytes[..len].get(NUMBER..).and_then(|rest| rest.first_chunk()) {
                    *sink.0.lock().unwrap_or_else(PoisonError::into_inner) = u64::from_le_bytes(*number);
                    sink.1.notify_all();
                }
            }
        });
        socket.set_write_timeout(Some(Duration::from_millis(1)))?;
        Ok((Self { socket, seen }, near))
    }

    /// A frame with a number, behind its header.
    pub(crate) fn frame(number: u64) -> Vec<u8> {
        let mut bytes = vec![0; NUMBER + 8 + 40];
        bytes[NUMBER..NUMBER + 8].copy_from_slice(&number.to_le_bytes());
        bytes
    }

    /// Sends what the host sends; when nobody takes it, it is lost.
    pub(crate) fn send(&self, bytes: &[u8]) {
        let _ = self.socket.send(bytes);
    }

    /// Waits for the frame with this number.
    pub(crate) fn wait(&self, number: u64, patience: Duration) -> bool {
        let seen = self.seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.seen.1.wait_timeout_while(seen, patience, |seen| *seen != number);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}
