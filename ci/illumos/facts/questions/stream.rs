//! The system calls on a stream. No link is undone but by its own number.

// UNSAFETY: ioctl(2), getmsg(2) and putmsg(2) take pointers to structures that point at buffers.
#![expect(unsafe_code, reason = "STREAMS have no safe form")]

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::stat::Mode;

use super::abi::{self, FMNAMESZ, LifReq, Request, StrBuf, StrIoctl, StrList};

pub(crate) type Answer = Result<c_int, Errno>;

/// Seconds a driver may take.
const ANSWER_SECONDS: c_int = 5;
/// More than any stream has of modules.
const LONGEST_STREAM: usize = 16;

/// An open stream; closed when dropped.
#[derive(Debug)]
pub(crate) struct Stream(pub(crate) OwnedFd);

/// What getmsg(2) took: what it returned, whether it was of high priority, and the parts that were there.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) more: c_int,
    pub(crate) urgent: bool,
    pub(crate) control: Option<Vec<u8>>,
    pub(crate) data: Option<Vec<u8>>,
}

// SAFETY: the prototypes of getmsg(2) and putmsg(2), `stropts.h`.
unsafe extern "C" {
    fn getmsg(fd: c_int, control: *mut StrBuf, data: *mut StrBuf, flags: *mut c_int) -> c_int;
    fn putmsg(fd: c_int, control: *const StrBuf, data: *const StrBuf, flags: c_int) -> c_int;
}

