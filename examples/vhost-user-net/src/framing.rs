//! QEMU's stream: before each frame its length, 32 bits, big endian. Frames from it, and frames to it.

use std::io::{self, IoSlice, Read, Write};
use std::ops::Deref;

/// Bytes of the length.
const LENGTH: usize = 4;
/// The longest frame taken; what is longer is no frame, and nothing after it can be found.
const LONGEST: usize = 40 + 65535 + 14 + 8;
/// Room for many frames from the guest, and for the longest one.
const INBOX: usize = 256 * 1024;
/// The outbox takes no further frame of the host beyond this; one may make it longer by its segments.
const OUTBOX: usize = 256 * 1024;

/// What has been read of the stream.
pub struct Inbox {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Default for Inbox {
    fn default() -> Self {
        Self { bytes: vec![0; INBOX].into(), start: 0, end: 0 }
    }
}

impl Inbox {
    /// Reads once; `false` at the end of the stream.
    ///
    /// # Errors
    /// The stream's; [`io::ErrorKind::WouldBlock`] when there is nothing.
    pub fn fill(&mut self, mut stream: impl Read) -> io::Result<bool> {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let read = stream.read(&mut self.bytes[self.end..])?;
        self.end += read;
        Ok(read > 0)
    }

    /// The next frame, if all of it is there. It comes again until it is [`taken`](Self::take).
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] for a length that no frame has.
    pub fn frame(&self) -> io::Result<Option<&[u8]>> {
        let rest = &self.bytes[self.start..self.end];
        let Some((length, rest)) = rest.split_first_chunk() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if length > LONGEST {
            let what = format!("the hypervisor announces a frame of {length} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(rest.get(..length))
    }

    /// Goes on to the frame after the next one.
    pub fn take(&mut self) {
        if let Ok(Some(frame)) = self.frame() {
            self.start += LENGTH + frame.len();
        }
    }
}

/// What is still to be written to the stream.
#[derive(Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    start: usize,
}

impl Outbox {
    /// Appends a frame.
    pub fn push<S: Deref<Target = [u8]>>(&mut self, slices: &[S]) {
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        // At most the longest frame there is, which has fewer than 2^32 bytes.
        self.bytes.extend_from_slice(&(length as u32).to_be_bytes());
        slices.iter().for_each(|slice| self.bytes.extend_from_slice(slice));
    }

    /// Whether it takes another frame of the host.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.bytes.len() - self.start < OUTBOX
    }

    /// Whether all is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.len() == self.start
    }

    /// Writes what the stream takes; the rest waits.
    ///
    /// # Errors
    /// The stream's, but not that it is full.
    pub fn flush(&mut self, mut stream: impl Write) -> io::Result<()> {
        while !self.is_empty() {
            match stream.write_vectored(&[IoSlice::new(&self.bytes[self.start..])]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.start += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.bytes.clear();
        self.start = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that gives and takes a few bytes at a time.
    struct Trickle {
        bytes: Vec<u8>,
        step: usize,
        full: bool,
    }

    impl Read for &mut Trickle {
        fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
            let step = self.step.min(self.bytes.len()).min(target.len());
            target[..step].copy_from_slice(&self.bytes[..step]);
            self.bytes.drain(..step);
            Ok(step)
        }
    }

    impl Write for &mut Trickle {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.full = !self.full;
            if self.full {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let step = self.step.min(bytes.len());
            self.bytes.extend_from_slice(&bytes[..step]);
            Ok(step)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn frames() -> Vec<Vec<u8>> {
        [60, 0, 1514, 1, LONGEST].iter().zip(1..).map(|(len, byte)| vec![byte; *len]).collect()
    }

    #[test]
    fn frames_survive_a_stream_of_any_grain() {
        for step in [1, 3, 4, 5, 1000, usize::MAX] {
            let mut stream = Trickle { bytes: Vec::new(), step, full: false };
            let mut outbox = Outbox::default();
            for frame in frames() {
                let (front, rest) = frame.split_at(frame.len() / 2);
                outbox.push(&[front, rest]);
            }
            while !outbox.is_empty() {
                outbox.flush(&mut stream).unwrap();
            }
            let (mut inbox, mut seen) = (Inbox::default(), Vec::new());
            while inbox.fill(&mut stream).unwrap() {
                while let Some(frame) = inbox.frame().unwrap() {
                    seen.push(frame.to_vec());
                    inbox.take();
                }
            }
            assert!(seen == frames(), "{step} bytes at a time");
        }
    }

    #[test]
    fn an_impossible_length_is_an_error() {
        let mut inbox = Inbox::default();
        inbox.fill(&(LONGEST as u32 + 1).to_be_bytes()[..]).unwrap();
        assert_eq!(inbox.frame().unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_full_outbox_says_so() {
        let mut outbox = Outbox::default();
        while outbox.has_room() {
            outbox.push(&[&[0; 60_000][..]]);
        }
        assert!(outbox.bytes.len() < OUTBOX + 60_004);
    }
}
