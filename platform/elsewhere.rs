//! Systems without an attach of their own: TAPs come in as inherited descriptors.
//!
//! On the BSDs a TAP is a character device that moves one frame a call (tap(4)). What else it can be asked differs from one
//! of them to the next, but for the name of its node.

use std::fs::{File, Metadata, read_dir};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use nix::net::if_::if_nametoindex;

use super::tap::{FrameLimits, HostCan, Kind, ReadFault, Refusal, Setting, WriteFault};
use crate::attach::{AdoptError, AttachError, Config, DetachError, InterfaceName, Owner};
use crate::wire::Offload;

const LIMITS: FrameLimits = FrameLimits::between(14, 65535 + 14);

pub(crate) fn check_name(_: &str) -> Result<(), AttachError> {
    Err(AttachError::Unsupported { what: "attaching by name" })
}

pub(crate) fn check_datalink_name(_: &str) -> Result<(), AttachError> {
    Err(AttachError::Unsupported { what: "an existing data link" })
}

/// Whatever the error, the interface's settings are not this crate's to make here.
pub(crate) fn remedy_of_setting(setting: Setting, _: &io::Error) -> &'static str {
    match setting {
        Setting::Address(address) if address.is_ipv6() => {
            "give it by ifconfig(8): `ifconfig NAME inet6 ADDRESS`"
        }
        _ => "set it by ifconfig(8)",
    }
}

#[derive(Debug)]
pub(crate) struct Interface {
    fd: OwnedFd,
    kind: Kind,
    offload: Offload,
    limits: FrameLimits,
}

impl Interface {
    pub(crate) fn attach(_: Option<&str>, _: &Config, _: u16) -> Result<Vec<Self>, AttachError> {
        Err(AttachError::Unsupported { what: "making a TAP" })
    }

    pub(crate) fn attach_datalink(_: &str, _: &Config) -> Result<Self, AttachError> {
        Err(AttachError::Unsupported { what: "an existing data link" })
    }

    /// Takes any character device that is open for reading and writing, unless its node's name shows that it is no TAP.
    pub(crate) fn adopt(fd: OwnedFd, config: &Config) -> Result<Self, AdoptError> {
        match refusal(fd.as_fd(), &config.offload) {
            Some(refusal) => Err(refusal.give_back(fd)),
            None => Ok(Self { fd, kind: Kind::Device, offload: Offload::NONE, limits: LIMITS }),
        }
    }

    pub(crate) fn socket(fd: OwnedFd, kind: Kind, offload: Offload) -> Self {
        Self { fd, kind, offload, limits: FrameLimits::OF_SOCKET }
    }

    pub(crate) fn reattach(&self, _: &Config) -> Result<(bool, Offload), AttachError> {
        Err(AttachError::Unsupported { what: "re-attaching" })
    }

    /// A re-attach that fails leaves what there was.
    pub(crate) fn is_lost(&self) -> bool {
        false
    }

    pub(crate) fn detach(self) -> Result<(), DetachError> {
        drop(self);
        Ok(())
    }

