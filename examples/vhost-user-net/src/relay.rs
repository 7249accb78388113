//! Between the hypervisor's connection and the library's: QEMU 7.2 enables rings too early.
//!
//! Its network device sends `SET_VRING_ENABLE` when it is made, before the first `SET_FEATURES`, and not again afterwards.
//! The library refuses the request before `VHOST_USER_F_PROTOCOL_FEATURES` is acknowledged, as the standard says, and ends
//! the connection. So these early requests are held here until `SET_FEATURES` has gone through. All else passes as it is.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

const SET_FEATURES: u32 = 2;
const SET_VRING_ENABLE: u32 = 18;

/// `VHOST_USER_F_PROTOCOL_FEATURES`, in the lower half of the feature bits.
const PROTOCOL_FEATURES: u32 = 1 << 30;
/// Request, flags and size, each a little-endian word.
const HEADER: usize = 12;
/// The library's own limit.
const LONGEST: usize = 4096;
/// A message has at most one descriptor for each region of memory, and there are 8.
const MOST_DESCRIPTORS: usize = 32;
/// More early requests than any device has rings to enable, several times over.
const MOST_HELD: usize = 4096;

mod flag {
    pub(super) const VERSION_1: u32 = 1;
    pub(super) const REPLY: u32 = 1 << 2;
    pub(super) const NEED_REPLY: u32 = 1 << 3;
}

/// Passes messages both ways until either side closes; then both are closed.
pub fn run(hypervisor: &UnixStream, device: &UnixStream) {
    thread::scope(|scope| {
        scope.spawn(|| {
            until_closed("replies", io::copy(&mut { device }, &mut { hypervisor }).map(drop));
            close(hypervisor, device);
        });
        until_closed("requests", requests(hypervisor, device));
        close(hypervisor, device);
    });
}

fn until_closed(what: &str, result: io::Result<()>) {
    if let Err(error) = result {
        log::debug!("{what} of the hypervisor: {error}");
    }
}

fn close(hypervisor: &UnixStream, device: &UnixStream) {
    // Either may be closed already.
    let _ = hypervisor.shutdown(Shutdown::Both);
    let _ = device.shutdown(Shutdown::Both);
}

fn requests(hypervisor: &UnixStream, device: &UnixStream) -> io::Result<()> {
    let (mut held, mut agreed) = (Vec::new(), false);
    while let Some(mut message) = Message::read(hypervisor)? {
        if message.request() == SET_VRING_ENABLE && !agreed {
            if message.take_need_reply() {
                (&*hypervisor).write_all(&message.success())?;
            }
            held.push(message);
            if held.len() > MOST_HELD {
                return Err(io::Error::other("rings are enabled over and over before SET_FEATURES"));
            }
            continue;
        }
        message.write(device)?;
        if message.request() == SET_FEATURES {
            agreed = true;
            // Without the bit all rings are enabled, and the request does not exist.
            let can_enable = message.word(HEADER) & PROTOCOL_FEATURES != 0;
            for message in held.drain(..).filter(|_| can_enable) {
                message.write(device)?;
            }
        }
    }
    Ok(())
}

/// One message with the descriptors that came with it.
struct Message {
    bytes: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Message {
    /// `None` when the hypervisor has closed the connection.
    fn read(stream: &UnixStream) -> io::Result<Option<Self>> {
        let mut message = Self { bytes: vec![0; HEADER], descriptors: Vec::new() };
        let read = message.read_start(stream)?;
        if read == 0 {
            return Ok(None);
        }
        (&*stream).read_exact(&mut message.bytes[read..])?;
        let size = message.word(8) as usize;
        if size > LONGEST {
            return Err(io::Error::other(format!("a message of {size} bytes")));
        }
        message.bytes.resize(HEADER + size, 0);
        (&*stream).read_exact(&mut message.bytes[HEADER..])?;
        Ok(Some(message))
    }

    /// Descriptors come with the first byte.
    fn read_start(&mut self, stream: &UnixStream) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut slices = [IoSliceMut::new(&mut self.bytes)];
        let received = loop {
            match recvmsg(stream, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
                Err(rustix::io::Errno::INTR) => {}
                received => break received?,
            }
        };
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        Ok(received.bytes)
    }

