//! Looks at every call for violations of the invariants a tester cares about, which the kernel itself bears.

use std::collections::BTreeMap;

use crate::abi;
use crate::call::Call;
use crate::image::Strioctl;
use crate::kernel::Kernel;
use crate::kernel::stream::{Driver, StreamId};
use crate::memory::Memory;
use crate::trace::Suspicion;

/// What was seen, and what is needed to see more.
#[derive(Debug, Default)]
pub(super) struct Watch {
    pub(super) suspicions: Vec<Suspicion>,
    /// By address: the strioctl the kernel wrote back there, when that changed its length.
    written_back: BTreeMap<u64, Strioctl>,
}

impl Watch {
    /// Notes a strioctl that was written back.
    pub(super) fn answered(&mut self, address: u64, asked: Strioctl, answered: Strioctl) {
        if asked.len != answered.len {
            self.written_back.insert(address, answered);
        } else {
            self.written_back.remove(&address);
        }
    }
}

impl Kernel {
    /// Looks at a call before it is carried out.
    pub(super) fn watch_call(&mut self, memory: &dyn Memory, call: &Call) {
        if let Call::Dup { place, .. } = *call
            && let Some(onto) = self.taken(place)
        {
            self.watch_close(onto);
        }
        match *call {
            Call::Open { flags, .. } if flags & abi::O_CLOEXEC == 0 => {
                self.suspect(2, "an open without O_CLOEXEC")
            }
            Call::Socket { close_on_exec: false, .. } => self.suspect(2, "a socket without close-on-exec"),
            Call::Dup { close_on_exec: false, .. } => self.suspect(2, "a duplicate without close-on-exec"),
            Call::Fcntl { command: abi::F_DUPFD, .. } => self.suspect(2, "a duplicate without close-on-exec"),
            Call::Fcntl { fd, command: abi::F_SETFD, argument: 0 } if self.stream_of(fd).is_ok() => {
                self.suspect(2, "close-on-exec taken off");
            }
            Call::Ioctl { request, argument, .. } => self.watch_ioctl(memory, request, argument),
            Call::Close { fd } => self.watch_close(fd),
            _ => {}
        }
    }

    fn watch_ioctl(&mut self, memory: &dyn Memory, request: u32, argument: u64) {
        match request {
            abi::I_PUNLINK => {
                self.suspect(5, "I_PUNLINK was used");
                self.watch_muxid(argument as i32);
            }
            abi::I_UNLINK => self.watch_muxid(argument as i32),
            abi::I_STR => {
                let passed = Strioctl::copy_in(memory, argument).ok();
                if passed.is_some() && passed.as_ref() == self.watch.written_back.get(&argument) {
                    self.suspect(6, "a strioctl that was written back is passed again unchanged");
                }
            }
            _ => {}
        }
    }

    fn watch_muxid(&mut self, muxid: i32) {
        if muxid <= 0 {
            self.suspect(5, &format!("unlinking mux id {muxid}"));
        }
    }

    /// The control stream must go last: its PPA's other streams, linked or not, are to be gone by then.
    fn watch_close(&mut self, fd: i32) {
        let Ok(file) = self.files.file(fd) else { return };
        let (stream, last) = (file.stream, file.references == 1);
        if last && self.has_dependants(stream) {
            self.suspect(7, "the control stream is closed while streams are attached to its PPA");
        }
    }

    fn has_dependants(&self, control: StreamId) -> bool {
        let Ok(stream) = self.stream(control) else { return false };
        let named = |id: &StreamId| self.stream(*id).is_ok_and(|stream| stream.interface.is_some());
        match (stream.driver, stream.dl.control, stream.dl.ppa) {
            (Driver::Tap | Driver::Tun, true, Some(ppa)) => self.protocol_streams(ppa).iter().any(named),
            _ => false,
        }
    }

    pub(super) fn suspect(&mut self, invariant: u8, what: &str) {
        self.watch.suspicions.push(Suspicion { invariant, call: self.calls, what: what.to_owned() });
    }
}
