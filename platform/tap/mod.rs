//! An attached TAP, and what all systems share of how it comes about.

mod attach;
mod datalink;
pub(super) mod descriptors;
mod fault;
mod granted;
mod inherited;
mod limits;
pub(super) mod settings;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use log::{info, warn};

use self::granted::Granted;
use super::sys::Interface;
use crate::attach::{AdoptError, AttachError, Config, DetachError, InterfaceName, Terminate};
use crate::wire::Offload;

pub(crate) use self::fault::{Kind, ReadFault, WriteFault, is_refusal};
pub(crate) use self::inherited::Refusal;
pub(crate) use self::limits::{FrameLimits, Tags};
pub(crate) use self::settings::Setting;

/// Which oversized frames a host takes, to cut them itself; found out once, at the attach, whatever offloads were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostCan {
    pub(crate) tcp4: bool,
    pub(crate) tcp6: bool,
    /// UDP datagrams of equal length (USO).
    pub(crate) udp: bool,
}

impl HostCan {
    /// What a host without headers can.
    pub(crate) const NOTHING: Self = Self { tcp4: false, tcp6: false, udp: false };
    pub(crate) const EVERYTHING: Self = Self { tcp4: true, tcp6: true, udp: true };
}

/// An attached TAP device.
///
/// Dropping it undoes the attach in reverse. The interface is unplumbed where this crate plumbed it, and the descriptor
/// closed. (An interface that is not persistent vanishes with its last descriptor.) Then the terminate program runs. A
/// drop therefore waits as long as that program may take; [`detach`](Self::detach) does the same and returns what failed.
///
/// Its descriptor is non-blocking and close-on-exec; one read takes exactly one frame and one write puts exactly one,
/// each after [`offload`](Self::offload)`.header_len` bytes of virtio-net header.
pub struct Tap {
    // Dropped in this order: the terminate program must find everything closed.
    interface: Interface,
    terminate: Option<Arc<Terminate>>,
    offload: Granted,
    guest_address: Option<[u8; 6]>,
}

impl Tap {
    fn new(interface: Interface, terminate: Option<Arc<Terminate>>, config: &Config) -> Self {
        let offload = Granted::new(interface.offload());
        Self { interface, terminate, offload, guest_address: config.guest_address }
    }

    /// Adopts a descriptor that somebody else opened, after finding out what it is. Its status flags are kept and
    /// `O_NONBLOCK` is added; close-on-exec is set. A descriptor whose number is below 3 gets another number.
    ///
    /// On illumos and Solaris a data link's stream is set anew to carry whole frames of every type and multicast group, one a
    /// read. On Linux the interface's state is set anew: no offload, a header of 12 bytes where it has one, the largest send
    /// buffer, carrier. A duplicate shares that state with the descriptor that it was made from, whose owner would lose it.
    /// There, [`Config::keep_state`] with [`Config::inherited`] leaves everything as it is.
    ///
    /// # Errors
    /// [`AdoptError`] says what the descriptor really is and gives it back.
    pub fn from_fd(fd: OwnedFd) -> Result<Self, AdoptError> {
        let config = Config::new();
        let interface = inherited::adopt(fd, &config)?;
        Ok(Self::new(interface, None, &config))
    }