    pub(crate) fn into_fd(self) -> Result<OwnedFd, Self> {
        Ok(self.fd)
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn offload(&self) -> Offload {
        self.offload
    }

    pub(crate) fn limits(&self) -> FrameLimits {
        self.limits
    }

    pub(crate) fn station(&self) -> Option<[u8; 6]> {
        None
    }

    pub(crate) fn clear_way(&self, _: i32) -> bool {
        false
    }

    /// Only a socket has a header here, and what its peer sends is between the peer and the caller.
    pub(crate) fn set_offload(&self, wanted: Offload) -> io::Result<Offload> {
        Ok(wanted)
    }

    /// Only a socket can have a header, and no request about it.
    pub(crate) fn set_header_len(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn host_can(&self) -> HostCan {
        if self.offload.header_len == 0 { HostCan::NOTHING } else { HostCan::EVERYTHING }
    }

    /// Nobody tells what happens to the interface.
    pub(crate) fn news_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    pub(crate) fn take_news(&self) -> io::Result<Option<bool>> {
        Ok(None)
    }

    pub(crate) fn created(&self) -> bool {
        false
    }

    pub(crate) fn add_queues(&self, _: u16) -> Result<Vec<Self>, AttachError> {
        Err(AttachError::Unsupported { what: "more than one queue" })
    }

    pub(crate) fn persist(&self, _: Owner) -> Result<(), AttachError> {
        Err(AttachError::Unsupported { what: "a TAP that outlives its owner (persistent)" })
    }

    pub(crate) fn index(&self) -> io::Result<u32> {
        Ok(if_nametoindex(self.name()?.as_bytes())?)
    }

    pub(crate) fn name(&self) -> io::Result<InterfaceName> {
        Self::name_of(self.as_fd())
    }

    /// Finds the device's node, which bears the interface's name (tap(4)) as long as nobody renames that.
    pub(crate) fn name_of(fd: BorrowedFd<'_>) -> io::Result<InterfaceName> {
        let device = File::from(fd.try_clone_to_owned()?).metadata()?;
        let is_same = |node: &Metadata| node.file_type().is_char_device() && node.rdev() == device.rdev();
        let node =
            read_dir("/dev")?.flatten().find(|entry| entry.metadata().is_ok_and(|node| is_same(&node)));
        let name = node.filter(|_| device.file_type().is_char_device()).map(|node| node.file_name());
        let name = name.and_then(|name| InterfaceName::from_c_bytes(name.as_bytes()));
        name.ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn is_removed(&self) -> bool {
        false
    }

    pub(crate) fn dropped_by_host(&self) -> Option<u64> {
        None
    }
}

/// What cannot be asked of an interface here.
macro_rules! unsupported {
    ($($name:ident($($argument:ty),*) -> $answer:ty;)*) => {
        impl Interface {
            $(pub(crate) fn $name(&self, $(_: $argument),*) -> io::Result<$answer> {
                Err(io::ErrorKind::Unsupported.into())
            })*
        }
    };
}

unsupported! {
    set_queue_enabled(bool) -> ();
    set_carrier(bool) -> ();
    mtu() -> u32;
    set_mtu(u32) -> ();
    hardware_address() -> [u8; 6];
    set_hardware_address([u8; 6]) -> ();
    is_up() -> bool;
    set_up(bool) -> ();
    set_address(IpAddr, u8) -> ();
    addresses() -> Vec<(IpAddr, u8)>;
    queue_length() -> u32;
    set_queue_length(u32) -> ();
}

impl AsFd for Interface {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn refusal(fd: BorrowedFd<'_>, offload: &Offload) -> Option<Refusal> {
    let node = Interface::name_of(fd).ok();
    if let Some(node) = node.filter(|node| !is_tap(node.as_bytes())) {
        let found = format!("the character device {node}, no TAP");
        return Some(Refusal { found, remedy: "a TAP's descriptor is needed", source: None });
    }
    let found = "a device without virtio-net headers".to_owned();
    (offload.header_len != 0).then_some(Refusal { found, remedy: "ask for no offload", source: None })
}

/// The names of tap(4), and of FreeBSD's TAPs for virtual machines.
fn is_tap(node: &[u8]) -> bool {
    [&b"tap"[..], b"vmnet"].iter().any(|prefix| node.starts_with(prefix))
}

pub(crate) fn read_fault(errno: i32) -> ReadFault {
    match errno {
        libc::EAGAIN => ReadFault::Empty,
        libc::EINTR => ReadFault::Interrupted,
        libc::ENXIO | libc::ENODEV => ReadFault::Gone,
        // tap(4): the interface is down or not ready.
        libc::EHOSTDOWN => ReadFault::Empty,
        _ => ReadFault::Other,
    }
}

pub(crate) fn write_fault(errno: i32) -> WriteFault {
    match errno {
        libc::EAGAIN => WriteFault::WouldBlock,
        libc::EINTR => WriteFault::Interrupted,
        libc::ENOBUFS | libc::ENOMEM => WriteFault::NoBufferSpace,
        libc::EHOSTDOWN | libc::ENETDOWN => WriteFault::Down,
        libc::EMSGSIZE => WriteFault::BadLength,
        libc::ENXIO | libc::ENODEV => WriteFault::Gone,
        _ => WriteFault::Other,
    }
}
