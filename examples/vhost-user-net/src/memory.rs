//! The guest's memory, as the hypervisor shares it.
#![expect(unsafe_code, reason = "memory of another process is mapped")]
// UNSAFETY: mmap and munmap of mappings that one value owns; nobody gets a reference into them.

use std::io;
use std::os::fd::OwnedFd;
use std::ptr::null_mut;

use rustix::fs::{FileType, fstat};
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use tap_plumb::RawSlice;
use thiserror::Error;

use crate::lost::Watch;

/// The most regions that vhost-user has without a further agreement.
pub const MOST_REGIONS: usize = 8;

/// Why memory cannot be used.
#[derive(Debug, Error)]
pub enum MemoryError {
    /// A region is empty, wraps around, or overlaps another one.
    #[error("a region of {len} bytes at {guest:#x} is empty, wraps around, or overlaps another")]
    Layout {
        /// Its address in the guest.
        guest: u64,
        /// Its length.
        len: u64,
    },
    /// The descriptor is no file. Memory that no file backs may vanish or block.
    #[error("the memory's descriptor is not a file")]
    NotAFile,
    /// The file ends before the region does.
    #[error("the memory's file has {size} bytes, of which the region needs {needed}")]
    Short {
        /// The file's length.
        size: u64,
        /// Where the region ends in it.
        needed: u64,
    },
    /// It could not be mapped.
    #[error("mapping the guest's memory: {0}")]
    Map(#[source] io::Error),
}

/// One region, as the hypervisor describes it.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// Its address in the guest.
    pub guest: u64,
    /// Its length.
    pub len: u64,
    /// Its address in the hypervisor, by which rings are told.
    pub user: u64,
    /// Where it begins in the file.
    pub offset: u64,
}

#[derive(Debug)]
struct Region {
    guest: u64,
    user: u64,
    len: usize,
    /// Its first byte; lies in `_mapping`.
    start: *mut u8,
    mapping: Mapping,
}

/// A mapping, unmapped when dropped.
#[derive(Debug)]
struct Mapping {
    start: *mut u8,
    len: usize,
    /// Ends before the memory is unmapped.
    watch: Option<Watch>,
}

/// The guest's memory; reads and writes go by raw pointers, since the guest writes at any time.
#[derive(Debug, Default)]
pub struct Memory {
    regions: Vec<Region>,
}