    fn write(&self, stream: &UnixStream) -> io::Result<()> {
        let descriptors: Vec<_> = self.descriptors.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
        }
        let sent = loop {
            match sendmsg(stream, &[IoSlice::new(&self.bytes)], &mut ancillary, SendFlags::NOSIGNAL) {
                Err(rustix::io::Errno::INTR) => {}
                sent => break sent?,
            }
        };
        (&*stream).write_all(&self.bytes[sent..])
    }

    fn request(&self) -> u32 {
        self.word(0)
    }

    /// Whether an answer is asked for; from now on it is not.
    fn take_need_reply(&mut self) -> bool {
        let flags = self.word(4);
        self.bytes[4..8].copy_from_slice(&(flags & !flag::NEED_REPLY).to_le_bytes());
        flags & flag::NEED_REPLY != 0
    }

    /// The answer that all went well.
    fn success(&self) -> Vec<u8> {
        let words = [self.request(), flag::VERSION_1 | flag::REPLY, 8, 0, 0];
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn word(&self, at: usize) -> u32 {
        let bytes = self.bytes.get(at..at + 4).unwrap_or_default();
        bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Seek;
    use std::time::Duration;

    use super::*;

    /// The relay between two ends that a test holds.
    fn relayed(test: impl FnOnce(&UnixStream, &UnixStream)) {
        let pair = || UnixStream::pair().unwrap();
        let ((hypervisor, near), (far, device)) = (pair(), pair());
        thread::scope(|scope| {
            scope.spawn(|| run(&near, &far));
            // Dropped in here, so that the relay ends also when the test fails.
            let ends = (hypervisor, device);
            for end in [&ends.0, &ends.1] {
                end.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            }
            test(&ends.0, &ends.1);
        });
    }

    fn message(request: u32, flags: u32, payload: &[u8]) -> Message {
        let words = [request, flags, payload.len() as u32].map(u32::to_le_bytes).concat();
        Message { bytes: [&words, payload].concat(), descriptors: Vec::new() }
    }

    const FEATURES: [u8; 8] = (1_u64 << 30).to_le_bytes();
    const ENABLE: [u8; 8] = [1, 0, 0, 0, 1, 0, 0, 0];

    #[test]
    fn an_early_enable_comes_after_the_features_and_is_answered_at_once() {
        relayed(|hypervisor, device| {
            let early = message(SET_VRING_ENABLE, flag::VERSION_1 | flag::NEED_REPLY, &ENABLE);
            early.write(hypervisor).unwrap();
            let answer = Message::read(hypervisor).unwrap().unwrap();
            assert_eq!(answer.bytes, [18, 5, 8, 0, 0].map(u32::to_le_bytes).concat());
            message(SET_FEATURES, flag::VERSION_1, &FEATURES).write(hypervisor).unwrap();
            assert_eq!(Message::read(device).unwrap().unwrap().request(), SET_FEATURES);
            let held = Message::read(device).unwrap().unwrap();
            assert_eq!(
                held.bytes,
                message(SET_VRING_ENABLE, flag::VERSION_1, &ENABLE).bytes,
                "answered already"
            );
        });
    }

    #[test]
    fn a_later_enable_passes_as_it_is() {
        relayed(|hypervisor, device| {
            message(SET_FEATURES, flag::VERSION_1, &FEATURES).write(hypervisor).unwrap();
            let later = message(SET_VRING_ENABLE, flag::VERSION_1 | flag::NEED_REPLY, &ENABLE);
            later.write(hypervisor).unwrap();
            assert_eq!(Message::read(device).unwrap().unwrap().request(), SET_FEATURES);
            assert_eq!(Message::read(device).unwrap().unwrap().bytes, later.bytes);
        });
    }

    #[test]
    fn an_enable_that_the_features_do_not_know_is_left_out() {
        relayed(|hypervisor, device| {
            message(SET_VRING_ENABLE, flag::VERSION_1, &ENABLE).write(hypervisor).unwrap();
            message(SET_FEATURES, flag::VERSION_1, &[0; 8]).write(hypervisor).unwrap();
            message(3, flag::VERSION_1, &[]).write(hypervisor).unwrap();
            assert_eq!(Message::read(device).unwrap().unwrap().request(), SET_FEATURES);
            assert_eq!(Message::read(device).unwrap().unwrap().request(), 3);
        });
    }

    #[test]
    fn descriptors_and_replies_pass() {
        relayed(|hypervisor, device| {
            let (reader, mut writer) = io::pipe().unwrap();
            let mut sent = message(5, flag::VERSION_1, &[7; 40]);
            sent.descriptors = vec![reader.into()];
            sent.write(hypervisor).unwrap();
            drop(sent);
            let got = Message::read(device).unwrap().unwrap();
            assert_eq!((got.bytes[HEADER..].len(), got.descriptors.len()), (40, 1));
            writer.write_all(b"!").unwrap();
            let mut file = std::fs::File::from(got.descriptors.into_iter().next().unwrap());
            assert!(file.stream_position().is_err(), "it is the pipe");
            file.read_exact(&mut [0]).unwrap();
            (&*device).write_all(b"reply").unwrap();
            let mut reply = [0; 5];
            (&*hypervisor).read_exact(&mut reply).unwrap();
            assert_eq!(&reply, b"reply");
        });
    }

    #[test]
    fn either_end_closes_the_other() {
        relayed(|hypervisor, device| {
            device.shutdown(Shutdown::Both).unwrap();
            assert_eq!((&*hypervisor).read(&mut [0]).unwrap(), 0);
        });
        relayed(|hypervisor, device| {
            message(1, flag::VERSION_1, &[]).write(hypervisor).unwrap();
            hypervisor.shutdown(Shutdown::Both).unwrap();
            Message::read(device).unwrap().unwrap();
            assert!(Message::read(device).unwrap().is_none());
        });
    }
}
