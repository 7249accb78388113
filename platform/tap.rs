//! An attached TAP: the frames' descriptor, and the guards that undo the attach.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use log::{info, warn};

use super::granted::Granted;
use super::{inherited, settings, sys};
use crate::config::Config;
use crate::error::{AdoptError, AttachError, DetachError};
use crate::name::InterfaceName;
use crate::offload::Offload;
use crate::program::Terminate;

/// The lengths of frame a host takes, in bytes with the Ethernet header, without FCS and without virtio-net header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameLimits {
    pub(crate) shortest: usize,
    pub(crate) longest: usize,
}

/// What a system's attach or adopt hands over for one queue.
#[derive(Debug)]
pub(crate) struct Attached {
    /// What else holds the interface together; `None` where the descriptor is all there is.
    pub(crate) plumbing: Option<sys::Plumbing>,
    pub(crate) fd: OwnedFd,
    pub(crate) offload: Offload,
    pub(crate) limits: FrameLimits,
    /// The interface is in multi-queue mode, which a removed one must be given again.
    pub(crate) multi_queue: bool,
}

/// An attached TAP device.
///
/// Dropping it undoes the attach in reverse: the interface is unplumbed where this crate plumbed it, the descriptor is
/// closed (an interface that is not persistent vanishes with its last descriptor), then the terminate program runs. A
/// drop therefore waits as long as that program may take; [`detach`](Self::detach) does the same and returns what failed.
///
/// Its descriptor is non-blocking and close-on-exec; one read takes exactly one frame and one write puts exactly one,
/// each after [`offload`](Self::offload)`.header_len` bytes of virtio-net header.
pub struct Tap {
    // Dropped in this order: the interface's IP side must be undone before the descriptor closes (closing the control
    // stream first can hang the illumos kernel), and the terminate program must find everything closed.
    plumbing: Mutex<Option<sys::Plumbing>>,
    fd: OwnedFd,
    terminate: Option<Arc<Terminate>>,
    offload: Granted,
    limits: FrameLimits,
    multi_queue: bool,
    guest_address: Option<[u8; 6]>,
}

impl Tap {
    pub(crate) fn new(attached: Attached, terminate: Option<Arc<Terminate>>, config: &Config) -> Self {
        Self {
            plumbing: Mutex::new(attached.plumbing),
            fd: attached.fd,
            terminate,
            offload: Granted::new(attached.offload),
            limits: attached.limits,
            multi_queue: attached.multi_queue,
            guest_address: config.guest_address,
        }
    }

    /// Adopts a descriptor that somebody else opened, after finding out what it is. Its status flags are kept and
    /// `O_NONBLOCK` is added; close-on-exec is set. An offload state it remembers is reset to none.
    ///
    /// # Errors
    /// [`AdoptError`] says what the descriptor really is and gives it back.
    pub fn from_fd(fd: OwnedFd) -> Result<Self, AdoptError> {
        let attached = inherited::adopt(fd, &Offload::NONE)?;
        Ok(Self::new(attached, None, &Config::new()))
    }

    /// Gives the descriptor out, where it is all there is to the TAP.
    ///
    /// # Errors
    /// The TAP itself, where plumbing or a terminate program depends on it.
    pub fn into_fd(self) -> Result<OwnedFd, Self> {
        if self.terminate.is_some() || self.lock_plumbing().as_ref().is_some_and(sys::Plumbing::is_needed) {
            return Err(self);
        }
        Ok(self.fd)
    }

    /// Reads the interface's name as it is now; it can be renamed while attached.
    ///
    /// # Errors
    /// The system's, when the interface is gone or the descriptor has none (a socket).
    pub fn name(&self) -> io::Result<InterfaceName> {
        sys::name(self.fd.as_fd(), self.lock_plumbing().as_ref())
    }

    /// The offloads that are in force on this descriptor.
    #[must_use]
    pub fn offload(&self) -> Offload {
        self.offload.get()
    }

    /// Changes the offloads while frames flow, and returns what the host granted; frames already queued come as they
    /// were made. The header stays as it is. With several queues it holds for all of them, and each
    /// [`Tap`] must be told.
    ///
    /// # Errors
    /// Kind `InvalidInput` when `wanted.header_len` differs from [`offload`](Self::offload)`.header_len`; else the system's.
    pub fn set_offload(&self, wanted: Offload) -> io::Result<Offload> {
        if wanted.header_len != self.offload().header_len {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the header's length cannot change"));
        }
        // The lock also keeps two callers from recording the other one's outcome.
        let plumbing = self.lock_plumbing();
        let granted = sys::set_offload(self.fd.as_fd(), plumbing.as_ref(), wanted)?;
        self.offload.set(granted);
        Ok(granted)
    }