// SAFETY: the pointers lead to a shared mapping that the value owns until it is dropped. All accesses are volatile, atomic,
// or the kernel's, and may come from any thread.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// Maps the regions, each from its file.
    ///
    /// # Errors
    /// [`MemoryError`]; then nothing stays mapped.
    pub fn map(regions: Vec<(Description, OwnedFd)>) -> Result<Self, MemoryError> {
        let mut memory = Self::default();
        for (description, file) in regions {
            let len = memory.admit(&description)?;
            let (mapping, start) = Mapping::of_file(&file, description.offset, len)?;
            let Description { guest, user, .. } = description;
            memory.regions.push(Region { guest, user, len, start, mapping });
        }
        Ok(memory)
    }

    /// Memory of nobody else, as guest address and length: for a driver in this process.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub fn anonymous(ranges: &[(u64, usize)]) -> Result<Self, MemoryError> {
        let mut memory = Self::default();
        for &(guest, len) in ranges {
            let len = memory.admit(&Description { guest, len: len as u64, user: guest, offset: 0 })?;
            let mapping = Mapping::anonymous(len)?;
            memory.regions.push(Region { guest, user: guest, len, start: mapping.start, mapping });
        }
        Ok(memory)
    }

    /// Whether a region may be added; its length.
    fn admit(&self, new: &Description) -> Result<usize, MemoryError> {
        let wrong = MemoryError::Layout { guest: new.guest, len: new.len };
        let fits = |at: u64| at.checked_add(new.len).is_some();
        let apart = |a: u64, b: u64, len: usize| a.saturating_add(new.len) <= b || b + len as u64 <= a;
        let good = new.len > 0
            && [new.guest, new.user, new.offset].iter().all(|at| fits(*at))
            && self
                .regions
                .iter()
                .all(|old| apart(new.guest, old.guest, old.len) && apart(new.user, old.user, old.len));
        match isize::try_from(new.len) {
            Ok(len) if good => Ok(len.unsigned_abs()),
            _ => Err(wrong),
        }
    }

    /// Where `len` bytes at `guest` lie, if they lie in one region.
    #[must_use]
    #[inline]
    pub fn find(&self, guest: u64, len: usize) -> Option<*mut u8> {
        let (start, whole) = self.run(guest)?;
        (whole >= len).then_some(start)
    }

    /// Where the byte at `guest` lies, and how many there are from it to the end of its region.
    #[inline]
    fn run(&self, guest: u64) -> Option<(*mut u8, usize)> {
        for region in &self.regions {
            let at = guest.wrapping_sub(region.guest);
            if at < region.len as u64 {
                // Less than the length, so it is an offset inside the mapping.
                return Some((region.start.wrapping_add(at as usize), region.len - at as usize));
            }
        }
        None
    }

    /// Gives `take` the slices in which `len` bytes at `guest` lie; they may go on from one region to the next. `false` when
    /// a part of them is nowhere.
    #[inline]
    pub fn slices(&self, mut guest: u64, mut len: usize, mut take: impl FnMut(RawSlice)) -> bool {
        while len > 0 {
            let Some((start, whole)) = self.run(guest) else { return false };
            let part = len.min(whole);
            take(RawSlice::new(start, part));
            len -= part;
            let Some(next) = guest.checked_add(part as u64) else { return len == 0 };
            guest = next;
        }
        true
    }

    /// Where `len` bytes lie that the hypervisor has at `user`, if in one region.
    #[must_use]
    pub fn find_user(&self, user: u64, len: usize) -> Option<*mut u8> {
        self.regions.iter().find_map(|region| {
            let at = usize::try_from(user.wrapping_sub(region.user)).ok()?;
            (at < region.len && region.len - at >= len).then(|| region.start.wrapping_add(at))
        })
    }

    /// The hypervisor's address of the guest's `guest`.
    #[must_use]
    pub fn user_address(&self, guest: u64) -> Option<u64> {
        let region =
            self.regions.iter().find(|region| guest.wrapping_sub(region.guest) < region.len as u64)?;
        Some(region.user + (guest - region.guest))
    }

    /// Whether its owner has taken a part of it away; zeros are in its place.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.regions.iter().any(|region| region.mapping.watch.as_ref().is_some_and(Watch::is_lost))
    }
}

