//! Descriptors that somebody else opened.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::socket::sockopt::SockType as SocketType;
use nix::sys::socket::{AddressFamily, SockType, SockaddrLike, SockaddrStorage, getpeername, getsockopt};
use nix::sys::stat::{SFlag, fstat};

use super::super::sys::Interface;
use super::Kind;
use crate::attach::{AdoptError, Config};

/// Finds out what `fd` is and makes it keep the promises of a TAP. One of them is a number above the standard streams, since
/// what somebody prints must not go out as a frame. What is refused keeps its number.
pub(super) fn adopt(fd: OwnedFd, config: &Config) -> Result<Interface, AdoptError> {
    if fd.as_raw_fd() > 2 {
        return prepare(fd, config);
    }
    match fd.try_clone() {
        Ok(copy) => prepare(copy, config).map_err(|refused| AdoptError { fd, ..refused }),
        Err(error) => Err(Refusal::failed("a number above 2", error).give_back(fd)),
    }
}

fn prepare(fd: OwnedFd, config: &Config) -> Result<Interface, AdoptError> {
    let kind = match kind_of(fd.as_fd()) {
        Ok(kind) => kind,
        Err(refusal) => return Err(refusal.give_back(fd)),
    };
    // The flags come first, since they are easier to take back than what the system sets on an interface.
    let before = match Flags::of(fd.as_fd()).and_then(|flags| flags.prepare(fd.as_fd())) {
        Ok(before) => before,
        Err(refusal) => return Err(refusal.give_back(fd)),
    };
    let adopted = match kind {
        // Nobody but the peer can say whether headers precede the frames, so what was asked for is believed.
        Kind::Device => Interface::adopt(fd, config),
        socket => Ok(Interface::socket(fd, socket, config.offload)),
    };
    adopted.inspect_err(|refused| before.restore(refused.fd.as_fd()))
}

/// Why a descriptor is not adopted; becomes an [`AdoptError`] together with it.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) found: String,
    pub(crate) remedy: &'static str,
    pub(crate) source: Option<io::Error>,
}

impl Refusal {
    pub(crate) fn give_back(self, fd: OwnedFd) -> AdoptError {
        AdoptError { fd, found: self.found, remedy: self.remedy, source: self.source }
    }

    fn new(found: &str, remedy: &'static str) -> Self {
        Self { found: found.to_owned(), remedy, source: None }
    }

    fn failed(step: &str, source: io::Error) -> Self {
        Self { found: format!("a descriptor that refuses {step}"), remedy: "", source: Some(source) }
    }
}

/// What can carry frames at all. Which device it is, only the system can say.
fn kind_of(fd: BorrowedFd<'_>) -> Result<Kind, Refusal> {
    let status = fstat(fd).map_err(|errno| Refusal::failed("fstat", errno.into()))?;
    let found = match SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFCHR => return Ok(Kind::Device),
        SFlag::S_IFSOCK => return kind_of_socket(fd),
        SFlag::S_IFIFO => "a pipe",
        SFlag::S_IFREG => "a regular file",
        SFlag::S_IFDIR => "a directory",
        SFlag::S_IFBLK => "a block device",
        _ => "no device and no socket (an event, timer or poll descriptor)",
    };
    Err(Refusal::new(found, "a TAP's descriptor is needed"))
}

/// A socket whose peer is the other end of the cable: it must keep the borders of frames, and have a peer.
fn kind_of_socket(fd: BorrowedFd<'_>) -> Result<Kind, Refusal> {
    let kind = getsockopt(&fd, SocketType).map_err(|errno| Refusal::failed("SO_TYPE", errno.into()))?;
    match kind {
        SockType::Datagram | SockType::SeqPacket => {}
        SockType::Raw => return Err(Refusal::new("a raw socket, which has no peer", PAIR)),
        _ => return Err(Refusal::new("a socket that does not keep frames apart", "use a datagram socket")),
    }
    let family = peer_family(fd).map_err(no_peer)?;
    match family {
        None | Some(AddressFamily::Unix) => Ok(Kind::Local { ends: kind == SockType::SeqPacket }),
        Some(AddressFamily::Inet | AddressFamily::Inet6) if kind == SockType::Datagram => Ok(Kind::Internet),
        _ => Err(Refusal::new("a socket that carries no frames", PAIR)),
    }
}

const PAIR: &str = "use a datagram socket pair";

fn no_peer(source: io::Error) -> Refusal {
    let (found, remedy) = match source.raw_os_error() {
        Some(libc::ENOTCONN | libc::EINVAL) => ("a datagram socket without a peer", "connect it first"),
        Some(libc::EOPNOTSUPP) => ("a socket that can have no peer", PAIR),
        _ => return Refusal::failed("getpeername", source),
    };
    Refusal { source: Some(source), ..Refusal::new(found, remedy) }
}

/// The address family of the peer; `None` for a peer without an address, such as an end of a socket pair on some systems.
fn peer_family(fd: BorrowedFd<'_>) -> io::Result<Option<AddressFamily>> {
    match getpeername::<SockaddrStorage>(fd.as_raw_fd()) {
        Ok(peer) => Ok(peer.family()),
        // nix takes an address of no bytes for an error, the standard library for a peer without a name.
        Err(Errno::EINVAL) => UnixDatagram::from(fd.try_clone_to_owned()?).peer_addr().map(|_| None),
        Err(errno) => Err(errno.into()),
    }
}

/// The flags of a descriptor as they were handed in.
#[derive(Clone, Copy)]
struct Flags {
    status: OFlag,
    descriptor: FdFlag,
}

impl Flags {
    fn of(fd: BorrowedFd<'_>) -> Result<Self, Refusal> {
        let get = |request| fcntl(fd, request).map_err(|errno| Refusal::failed("fcntl", errno.into()));
        let status = OFlag::from_bits_retain(get(FcntlArg::F_GETFL)?);
        let descriptor = FdFlag::from_bits_retain(get(FcntlArg::F_GETFD)?);
        match status & OFlag::O_ACCMODE {
            OFlag::O_RDWR => Ok(Self { status, descriptor }),
            OFlag::O_WRONLY => Err(Refusal::new("open for writing only", "open it for reading and writing")),
            _ => Err(Refusal::new("open for reading only", "open it for reading and writing")),
        }
    }

    /// Adds non-blocking and close-on-exec, and returns what was there before.
    fn prepare(self, fd: BorrowedFd<'_>) -> Result<Self, Refusal> {
        let with = Self {
            status: self.status | OFlag::O_NONBLOCK,
            descriptor: self.descriptor | FdFlag::FD_CLOEXEC,
        };
        with.set(fd).map_err(|errno| {
            self.restore(fd);
            Refusal::failed("O_NONBLOCK or FD_CLOEXEC", errno.into())
        })?;
        Ok(self)
    }

    /// Gives the caller back what it handed in. Setting flags to what they were cannot sensibly fail; if it does, the
    /// refusal under way says more than that failure would.
    fn restore(self, fd: BorrowedFd<'_>) {
        let _ = self.set(fd);
    }

    fn set(self, fd: BorrowedFd<'_>) -> nix::Result<()> {
        fcntl(fd, FcntlArg::F_SETFD(self.descriptor))?;
        fcntl(fd, FcntlArg::F_SETFL(self.status)).map(drop)
    }
}