    /// Makes the host use this queue of several, or not, unless it is so already. A queue that is not used receives
    /// nothing and loses the frames it holds; the interface and its other queues stay.
    ///
    /// # Errors
    /// Kind `Unsupported` where the host has no such thing; else the system's, `EINVAL` for the only queue.
    pub fn set_queue_enabled(&self, enabled: bool) -> io::Result<()> {
        sys::set_queue_enabled(self.fd.as_fd(), enabled)
    }

    /// Reads the IP MTU in bytes, without the Ethernet header.
    ///
    /// # Errors
    /// The system's, when the interface is gone or in another network namespace.
    pub fn mtu(&self) -> io::Result<u32> {
        sys::mtu(self.fd.as_fd(), self.lock_plumbing().as_ref())
    }

    /// Sets the IP MTU in bytes, without the Ethernet header, unless it is that already.
    ///
    /// # Errors
    /// The system's: out of range, or no privilege.
    pub fn set_mtu(&self, mtu: u32) -> io::Result<()> {
        settings::set_mtu(self.fd.as_fd(), self.lock_plumbing().as_ref(), mtu)
    }

    /// Reads the host's own MAC address on the interface.
    ///
    /// # Errors
    /// The system's, when the interface is gone.
    pub fn hardware_address(&self) -> io::Result<[u8; 6]> {
        sys::hardware_address(self.fd.as_fd(), self.lock_plumbing().as_ref())
    }

    /// Sets the host's own MAC address, unless it is that already. The guest must use another one.
    ///
    /// # Errors
    /// The system's: no unicast address, or no privilege.
    pub fn set_hardware_address(&self, address: [u8; 6]) -> io::Result<()> {
        settings::set_hardware_address(self.fd.as_fd(), self.lock_plumbing().as_ref(), address)
    }

    /// Gives the host's side an address with a prefix length in bits, unless it has it already. On Linux an IPv4 address
    /// takes the place of the first one, an IPv6 address joins the others.
    ///
    /// # Errors
    /// Kind `InvalidInput` for a prefix longer than the address; else the system's, as a rule for want of privilege.
    pub fn set_address(&self, address: IpAddr, prefix: u8) -> io::Result<()> {
        settings::set_address(self.fd.as_fd(), self.lock_plumbing().as_ref(), address, prefix)
    }

    /// Tells whether the interface is administratively up.
    ///
    /// # Errors
    /// The system's, when the interface is gone or in another network namespace.
    pub fn is_up(&self) -> io::Result<bool> {
        sys::is_up(self.fd.as_fd(), self.lock_plumbing().as_ref())
    }

    /// Brings the interface up or down, unless it is so already. No other flag is touched.
    ///
    /// # Errors
    /// The system's, as a rule for want of privilege.
    pub fn set_up(&self, up: bool) -> io::Result<()> {
        settings::set_up(self.fd.as_fd(), self.lock_plumbing().as_ref(), up)
    }

    /// Shows the host whether a cable is plugged in. It is a signal only: frames still flow without carrier.
    ///
    /// # Errors
    /// Kind `Unsupported` where the host has no such signal; else the system's.
    pub fn set_carrier(&self, carrier: bool) -> io::Result<()> {
        sys::set_carrier(self.fd.as_fd(), self.lock_plumbing().as_ref(), carrier)
    }

    /// Frames that the host dropped before the descriptor because they were not read in time, where it counts them.
    pub(crate) fn dropped_by_host(&self) -> Option<u64> {
        sys::dropped_by_host(self.fd.as_fd(), self.lock_plumbing().as_ref())
    }

    pub(crate) fn limits(&self) -> FrameLimits {
        self.limits
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
        let Self { plumbing, fd, terminate, .. } = self;
        let plumbing = plumbing.into_inner().unwrap_or_else(PoisonError::into_inner);
        let undone = plumbing.map_or(Ok(()), sys::Plumbing::undo);
        drop(fd);
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
        let mut plumbing = self.lock_plumbing();
        let (changed, granted) = sys::rebind(self.fd.as_fd(), &mut plumbing, config, self.multi_queue)?;
        self.offload.set(granted);
        Ok(changed)
    }

    /// Has a re-attach failed in such a way that there is no interface any more?
    pub(crate) fn is_lost(&self) -> bool {
        self.lock_plumbing().as_ref().is_some_and(sys::Plumbing::is_lost)
    }

    fn lock_plumbing(&self) -> std::sync::MutexGuard<'_, Option<sys::Plumbing>> {
        self.plumbing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Tap {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Tap");
        if let Ok(name) = self.name() {
            text.field("name", &name);
        }
        text.field("fd", &self.fd.as_raw_fd()).field("offload", &self.offload()).finish_non_exhaustive()
    }
}
