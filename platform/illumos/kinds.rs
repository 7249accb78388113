//! What the other folders see as an interface: a TAP, or a data link of the host.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::net::if_::if_nametoindex;

use super::super::tap::{FrameLimits, HostCan, Kind};
use super::adopt;
use super::datalink::Datalink;
use super::interface::Interface as TapInterface;
use crate::attach::{AdoptError, AttachError, Config, DetachError, InterfaceName, Owner};
use crate::wire::Offload;

/// What a data link has not, or not for us to set.
const ADMINISTRATORS: &str = "the administrator sets this on a data link, with dladm";
const GUESTS_ALONE: &str = "a data link has no IP address of the host";

#[derive(Debug)]
pub(crate) enum Interface {
    Tap(TapInterface),
    /// Apart, so that a TAP is no larger for it.
    Datalink(Box<Datalink>),
}

use Interface::{Datalink as Link, Tap};

impl Interface {
    pub(crate) fn attach(name: Option<&str>, config: &Config, queues: u16) -> Result<Vec<Self>, AttachError> {
        Ok(TapInterface::attach(name, config, queues)?.into_iter().map(Tap).collect())
    }

    pub(crate) fn attach_datalink(name: &str, config: &Config) -> Result<Self, AttachError> {
        Datalink::attach(name, config).map(|link| Link(Box::new(link)))
    }

    pub(crate) fn adopt(fd: OwnedFd, config: &Config) -> Result<Self, AdoptError> {
        adopt::adopt(fd, config)
    }

    pub(crate) fn socket(fd: OwnedFd, kind: Kind, offload: Offload) -> Self {
        Tap(TapInterface::socket(fd, kind, offload))
    }

    /// A link stays as long as it is open.
    pub(crate) fn reattach(&self, config: &Config) -> Result<(bool, Offload), AttachError> {
        match self {
            Tap(tap) => tap.reattach(config),
            Link(_) => Err(AttachError::Unsupported { what: "re-attaching a data link" }),
        }
    }

    pub(crate) fn detach(self) -> Result<(), DetachError> {
        match self {
            Tap(tap) => tap.detach(),
            Link(link) => link.detach(),
        }
    }

    /// A link's address depends on more than the descriptor.
    pub(crate) fn into_fd(self) -> Result<OwnedFd, Self> {
        match self {
            Tap(tap) => tap.into_fd().map_err(Tap),
            Link(link) => link.into_fd().map_err(Link),
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Tap(tap) => tap.kind(),
            Link(_) => Kind::Device,
        }
    }

    pub(crate) fn offload(&self) -> Offload {
        match self {
            Tap(tap) => tap.offload(),
            Link(_) => Offload::NONE,
        }
    }

    pub(crate) fn host_can(&self) -> HostCan {
        match self {
            Tap(tap) => tap.host_can(),
            Link(_) => HostCan::NOTHING,
        }
    }

    pub(crate) fn limits(&self) -> FrameLimits {
        match self {
            Tap(tap) => tap.limits(),
            Link(link) => link.limits(),
        }
    }

    /// A link without neighbours also gets what its NIC lets in for others.
    pub(crate) fn station(&self) -> Option<[u8; 6]> {
        match self {
            Tap(_) => None,
            Link(link) => Some(link.station()),
        }
    }

    /// `EBADMSG`: a message of the driver's stands before the frames. The crate asks for messages there only on an adopted
    /// link, so this is rare.
    pub(crate) fn clear_way(&self, errno: i32) -> bool {
        match self {
            Link(link) if errno == libc::EBADMSG => link.clear_way().is_ok(),
            _ => false,
        }
    }