    /// Gives the descriptor out, where it is all there is to the TAP.
    ///
    /// # Errors
    /// The TAP itself, where plumbing or a terminate program depends on it.
    #[cfg_attr(
        any(target_os = "illumos", target_os = "solaris"),
        expect(clippy::result_large_err, reason = "the TAP itself is given back")
    )]
    pub fn into_fd(self) -> Result<OwnedFd, Self> {
        if self.terminate.is_some() {
            return Err(self);
        }
        let Self { interface, terminate, offload, guest_address } = self;
        interface.into_fd().map_err(|interface| Self { interface, terminate, offload, guest_address })
    }

    /// Reads the interface's name as it is now; it can be renamed while attached.
    ///
    /// # Errors
    /// The system's error, when the interface is gone or the descriptor has none (a socket).
    pub fn name(&self) -> io::Result<InterfaceName> {
        self.interface.name()
    }

    /// The offloads that are in force on this descriptor.
    #[must_use]
    pub fn offload(&self) -> Offload {
        self.offload.get()
    }

    /// Whether the attach made the interface; `false` when it existed already.
    #[must_use]
    pub fn created(&self) -> bool {
        self.interface.created()
    }

    /// Reads the interface's number, which names it to the system's other calls.
    ///
    /// # Errors
    /// The system's error, when the interface is gone or in another network namespace; some error where the descriptor has no
    /// interface (a socket).
    pub fn index(&self) -> io::Result<u32> {
        self.interface.index()
    }

    /// Reads the addresses of the host's side, of both families, each with its prefix length in bits.
    ///
    /// # Errors
    /// Kind `Unsupported` where the system cannot be asked (so far anything but Linux); else the system's error.
    pub fn addresses(&self) -> io::Result<Vec<(IpAddr, u8)>> {
        self.interface.addresses()
    }

    /// Opens `count` more queues of an interface in multi-queue mode. [`Config::attach_queues`] has attached it with two queues
    /// or more, or it is an inherited one that was opened so. The new ones are close-on-exec.
    ///
    /// ```no_run
    /// # use tap_plumb::Config;
    /// let first = Config::new().name("tap3").attach_queues(2)?.remove(0);
    /// assert_eq!(first.add_queues(2)?.len(), 2);
    /// # Ok::<(), tap_plumb::AttachError>(())
    /// ```
    ///
    /// # Errors
    /// [`AttachError::Unsupported`] for an interface in another mode and where the system has no such thing; else as
    /// [`Config::attach`]. The queues that were opened before the failure are closed again.
    pub fn add_queues(&self, count: u16) -> Result<Vec<Self>, AttachError> {
        let added = self.interface.add_queues(count)?;
        let tap = |interface: Interface| Self {
            interface,
            terminate: self.terminate.clone(),
            offload: Granted::new(self.offload()),
            guest_address: self.guest_address,
        };
        Ok(added.into_iter().map(tap).collect())
    }

    /// Changes the length of the virtio-net header, in bytes, before the first frame: once the guest has said whether it
    /// wants 10 or 12. It holds for all queues of the interface: call it on the [`Tap`] of each.
    ///
    /// ```no_run
    /// # use tap_plumb::{Config, Offload};
    /// let mut tap = Config::new().name("tap3").offload(Offload::ALL).attach()?;
    /// tap.set_header_len(10)?;
    /// assert_eq!(tap.offload().header_len, 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Kind `InvalidInput` for any other length, and for a TAP without headers; else the system's error.
    pub fn set_header_len(&mut self, len: usize) -> io::Result<()> {
        if !matches!(len, 10 | 12) || self.offload().header_len == 0 {
            let why = "a virtio-net header has 10 or 12 bytes, and must have been asked for at the attach";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        self.interface.set_header_len(len)?;
        self.offload = Granted::new(Offload { header_len: len, ..self.offload() });
        Ok(())
    }

    /// Changes the offloads while frames flow, and returns what the host granted; frames already queued come as they were
    /// made. The header stays as it is. It holds for all queues of the interface: call it on the [`Tap`] of each.
    ///
    /// # Errors
    /// Kind `InvalidInput` when `wanted.header_len` differs from [`offload`](Self::offload)`.header_len`; else the system's
    /// error.
    pub fn set_offload(&self, wanted: Offload) -> io::Result<Offload> {
        if wanted.header_len != self.offload().header_len {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the header's length cannot change"));
        }
        self.offload.change(|| self.interface.set_offload(wanted).map(|granted| (granted, granted)))
    }

    /// Tells the host whether to use this one of several queues. Nothing is done when it is so already. A queue that is not
    /// used receives nothing and loses the frames it holds; the interface and its other queues stay.
    ///
    /// # Errors
    /// Kind `Unsupported` where the host has no such thing; else the system's error, `EINVAL` for the only queue.
    pub fn set_queue_enabled(&self, enabled: bool) -> io::Result<()> {
        self.interface.set_queue_enabled(enabled)
    }

    /// Reads the IP MTU in bytes, without the Ethernet header.
    ///
    /// # Errors
    /// The system's error, when the interface is gone or in another network namespace.
    pub fn mtu(&self) -> io::Result<u32> {
        self.interface.mtu()
    }

    /// Sets the IP MTU in bytes, without the Ethernet header, unless it is that already.
    ///
    /// # Errors
    /// The system's error: out of range, or no privilege.
    pub fn set_mtu(&self, mtu: u32) -> io::Result<()> {
        settings::set_mtu(&self.interface, mtu)
    }

    /// Reads the host's own MAC address on the interface.
    ///
    /// # Errors
    /// The system's error, when the interface is gone.
    pub fn hardware_address(&self) -> io::Result<[u8; 6]> {
        self.interface.hardware_address()
    }

    /// Sets the host's own MAC address, unless it is that already. The guest must use another one.
    ///
    /// # Errors
    /// The system's error: no unicast address, or no privilege.
    pub fn set_hardware_address(&self, address: [u8; 6]) -> io::Result<()> {
        settings::set_hardware_address(&self.interface, address)
    }

    /// Gives the host's side an address with a prefix length in bits. No privilege is needed if the host's side has the
    /// address already. It joins the others, which stay. An address that is there with another prefix gets this one.
    ///
    /// On Linux it is as `ip addr add` leaves it: without a broadcast address of its own. An IPv6 address can be used at once
    /// (`nodad`), since the only neighbour that could have the same one is the guest.
    ///
    /// # Errors
    /// Kind `InvalidInput` for a prefix longer than the address and for an address that no host can have. Else the system's
    /// error, as a rule for want of privilege (`EPERM`), or because IPv6 is off on the interface (`EACCES` on Linux).
    pub fn set_address(&self, address: IpAddr, prefix: u8) -> io::Result<()> {
        settings::set_address(&self.interface, address, prefix)
    }

    /// Tells whether the interface is administratively up.
    ///
    /// # Errors
    /// The system's error, when the interface is gone or in another network namespace.
    pub fn is_up(&self) -> io::Result<bool> {
        self.interface.is_up()
    }

    /// Brings the interface up or down, unless it is so already. No other flag is touched.
    ///
    /// # Errors
    /// The system's error, as a rule for want of privilege.
    pub fn set_up(&self, up: bool) -> io::Result<()> {
        settings::set_up(&self.interface, up)
    }

    /// Shows the host whether a cable is plugged in. It is a signal only: frames still flow without carrier.
    ///
    /// # Errors
    /// Kind `Unsupported` where the host has no such signal; else the system's error.
    pub fn set_carrier(&self, carrier: bool) -> io::Result<()> {
        self.interface.set_carrier(carrier)
    }

    /// Frames that the host dropped before the descriptor because they were not read in time, where it counts them.
    pub(crate) fn dropped_by_host(&self) -> Option<u64> {
        self.interface.dropped_by_host()
    }

    /// What the errno of a failed read of a frame means.
    #[cold]
    pub(crate) fn read_fault(&self, errno: i32) -> ReadFault {
        if self.interface.clear_way(errno) {
            return ReadFault::Interrupted;
        }
        self.interface.kind().read_fault(errno)
    }

    /// What the errno of a failed write of a frame means.
    pub(crate) fn write_fault(&self, errno: i32) -> WriteFault {
        self.interface.kind().write_fault(errno)
    }

    /// Whether the errno of a failed write may tell of an earlier frame, and pass.
    pub(crate) fn may_be_earlier(&self, errno: i32) -> bool {
        self.interface.kind().may_be_earlier(errno)
    }

    /// Whether a read of no bytes is the end, and not an empty frame.
    pub(crate) fn nothing_is_the_end(&self) -> bool {
        self.interface.kind().nothing_is_the_end()
    }

    /// Whether an error that poll reports may tell of an earlier datagram only, and pass.
    pub(crate) fn errors_pass(&self) -> bool {
        self.interface.kind() == Kind::Internet
    }

    pub(crate) fn limits(&self) -> FrameLimits {
        self.interface.limits()
    }

    /// The one address whose frames are the guest's, where others come, too.
    pub(crate) fn station(&self) -> Option<[u8; 6]> {
        self.interface.station()
    }

    pub(crate) fn news_fd(&self) -> Option<BorrowedFd<'_>> {
        self.interface.news_fd()
    }

    pub(crate) fn take_news(&self) -> io::Result<Option<bool>> {
        self.interface.take_news()
    }

    /// Which oversized frames the host cuts. A kernel of a vendor's may still refuse one of them.
    pub(crate) fn host_can(&self) -> HostCan {
        self.interface.host_can()
    }

    /// Asks the host whether the interface was removed.
    pub(crate) fn is_removed(&self) -> bool {
        self.interface.is_removed()
    }

    pub(crate) fn guest_address(&self) -> Option<[u8; 6]> {
        self.guest_address
    }

    /// Undoes the attach, as a drop does, and tells what failed on the way. It waits for the terminate program.
    ///
    /// # Errors
    /// The first failure; the steps after it were taken all the same.
    pub fn detach(self) -> Result<(), DetachError> {
        info!("detaching {self:?}");
        let Self { interface, terminate, .. } = self;
        let undone = interface.detach();
        let terminated = terminate.and_then(Arc::into_inner).map_or(Ok(()), Terminate::run);
        if let (Err(_), Err(second)) = (&undone, &terminated) {
            warn!("{second}");
        }
        undone.and(terminated.map_err(DetachError::Program))
    }

    /// Binds the interface again after its removal. Programs are not run again.
    ///
    /// `true` when the descriptor is no longer the same one to a poller, which must then register it anew.
    pub(crate) fn reattach(&self, config: &Config) -> Result<bool, AttachError> {
        let header_len = self.offload().header_len;
        if config.offload.header_len != header_len {
            let reason = format!("the header's length cannot change; it is {header_len}");
            return Err(AttachError::BadOption { option: "offload".to_owned(), reason });
        }
        settings::check(config)?;
        self.offload.change(|| {
            let made = self.interface.reattach(config)?;
            // The number may refer to another descriptor now.
            attach::let_inherit(&self.interface, config)?;
            Ok(made)
        })
    }

    /// Has a re-attach failed in such a way that there is no interface any more?
    pub(crate) fn is_lost(&self) -> bool {
        self.interface.is_lost()
    }
}

impl AsFd for Tap {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.interface.as_fd()
    }
}

impl AsRawFd for Tap {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Tap");
        if let Ok(name) = self.name() {
            text.field("name", &name);
        }
        text.field("fd", &self.as_fd().as_raw_fd()).field("offload", &self.offload()).finish_non_exhaustive()
    }
}
