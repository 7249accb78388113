//! Descriptors and open files: open, socket, dup and fcntl; then close(2) in every order, and the end of the process.

use std::collections::BTreeMap;

use crate::abi::{self, Errno, O_CLOEXEC};
use crate::call::{Call, Outcome, Stop, Sys};
use crate::kernel::Kernel;
use crate::kernel::datalink::is_datalink;
use crate::kernel::interface::Family;
use crate::kernel::sleep::lost_answer;
use crate::kernel::stream::{Driver, Module, Stream, StreamId};
use crate::memory::{Arena, Memory, copy_in_string};

/// An open file's number inside the model.
pub(crate) type FileId = u32;

/// The lowest number a fresh process' open gives: 0, 1 and 2 are taken.
const FIRST_DESCRIPTOR: i32 = 3;

/// The number a new descriptor shall get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The lowest free one, not below the minimum.
    Lowest(i32),
    /// This one: a process around the model has already chosen it.
    At(i32),
}

/// One entry of the descriptor table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descriptor {
    pub(crate) file: FileId,
    pub(crate) close_on_exec: bool,
}

/// What an open made: shared by its duplicates and by the link that holds it.
#[derive(Clone, Debug)]
pub(crate) struct OpenFile {
    pub(crate) stream: StreamId,
    pub(crate) flags: i32,
    pub(crate) references: u32,
}

/// Descriptor table and open files of the one process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    pub(crate) descriptors: BTreeMap<i32, Descriptor>,
    pub(crate) open: BTreeMap<FileId, OpenFile>,
    last: FileId,
}

impl Files {
    /// Makes an open file with one descriptor.
    fn install(&mut self, stream: StreamId, flags: i32, place: Place) -> i32 {
        self.last += 1;
        let file = self.last;
        self.open.insert(file, OpenFile { stream, flags: flags & !O_CLOEXEC, references: 0 });
        self.add_descriptor(file, flags & O_CLOEXEC != 0, place)
    }

    /// Makes an open file that only a link refers to: its process has closed it.
    pub(crate) fn install_foreign(&mut self, stream: StreamId) -> FileId {
        self.last += 1;
        self.open.insert(self.last, OpenFile { stream, flags: 0, references: 1 });
        self.last
    }

    /// Adds a descriptor, and so a reference, to an open file.
    fn add_descriptor(&mut self, file: FileId, close_on_exec: bool, place: Place) -> i32 {
        let fd = match place {
            Place::At(fd) => fd,
            Place::Lowest(minimum) => self.lowest_free(minimum),
        };
        self.descriptors.insert(fd, Descriptor { file, close_on_exec });
        self.add_reference(file);
        fd
    }

    pub(crate) fn add_reference(&mut self, file: FileId) {
        if let Some(open) = self.open.get_mut(&file) {
            open.references += 1;
        }
    }

    /// Drops a reference; the stream comes back when it was the last one.
    pub(crate) fn drop_reference(&mut self, file: FileId) -> Option<StreamId> {
        let open = self.open.get_mut(&file)?;
        open.references -= 1;
        if open.references > 0 {
            return None;
        }
        self.open.remove(&file).map(|open| open.stream)
    }

    pub(crate) fn descriptor(&self, fd: i32) -> Result<Descriptor, Errno> {
        self.descriptors.get(&fd).copied().ok_or(Errno::EBADF)
    }

    pub(crate) fn file(&self, fd: i32) -> Result<&OpenFile, Errno> {
        self.open.get(&self.descriptor(fd)?.file).ok_or(Errno::EBADF)
    }

    pub(crate) fn file_mut(&mut self, fd: i32) -> Result<&mut OpenFile, Errno> {
        let file = self.descriptor(fd)?.file;
        self.open.get_mut(&file).ok_or(Errno::EBADF)
    }

    fn lowest_free(&self, minimum: i32) -> i32 {
        let first = minimum.max(FIRST_DESCRIPTOR);
        (first..).find(|fd| !self.descriptors.contains_key(fd)).unwrap_or(first)
    }
}

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
        let flags = abi::O_RDWR | if close_on_exec { O_CLOEXEC } else { 0 };
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

impl Kernel {
    pub(super) fn close(&mut self, fd: i32) -> Sys {
        let file = self.files.descriptor(fd)?.file;
        self.files.descriptors.remove(&fd);
        if let Some(stream) = self.files.drop_reference(file) {
            self.close_stream(stream)?;
        }
        Ok(0)
    }

    /// Ends the process: every descriptor is closed, in ascending order.
    pub fn exit(&mut self) -> Vec<Outcome> {
        let fds: Vec<i32> = self.files.descriptors.keys().copied().collect();
        fds.into_iter().map(|fd| self.call(&mut Arena::new(), Call::Close { fd })).collect()
    }

    /// Closes a stream nobody refers to any more: links first, then the modules from the top, then the driver.
    pub(super) fn close_stream(&mut self, id: StreamId) -> Sys<()> {
        self.close_links(id)?;
        while let Some(&module) = self.stream(id)?.modules.first() {
            self.close_module(id, module)?;
            self.stream_mut(id)?.modules.remove(0);
        }
        if self.stream(id)?.driver.is_tuntap() {
            self.close_tuntap(id);
        }
        if self.stream(id)?.driver.is_datalink() {
            self.close_datalink(id);
        }
        self.streams.remove(&id);
        Ok(())
    }

    fn close_links(&mut self, upper: StreamId) -> Sys<()> {
        while let Some(link) = self.newest_link_of(upper) {
            if !self.settings.privileges.sys_ip_config {
                let errno = Errno::EPERM.0;
                self.log(format!(
                    "KERNEL: munlink: could not perform unlink ioctl, closing anyway ({errno})"
                ));
            }
            match self.remove_link(link.id, link.lower) {
                Err(Stop::Asleep(ticket)) => {
                    self.sleepers.set_closing(ticket, upper);
                    return Err(Stop::Asleep(ticket));
                }
                other => other?,
            };
        }
        Ok(())
    }

    /// What a module does when it is popped or its stream closed.
    pub(super) fn close_module(&mut self, id: StreamId, module: Module) -> Sys<()> {
        match module {
            Module::Ip => {
                self.wait_to_take_away(id)?;
                self.note_closing(id, true);
                self.remove_interface_of(id);
                self.unbind_now(id);
            }
            Module::Arp => {
                self.wait_to_take_away(id)?;
                self.note_closing(id, false);
                self.leave_interface(id);
            }
            Module::StuckIp => return Err(lost_answer(false, None)),
            Module::Dummy => {}
            // What it held back is lost.
            Module::Bufmod => drop(self.stream_mut(id)?.bufmods.remove(0)),
        }
        Ok(())
    }

    /// The interface goes on without its ARP stream: it no longer answers for its addresses.
    fn leave_interface(&mut self, arp: StreamId) {
        let Ok(stream) = self.stream_mut(arp) else { return };
        let Some(interface) = stream.interface.take() else { return };
        self.unbind_now(arp);
        if let Some(interface) = self.interfaces.get_mut(&interface) {
            interface.arp_stream = None;
            interface.arp_muxid = 0;
        }
    }
}