    pub(crate) fn news_fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Tap(_) => None,
            Link(link) => link.news_fd(),
        }
    }

    pub(crate) fn take_news(&self) -> io::Result<Option<bool>> {
        match self {
            Tap(_) => Ok(None),
            Link(link) => link.take_news(),
        }
    }

    pub(crate) fn created(&self) -> bool {
        matches!(self, Tap(tap) if tap.created())
    }

    pub(crate) fn set_offload(&self, wanted: Offload) -> io::Result<Offload> {
        match self {
            Tap(tap) => tap.set_offload(wanted),
            Link(_) => Ok(Offload::NONE),
        }
    }

    pub(crate) fn set_header_len(&self, len: usize) -> io::Result<()> {
        match self {
            Tap(tap) => tap.set_header_len(len),
            Link(_) => Err(unsupported("a data link has no header")),
        }
    }

    pub(crate) fn add_queues(&self, count: u16) -> Result<Vec<Self>, AttachError> {
        match self {
            Tap(tap) => Ok(tap.add_queues(count)?.into_iter().map(Tap).collect()),
            Link(_) => Err(AttachError::Unsupported { what: "more than one queue" }),
        }
    }

    pub(crate) fn persist(&self, owner: Owner) -> Result<(), AttachError> {
        match self {
            Tap(tap) => tap.persist(owner),
            Link(_) => Ok(()),
        }
    }

    pub(crate) fn queue_length(&self) -> io::Result<u32> {
        match self {
            Tap(tap) => tap.queue_length(),
            Link(_) => {
                Err(unsupported("the queue of a data link is counted in bytes: see Config::datalink_buffer"))
            }
        }
    }

    pub(crate) fn set_queue_length(&self, frames: u32) -> io::Result<()> {
        match self {
            Tap(tap) => tap.set_queue_length(frames),
            Link(_) => {
                Err(unsupported("the queue of a data link is counted in bytes: see Config::datalink_buffer"))
            }
        }
    }

    /// IP knows a link only once it is plumbed.
    pub(crate) fn index(&self) -> io::Result<u32> {
        match self {
            Tap(tap) => tap.index(),
            Link(link) => Ok(if_nametoindex(link.name()?.as_bytes())?),
        }
    }

    pub(crate) fn addresses(&self) -> io::Result<Vec<(IpAddr, u8)>> {
        match self {
            Tap(tap) => tap.addresses(),
            Link(_) => Err(unsupported(GUESTS_ALONE)),
        }
    }

    /// Whether a re-attach has failed after the interface was undone.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Tap(tap) => tap.is_lost(),
            Link(_) => false,
        }
    }

    /// A read tells it.
    pub(crate) fn is_removed(&self) -> bool {
        false
    }

    pub(crate) fn set_queue_enabled(&self, enabled: bool) -> io::Result<()> {
        match self {
            Tap(tap) => tap.set_queue_enabled(enabled),
            Link(_) => Err(unsupported("a data link has one queue")),
        }
    }

    pub(crate) fn set_carrier(&self, carrier: bool) -> io::Result<()> {
        match self {
            Tap(tap) => tap.set_carrier(carrier),
            Link(_) => Err(unsupported("the carrier of a data link cannot be set")),
        }
    }

    /// The head of a stream does not count what it drops.
    pub(crate) fn dropped_by_host(&self) -> Option<u64> {
        match self {
            Tap(tap) => tap.dropped_by_host(),
            Link(_) => None,
        }
    }

    pub(crate) fn name(&self) -> io::Result<InterfaceName> {
        match self {
            Tap(tap) => tap.name(),
            Link(link) => link.name(),
        }
    }

    pub(crate) fn name_of(fd: BorrowedFd<'_>) -> io::Result<InterfaceName> {
        TapInterface::name_of(fd)
    }

    pub(crate) fn mtu(&self) -> io::Result<u32> {
        match self {
            Tap(tap) => tap.mtu(),
            Link(link) => link.mtu(),
        }
    }

    pub(crate) fn set_mtu(&self, mtu: u32) -> io::Result<()> {
        match self {
            Tap(tap) => tap.set_mtu(mtu),
            Link(_) => Err(unsupported(ADMINISTRATORS)),
        }
    }

    /// A link is always up: what can be down is the cable.
    pub(crate) fn is_up(&self) -> io::Result<bool> {
        match self {
            Tap(tap) => tap.is_up(),
            Link(_) => Ok(true),
        }
    }

    pub(crate) fn set_up(&self, up: bool) -> io::Result<()> {
        match self {
            Tap(tap) => tap.set_up(up),
            Link(_) if up => Ok(()),
            Link(_) => Err(unsupported(ADMINISTRATORS)),
        }
    }

    pub(crate) fn hardware_address(&self) -> io::Result<[u8; 6]> {
        match self {
            Tap(tap) => tap.hardware_address(),
            Link(link) => link.hardware_address(),
        }
    }

    pub(crate) fn set_hardware_address(&self, address: [u8; 6]) -> io::Result<()> {
        match self {
            Tap(tap) => tap.set_hardware_address(address),
            Link(link) => link.set_hardware_address(address),
        }
    }

    pub(crate) fn set_address(&self, address: IpAddr, prefix: u8) -> io::Result<()> {
        match self {
            Tap(tap) => tap.set_address(address, prefix),
            Link(_) => Err(unsupported(GUESTS_ALONE)),
        }
    }
}

fn unsupported(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, why)
}

impl AsFd for Interface {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Tap(tap) => tap.as_fd(),
            Link(link) => link.as_fd(),
        }
    }
}