impl Stream {
    /// Opens a device; no call on it waits for data.
    pub(crate) fn open(node: &str) -> Result<Self, Errno> {
        let stream = Self(nix::fcntl::open(node, OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?);
        let flags = OFlag::from_bits_retain(fcntl(&stream.0, FcntlArg::F_GETFL)?);
        fcntl(&stream.0, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        Ok(stream)
    }

    /// A request whose argument is a number.
    fn by_value(&self, request: c_int, argument: c_int) -> Answer {
        // SAFETY: the requests this is called with take a number, and no pointer.
        Errno::result(unsafe { libc::ioctl(self.0.as_raw_fd(), request as _, libc::c_long::from(argument)) })
    }

    /// A request whose argument points at what it reads and writes.
    fn by_pointer<T>(&self, request: c_int, argument: &mut T) -> Answer {
        // SAFETY: the callers pair each request with its structure, `T`, lent exclusively for the call; what that points at
        // is theirs for as long.
        Errno::result(unsafe { libc::ioctl(self.0.as_raw_fd(), request as _, ptr::from_mut(argument)) })
    }

    pub(crate) fn push(&self, module: &str) -> Answer {
        let mut name = [0_u8; FMNAMESZ + 1];
        name[..module.len()].copy_from_slice(module.as_bytes());
        self.by_pointer(code(abi::I_PUSH), &mut name)
    }

    pub(crate) fn pop(&self) -> Answer {
        self.by_value(code(abi::I_POP), 0)
    }

    pub(crate) fn set_read_options(&self, options: c_int) -> Answer {
        self.by_value(code(abi::I_SRDOPT), options)
    }

    /// `I_GRDOPT`
    pub(crate) fn read_options(&self) -> Answer {
        const I_GRDOPT: c_int = 0x5307;
        let mut options: c_int = -1;
        self.by_pointer(I_GRDOPT, &mut options).and(Ok(options))
    }

    /// The modules from the top, then the driver. `I_LIST`
    pub(crate) fn list(&self) -> Result<Vec<String>, Errno> {
        let mut names = [[0; FMNAMESZ + 1]; LONGEST_STREAM];
        let mut list = StrList { sl_nmods: LONGEST_STREAM as c_int, sl_modlist: names.as_mut_ptr() };
        self.by_pointer(code(abi::I_LIST), &mut list)?;
        let filled = usize::try_from(list.sl_nmods).unwrap_or(0).min(LONGEST_STREAM);
        let text = |name: &[u8; FMNAMESZ + 1]| {
            String::from_utf8_lossy(name.split(|byte| *byte == 0).next().unwrap_or(name)).into_owned()
        };
        Ok(names[..filled].iter().map(text).collect())
    }

    pub(crate) fn link(&self, lower: &Self) -> Answer {
        self.by_value(code(abi::I_LINK), lower.0.as_raw_fd())
    }

    /// # Panics
    /// For a number that would mean all links.
    pub(crate) fn unlink(&self, id: c_int) -> Answer {
        assert!(id > 0, "no number of one link: {id}");
        self.by_value(code(abi::I_UNLINK), id)
    }

    /// `I_PUNLINK`
    ///
    /// # Panics
    /// For a number that would mean all links: on udp, the whole IPv4 configuration of the machine.
    pub(crate) fn unlink_persistent(&self, id: c_int) -> Answer {
        assert!(id > 0, "no number of one link: {id}");
        self.by_value(code(abi::I_PUNLINK), id)
    }

    /// Asks for a number by `I_STR`; also tells the length and the number that were written back.
    pub(crate) fn ask_int(&self, command: c_int, mut argument: c_int) -> (Answer, c_int, c_int) {
        let mut block = block(command, &mut argument);
        let answer = self.by_pointer(code(abi::I_STR), &mut block);
        let length = block.ic_len;
        (answer, length, argument)
    }

    pub(crate) fn ppa(&self) -> Answer {
        self.ask_int(code(abi::TUNGETPPA), 0).0
    }

    /// A request that the tap driver has not.
    pub(crate) fn unknown_request(&self) -> Answer {
        const NONE: c_int = 0x0054_0063;
        self.ask_int(NONE, 0).0
    }

    /// An interface request, directly.
    pub(crate) fn ask_ip(&self, request: Request, argument: &mut LifReq) -> Answer {
        self.by_pointer(code(request), argument)
    }

    /// A request by `I_STR`, with its structure: the arp module wants an interface request so.
    pub(crate) fn ask_module<T>(&self, request: Request, argument: &mut T) -> Answer {
        let mut block = block(code(request), argument);
        self.by_pointer(code(abi::I_STR), &mut block)
    }

    /// One read with room for `room` bytes.
    pub(crate) fn read(&self, room: usize) -> Result<Vec<u8>, Errno> {
        let mut buffer = vec![0; room];
        let len = nix::unistd::read(&self.0, &mut buffer)?;
        buffer.truncate(len);
        Ok(buffer)
    }

    pub(crate) fn write(&self, frame: &[u8]) -> Result<usize, Errno> {
        nix::unistd::write(&self.0, frame)
    }

    pub(crate) fn write_slices(&self, slices: &[&[u8]]) -> Result<usize, Errno> {
        let slices: Vec<_> = slices.iter().map(|slice| std::io::IoSlice::new(slice)).collect();
        nix::sys::uio::writev(&self.0, &slices)
    }

    /// What is ready, without waiting, in words.
    pub(crate) fn ready(&self) -> String {
        const BITS: [(PollFlags, &str); 6] = [
            (PollFlags::POLLIN, "IN"),
            (PollFlags::POLLPRI, "PRI"),
            (PollFlags::POLLOUT, "OUT"),
            (PollFlags::POLLERR, "ERR"),
            (PollFlags::POLLHUP, "HUP"),
            (PollFlags::POLLNVAL, "NVAL"),
        ];
        let asked = PollFlags::POLLIN | PollFlags::POLLPRI | PollFlags::POLLOUT;
        let mut entries = [PollFd::new(self.0.as_fd(), asked)];
        if let Err(errno) = nix::poll::poll(&mut entries, PollTimeout::ZERO) {
            return format!("{errno:?}");
        }
        let found = entries[0].revents().unwrap_or(PollFlags::empty());
        let words = BITS.iter().filter(|(bit, _)| found.contains(*bit)).map(|(_, word)| *word);
        words.collect::<Vec<_>>().join(" ")
    }

    /// Waits until one of these is ready, at most as long as a driver may take.
    pub(crate) fn wait(&self, events: PollFlags) -> Result<(), Errno> {
        let mut entries = [PollFd::new(self.0.as_fd(), events)];
        nix::poll::poll(&mut entries, PollTimeout::from(1000 * ANSWER_SECONDS as u16)).map(drop)
    }

    /// Takes a message with room for `control` and `data` bytes.
    pub(crate) fn get_message(&self, control: usize, data: usize) -> Result<Message, Errno> {
        let (mut control, mut data) = (vec![0; control], vec![0; data]);
        let (mut control_part, mut data_part) = (part(&mut control), part(&mut data));
        let mut flags = 0;
        let fd = self.0.as_raw_fd();
        // SAFETY: both parts are `StrBuf`s of this function, whose `buf` points at `maxlen` bytes of the vectors above;
        // `flags` is an int of this function. The kernel writes within those until the call returns.
        let more = unsafe { getmsg(fd, &raw mut control_part, &raw mut data_part, &raw mut flags) };
        let more = Errno::result(more)?;
        let taken = |part: StrBuf, mut bytes: Vec<u8>| {
            bytes.truncate(usize::try_from(part.len).ok()?);
            Some(bytes)
        };
        let urgent = flags == abi::RS_HIPRI;
        Ok(Message { more, urgent, control: taken(control_part, control), data: taken(data_part, data) })
    }

    /// Sends a message, with a data part or without.
    pub(crate) fn put_message(&self, control: &mut [u8], data: Option<&mut [u8]>) -> Answer {
        self.put(control, data, 0)
    }

    /// Sends a message of high priority, which has no data part.
    pub(crate) fn put_urgent(&self, control: &mut [u8]) -> Answer {
        self.put(control, None, abi::RS_HIPRI)
    }

    fn put(&self, control: &mut [u8], data: Option<&mut [u8]>, flags: c_int) -> Answer {
        let control_part = part(control);
        let data_part = data.map(part);
        let data_part = data_part.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: the parts are `StrBuf`s of this function, whose `buf` points at `len` bytes lent by the caller; the
        // kernel reads both until the call returns. No data part is a null pointer.
        Errno::result(unsafe { putmsg(self.0.as_raw_fd(), &raw const control_part, data_part, flags) })
    }
}

pub(crate) fn code(request: Request) -> c_int {
    request.code.cast_signed()
}

fn block<T>(command: c_int, argument: &mut T) -> StrIoctl {
    StrIoctl {
        ic_cmd: command,
        ic_timout: ANSWER_SECONDS,
        ic_len: size_of::<T>() as c_int,
        ic_dp: ptr::from_mut(argument).cast(),
    }
}

fn part(bytes: &mut [u8]) -> StrBuf {
    StrBuf { maxlen: bytes.len() as c_int, len: bytes.len() as c_int, buf: bytes.as_mut_ptr().cast() }
}