impl Mapping {
    /// Maps `len` bytes of `file` from `offset` on; gives the place of the first of them, too.
    fn of_file(file: &OwnedFd, offset: u64, len: usize) -> Result<(Self, *mut u8), MemoryError> {
        let status = fstat(file).map_err(|error| MemoryError::Map(error.into()))?;
        if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
            return Err(MemoryError::NotAFile);
        }
        let (size, needed) = (status.st_size.unsigned_abs(), offset + len as u64);
        if size < needed {
            return Err(MemoryError::Short { size, needed });
        }
        // A file of huge pages is mapped and unmapped by whole ones, and says how large they are.
        let page = (status.st_blksize.unsigned_abs() as usize).max(rustix::param::page_size());
        let before = offset % page as u64;
        let whole = (before as usize + len).next_multiple_of(page);
        let (protection, flags) =
            (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED | MapFlags::NORESERVE);
        // SAFETY: a new mapping at a place of the kernel's choice takes nothing from anybody.
        let start = unsafe { mmap(null_mut(), whole, protection, flags, file, offset - before) };
        let start = start.map_err(|error| MemoryError::Map(error.into()))?.cast::<u8>();
        let mut mapping = Self { start, len: whole, watch: None };
        mapping.watch = Some(Watch::new(start as usize, whole).map_err(MemoryError::Map)?);
        Ok((mapping, start.wrapping_add(before as usize)))
    }

    fn anonymous(len: usize) -> Result<Self, MemoryError> {
        let len = len.next_multiple_of(rustix::param::page_size());
        // SAFETY: as for a file.
        let start =
            unsafe { mmap_anonymous(null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE) };
        let start = start.map_err(|error| MemoryError::Map(error.into()))?;
        Ok(Self { start: start.cast(), len, watch: None })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.watch = None;
        // SAFETY: the whole mapping, which this value owns; the batch that used it has ended, since it borrowed the memory.
        let unmapped = unsafe { munmap(self.start.cast(), self.len) };
        if let Err(error) = unmapped {
            log::warn!("unmapping the guest's memory: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

    use super::*;

    fn file(len: u64) -> OwnedFd {
        let file = memfd_create("memory", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&file, len).unwrap();
        file
    }

    fn region(guest: u64, len: u64, user: u64, offset: u64) -> Description {
        Description { guest, len, user, offset }
    }

    #[test]
    fn finds_what_is_there_and_nothing_else() {
        let regions = vec![
            (region(0x1000, 0x2000, 0x10_0000, 0x1000), file(0x3000)),
            (region(0x3000, 0x1000, 0x20_0000, 0), file(0x1000)),
        ];
        let memory = Memory::map(regions).unwrap();
        assert!(memory.find(0x1000, 0x2000).is_some());
        for (guest, len) in [(0xfff, 1), (0x1000, 0x2001), (0x4000, 1), (u64::MAX, 1), (0x3000, usize::MAX)] {
            assert!(memory.find(guest, len).is_none(), "{guest:#x} {len}");
        }
        let mut parts = Vec::new();
        assert!(memory.slices(0x2ff0, 0x20, |slice| parts.push(slice.len())));
        assert_eq!(parts, [0x10, 0x10]);
        assert!(!memory.slices(0x2ff0, 0x2000, |_| {}));
        assert!(!memory.slices(u64::MAX - 3, 8, |_| {}));
        assert_eq!(memory.find_user(0x10_0000, 0x2000), memory.find(0x1000, 0x2000));
        assert!(memory.find_user(0x10_0001, 0x2000).is_none());
        assert_eq!(memory.user_address(0x3010), Some(0x20_0010));
    }

    #[test]
    fn refuses_regions_that_make_no_sense() {
        let alone = [
            (region(0, 0, 0, 0), 0x1000),
            (region(u64::MAX - 10, 0x1000, 0, 0), 0x1000),
            (region(0, 0x1000, u64::MAX - 10, 0), 0x1000),
            (region(0, 0x1000, 0, u64::MAX - 10), 0x1000),
            (region(0, u64::MAX, 0, 0), 0x1000),
            (region(0, 0x1001, 0, 0), 0x1000),
            (region(0, 0x1000, 0, 1), 0x1000),
        ];
        for (description, len) in alone {
            assert!(Memory::map(vec![(description, file(len))]).is_err(), "{description:?}");
        }
        let (null, _) = std::os::unix::net::UnixStream::pair().unwrap();
        let no_file = Memory::map(vec![(region(0, 1, 0, 0), null.into())]);
        assert!(matches!(no_file, Err(MemoryError::NotAFile)));
        for second in [region(0xfff, 0x1000, 0x9000, 0), region(0x9000, 0x1000, 0xfff, 0)] {
            let both = vec![(region(0, 0x1000, 0, 0), file(0x1000)), (second, file(0x1000))];
            assert!(matches!(Memory::map(both), Err(MemoryError::Layout { .. })), "{second:?}");
        }
    }

    /// Row V5.
    #[test]
    fn memory_that_is_taken_away_becomes_zeros_and_is_noted() {
        let file = file(0x4000);
        let shared = file.try_clone().unwrap();
        let memory = Memory::map(vec![(region(0, 0x4000, 0, 0), shared)]).unwrap();
        let at = memory.find(0x2000, 1).unwrap();
        // SAFETY: one byte of the mapping, which `memory` keeps.
        unsafe { at.write_volatile(7) };
        assert!(!memory.is_lost());
        ftruncate(&file, 0x1000).unwrap();
        // SAFETY: as above.
        assert_eq!(unsafe { at.read_volatile() }, 0);
        assert!(memory.is_lost());
    }
}
