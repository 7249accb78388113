//! Descriptors and open files.

use std::collections::BTreeMap;

use crate::abi::{Errno, O_CLOEXEC};
use crate::kernel::stream::StreamId;

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
    pub(crate) fn install(&mut self, stream: StreamId, flags: i32, place: Place) -> i32 {
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
    pub(crate) fn add_descriptor(&mut self, file: FileId, close_on_exec: bool, place: Place) -> i32 {
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
