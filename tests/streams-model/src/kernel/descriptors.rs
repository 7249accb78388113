//! open, socket, dup and fcntl.

use crate::abi::{self, Errno};
use crate::call::Sys;
use crate::kernel::Kernel;
use crate::kernel::datalink::is_datalink;
use crate::kernel::files::Place;
use crate::kernel::interface::Family;
use crate::kernel::stream::{Driver, Stream, StreamId};
use crate::memory::{Memory, copy_in_string};

/// Longest path the kernel takes (`MAXPATHLEN`).
pub(super) const PATH_LIMIT: usize = 1024;

/// The flags `F_SETFL` can set; the access mode stays.
const SETTABLE: i32 = !0x3;

impl Kernel {
    pub(super) fn open(&mut self, memory: &dyn Memory, path: u64, flags: i32, place: Place) -> Sys {
        let path = copy_in_string(memory, path, PATH_LIMIT)?;
        if is_datalink(&path) {
            return self.open_link(&path, flags, place);
        }
        let driver = Driver::of_path(&path).ok_or(Errno::ENOENT)?;
        if self.settings.missing.contains(&driver) {
            return Err(Errno::ENOENT.into());
        }
        if driver.is_tuntap() && !self.settings.privileges.open_tap {
            return Err(Errno::EACCES.into());
        }
        self.make_descriptor(driver, flags, place)
    }

    pub(super) fn socket(&mut self, family: Family, close_on_exec: bool, place: Place) -> Sys {
        let flags = abi::O_RDWR | if close_on_exec { abi::O_CLOEXEC } else { 0 };
        self.make_descriptor(Driver::Socket(family), flags, place)
    }

    fn make_descriptor(&mut self, driver: Driver, flags: i32, place: Place) -> Sys {
        self.check_descriptor_limit()?;
        let stream = self.add_stream(driver);
        Ok(i64::from(self.files.install(stream, flags, place)))
    }

    fn open_link(&mut self, path: &[u8], flags: i32, place: Place) -> Sys {
        let datalink = self.open_datalink(path)?;
        let driver = Driver::of_class(datalink.class());
        if self.settings.missing.contains(&driver) {
            return Err(Errno::ENOENT.into());
        }
        self.check_descriptor_limit()?;
        let id = self.add_stream(driver);
        self.stream_mut(id)?.datalink = Some(Box::new(datalink));
        Ok(i64::from(self.files.install(id, flags, place)))
    }

    pub(super) fn add_stream(&mut self, driver: Driver) -> StreamId {
        self.last_stream += 1;
        self.streams.insert(self.last_stream, Stream::new(driver));
        self.last_stream
    }

    fn check_descriptor_limit(&self) -> Result<(), Errno> {
        if self.files.descriptors.len() < self.settings.descriptor_limit {
            Ok(())
        } else {
            Err(Errno::EMFILE)
        }
    }

    pub(super) fn duplicate(&mut self, fd: i32, close_on_exec: bool, place: Place) -> Sys {
        let file = self.files.descriptor(fd)?.file;
        match self.taken(place) {
            Some(onto) => self.close(onto).map(drop)?,
            None => self.check_descriptor_limit()?,
        }
        Ok(i64::from(self.files.add_descriptor(file, close_on_exec, place)))
    }

    /// The descriptor that a duplicate takes the place of.
    pub(super) fn taken(&self, place: Place) -> Option<i32> {
        match place {
            Place::At(onto) if self.files.descriptors.contains_key(&onto) => Some(onto),
            _ => None,
        }
    }

    pub(super) fn fcntl(&mut self, fd: i32, command: i32, argument: i64) -> Sys {
        let descriptor = self.files.descriptor(fd)?;
        match command {
            abi::F_GETFD => Ok(i64::from(if descriptor.close_on_exec { abi::FD_CLOEXEC } else { 0 })),
            abi::F_SETFD => {
                let close_on_exec = argument & i64::from(abi::FD_CLOEXEC) != 0;
                self.files.descriptors.entry(fd).and_modify(|entry| entry.close_on_exec = close_on_exec);
                Ok(0)
            }
            abi::F_GETFL => Ok(i64::from(self.files.file(fd)?.flags)),
            abi::F_SETFL => {
                let file = self.files.file_mut(fd)?;
                file.flags = (file.flags & !SETTABLE) | (argument as i32 & SETTABLE);
                Ok(0)
            }
            abi::F_DUPFD => self.duplicate(fd, false, Place::Lowest(argument as i32)),
            abi::F_DUPFD_CLOEXEC => self.duplicate(fd, true, Place::Lowest(argument as i32)),
            _ => Err(Errno::EINVAL.into()),
        }
    }

    /// Whether reads on the descriptor return instead of sleeping.
    pub(super) fn is_nonblocking(&self, fd: i32) -> Result<bool, Errno> {
        Ok(self.files.file(fd)?.flags & (abi::O_NONBLOCK | abi::O_NDELAY) != 0)
    }

    /// The stream behind a descriptor.
    pub(super) fn stream_of(&self, fd: i32) -> Result<StreamId, Errno> {
        Ok(self.files.file(fd)?.stream)
    }

    /// The stream behind a descriptor, when it is one that is not linked below a multiplexor.
    pub(super) fn free_stream_of(&self, fd: i32) -> Result<StreamId, Errno> {
        let id = self.stream_of(fd)?;
        let stream = self.stream(id)?;
        if stream.linked {
            return Err(Errno::EINVAL);
        }
        Ok(id)
    }
}
