//! The tuntap driver: its PPA table and its ioctls.

use crate::abi::{self, Errno};
use crate::call::Sys;
use crate::kernel::stream::{DlState, StreamId};
use crate::kernel::{Kernel, Tuntap};

/// PPAs the driver's table has room for; its own range check is one too wide.
pub(super) const PPA_COUNT: usize = 20;

/// What the stream head's read side holds once a stream controls a PPA (`TUN_SO_HIWAT`).
pub(super) const CONTROL_HIGH_WATER: usize = 1 << 20;

/// One PPA: it lives as long as its control stream.
#[derive(Clone, Debug)]
pub(super) struct Ppa {
    pub(super) control: StreamId,
    pub(super) mac: [u8; 6],
}

/// The driver's table.
#[derive(Clone, Debug, Default)]
pub(super) struct Ppas([Option<Ppa>; PPA_COUNT]);

impl Ppas {
    pub(super) fn get(&self, ppa: usize) -> Option<&Ppa> {
        self.0.get(ppa)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, ppa: usize) -> Option<&mut Ppa> {
        self.0.get_mut(ppa)?.as_mut()
    }

    pub(super) fn taken(&self) -> Vec<usize> {
        (0..PPA_COUNT).filter(|&ppa| self.get(ppa).is_some()).collect()
    }

    pub(super) fn free(&mut self, ppa: usize) {
        if let Some(entry) = self.0.get_mut(ppa) {
            *entry = None;
        }
    }
}

/// The argument of an ioctl as the driver finds it.
#[derive(Clone, Debug)]
pub(super) enum Argument {
    /// The data block of an `I_STR`.
    Block(Vec<u8>),
    /// A transparent ioctl: the argument's value itself.
    Value(u64),
}

impl Kernel {
    pub(super) fn tuntap_ioctl(&mut self, id: StreamId, request: u32, argument: &Argument) -> Sys {
        match request {
            abi::TUNNEWPPA => {
                let wanted = self.int_argument("TUNNEWPPA", argument);
                self.new_ppa(id, wanted)
            }
            abi::TUNSETPPA => {
                let wanted = self.int_argument("TUNSETPPA", argument);
                self.set_ppa(id, wanted)
            }
            abi::TUNGETPPA if self.settings.tuntap == Tuntap::V1_3_3 => Err(Errno::EINVAL.into()),
            abi::TUNGETPPA => Ok(self.stream(id)?.dl.ppa.ok_or(Errno::ENODEV)? as i64),
            abi::DLIOCRAW => {
                self.stream_mut(id)?.dl.raw = true;
                Ok(0)
            }
            _ => Err(Errno::EINVAL.into()),
        }
    }

    /// The int the driver reads without looking how much there is to read.
    fn int_argument(&self, request: &str, argument: &Argument) -> i32 {
        match argument {
            Argument::Value(value) => *value as i32,
            Argument::Block(block) => match <[u8; 4]>::try_from(block.as_slice()) {
                Ok(bytes) => i32::from_le_bytes(bytes),
                Err(_) => self.crash(&format!(
                    "{request} with ic_len {}: the driver reads an int from the data block, whatever its size",
                    block.len()
                )),
            },
        }
    }

    pub(super) fn new_ppa(&mut self, id: StreamId, wanted: i32) -> Sys {
        let second = self.stream(id)?.dl.control;
        if second {
            self.suspect(6, "a second TUNNEWPPA on one stream");
        }
        if wanted == PPA_COUNT as i32 {
            self.crash("PPA 20 passes the driver's range check and lies outside its table of 20");
        }
        let ppa = match wanted {
            -1 => (0..PPA_COUNT).find(|&ppa| self.ppas.get(ppa).is_none()).ok_or(Errno::ENOMEM)?,
            0..20 => wanted as usize,
            _ => return Err(Errno::EINVAL.into()),
        };
        if self.ppas.get(ppa).is_some() {
            return Err(Errno::EEXIST.into());
        }
        if second {
            self.crash("a second TUNNEWPPA on one stream leaks the first PPA and leaves it pointing at a freed queue");
        }
        self.ppas.0[ppa] = Some(Ppa { control: id, mac: self.settings.mac });
        let stream = self.stream_mut(id)?;
        stream.dl.control = true;
        stream.dl.ppa = Some(ppa);
        stream.high_water = CONTROL_HIGH_WATER;
        Ok(ppa as i64)
    }

    fn set_ppa(&mut self, id: StreamId, wanted: i32) -> Sys {
        if !(0..=PPA_COUNT as i32).contains(&wanted) {
            return Err(Errno::EINVAL.into());
        }
        let ppa = wanted as usize;
        if ppa == PPA_COUNT {
            self.crash(
                "TUNSETPPA of PPA 20 passes the driver's range check and reads beyond its table of 20",
            );
        }
        if self.ppas.get(ppa).is_none() {
            return Err(Errno::ENODEV.into());
        }
        let stream = self.stream_mut(id)?;
        if stream.dl.ppa.is_some() {
            self.crash(
                "a second TUNSETPPA, or one on a control stream, corrupts the driver's list of streams",
            );
        }
        stream.dl.ppa = Some(ppa);
        Ok(ppa as i64)
    }

    /// The streams attached to a PPA beside its control stream, in the order they were opened.
    pub(super) fn protocol_streams(&self, ppa: usize) -> Vec<StreamId> {
        let attached = |id: &StreamId| {
            self.streams.get(id).is_some_and(|stream| stream.dl.ppa == Some(ppa) && !stream.dl.control)
        };
        self.streams.keys().copied().filter(attached).collect()
    }

    /// The driver's close of a stream. A control stream takes its PPA along: the write queues of its protocol streams
    /// are flushed, requests to the driver included, and they are left without a PPA.
    pub(super) fn close_tuntap(&mut self, id: StreamId) {
        let Ok(stream) = self.stream(id) else { return };
        let (Some(ppa), true) = (stream.dl.ppa, stream.dl.control) else { return };
        let orphans = self.protocol_streams(ppa);
        self.flush_requests(&orphans);
        for orphan in orphans {
            if let Ok(stream) = self.stream_mut(orphan) {
                stream.dl.ppa = None;
                stream.dl.state = DlState::Unattached;
                stream.dl.sap = 0;
            }
        }
        self.ppas.free(ppa);
    }
}
