//! The backend: owns a TAP, the transmit lock and the counters.

use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use log::{debug, info};
use nix::unistd::{SysconfVar, sysconf};

use crate::attach::{AttachError, Config};
use crate::memory::MOST_SLICES;
use crate::platform::{FrameLimits, Tap};
use crate::segmentation::HostCapabilities;
use crate::wire::{Offload, RejectReason};

mod buffer;
mod capabilities;
mod datalink;
mod descriptor;
mod drain;
mod error;
mod frame_log;
mod generation;
mod link;
mod listeners;
mod longest;
mod raw;
mod receive;
mod session;
mod statistics;
pub(crate) mod sync;
mod tally;
mod transmit;
mod transmit_lock;
mod verbatim;

use buffer::Pool;
use capabilities::Capabilities;
use frame_log::FrameLog;
use generation::Generations;
use link::LinkCell;
use listeners::Listeners;
use longest::Longest;
use statistics::Counters;
use transmit_lock::TransmitLock;

pub use buffer::TransmitBuffer;
pub use error::{ReceiveError, TransmitError};
pub(crate) use generation::Generation;
pub use link::LinkState;
pub(crate) use listeners::Watcher;
pub(crate) use longest::LARGEST_FRAME;
pub use receive::Received;
pub use session::{OwnedTransmitter, Session, Transmitter};
pub(crate) use statistics::{Counter, ReceiveCounters};
pub use statistics::{ReceiveStatistics, Statistics, TransmitStatistics};
pub(crate) use transmit_lock::Debt;

/// POSIX promises this many slices a call everywhere (`_XOPEN_IOV_MAX`).
const LEAST_SLICES: usize = 16;

/// Moves frames between a TAP and a guest's network device.
///
/// All methods take `&self`; none blocks and none spawns. One thread may receive while another one transmits. One transmit
/// session is open at a time; a second one is refused at once. Poll the descriptor ([`AsFd`](std::os::fd::AsFd)) in a loop of
/// your own, or let [`Threads`](crate::Threads) do it.
///
/// # What to do on each outcome, in a loop of your own
///
/// | outcome | do |
/// |---|---|
/// | `receive` gives a frame | hand it to the guest, call again |
/// | `receive` gives `None` | wait until the descriptor is readable; level, edge and one-shot pollers all work |
/// | [`ReceiveError::Truncated`], `Runt` or `Rejected` | the frame was consumed and counted: call again |
/// | [`TransmitError::WouldBlock`], `InterfaceDown` | keep the frame, end the session, wait until the descriptor is writable, resume |
/// | the same, with an edge-triggered poller | also call `poll` once after the refusal: when the interface comes up, Linux gives an edge only to a caller that has polled |
/// | `NoBufferSpace` | keep or drop the frame; retry after a pause, no event tells |
/// | `LinkDown`, `Rejected`, `Runt`, `Oversize`, `LengthRefused` | the frame is dropped and counted: complete it towards the guest |
/// | `Gone`, either way | stop polling; [`reattach`](Self::reattach) or detach |
/// | `begin_transmit` gives `None` | go on; the callback of [`on_transmit_ready`](Self::on_transmit_ready) follows |
/// | `set_link_state(Down)` was called | stop polling until it is up again |
pub struct Backend {
    tap: Tap,
    /// Bytes of virtio-net header before each frame: 0, 10 or 12.
    vnet_len: usize,
    limits: FrameLimits,
    /// A frame shorter than this is looked at before it is sent.
    looked_at_below: usize,
    /// The longest frame that the host takes at present.
    longest_sent: AtomicUsize,
    /// The guest's address on a data link, where frames for others come, too; see [`datalink::station_number`].
    station: AtomicU64,
    /// The guest wants others' frames.
    promiscuous: AtomicBool,
    most_slices: usize,
    longest: Longest,
    lock: TransmitLock,
    link: LinkCell,
    generations: Generations,
    counters: Counters,
    timed: AtomicBool,
    capabilities: Capabilities,
    log: FrameLog,
    pool: Arc<Pool>,
    listeners: Listeners,
}

impl Backend {
    /// Takes a TAP into service.
    #[must_use]
    pub fn new(tap: Tap) -> Self {
        let limits = tap.limits();
        let backend = Self {
            vnet_len: tap.offload().header_len,
            limits,
            looked_at_below: datalink::looked_at_below(limits),
            longest_sent: AtomicUsize::new(0),
            station: AtomicU64::new(0),
            promiscuous: AtomicBool::new(false),
            most_slices: most_slices(),
            longest: Longest::new(),
            lock: TransmitLock::new(),
            link: LinkCell::new(),
            generations: Generations::default(),
            counters: Counters::default(),
            timed: AtomicBool::new(false),
            capabilities: Capabilities::new(tap.host_can()),
            log: FrameLog::new(),
            pool: Arc::default(),
            listeners: Listeners::default(),
            tap,
        };
        backend.refresh_mtu();
        backend
    }

    /// The TAP, for its name, addresses and state.
    #[must_use]
    pub fn tap(&self) -> &Tap {
        &self.tap
    }

    /// Gives the TAP back, to detach it with its errors or to take the descriptor out.
    #[must_use]
    pub fn into_tap(self) -> Tap {
        self.tap
    }

    /// Bytes a receive buffer needs so that every frame fits with one byte to spare, which saves a slice in the
    /// system call. That is the longest frame, plus 1. The virtio-net header is not in it.
    ///
    /// A buffer of 65550 bytes holds every frame that Linux makes by default, and saves the slice, too. A frame that fills
    /// such a buffer to its last byte is dropped as [`Truncated`](crate::ReceiveError::Truncated), since it may have been
    /// longer. From then on the crate adds a byte of its own to buffers of that length, until the offloads or the MTU are set
    /// anew.
    #[must_use]
    pub fn receive_buffer_len(&self) -> usize {
        self.longest.largest() + 1
    }

    /// Everything counted so far. Takes no lock that a frame could wait for. The host's own drops are asked for by
    /// several system calls, which a sandbox must allow.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.counters.snapshot(self.tap.dropped_by_host())
    }

    /// Measures the time spent in transmit and receive calls; off at first, since it reads the clock twice a frame.
    pub fn measure_time(&self, on: bool) {
        self.timed.store(on, Ordering::Relaxed);
    }

    /// With `true`, which is the default, the host does segmentation and checksums of transmitted frames where it can. With
    /// `false` the crate does them in software.
    pub fn use_host_offload(&self, on: bool) {
        self.capabilities.use_them(on);
    }

    /// Delivers frames for other stations, too, where a data link lets them come; a TAP delivers everything anyway. May repeat
    /// a value.
    pub fn set_promiscuous(&self, on: bool) {
        self.promiscuous.store(on, Ordering::Relaxed);
        debug!("promiscuous mode {} (a TAP delivers every frame in any case)", if on { "on" } else { "off" });
    }

    /// Binds the interface again after its removal, as `config` describes it; counters, link state and registrations
    /// survive, programs are not run again. Other threads may go on calling: they get `Gone` until it is done.
    ///
    /// `true` when a poller must register the descriptor anew (its number stays the same; never so on Linux).
    ///
    /// # Errors
    /// As [`Config::attach`]. An error in `config` leaves the backend as it was. Where the old interface had to be undone
    /// first (illumos), any other failure leaves the interface gone; `reattach` can be called again.
    pub fn reattach(&self, config: &Config) -> Result<bool, AttachError> {
        let generation = self.generations.current();
        let changed = self.tap.reattach(config).inspect_err(|_| {
            if let Some(generation) = generation.filter(|_| self.tap.is_lost()) {
                self.mark_gone(generation);
            }
        })?;
        self.refresh_mtu();
        self.generations.renew();
        self.capabilities.renew(self.tap.host_can());
        if !self.link.is_up() {
            self.show_carrier();
        }
        info!("attached again {:?}", self.tap);
        if let Some(watcher) = self.watcher() {
            watcher.reattached();
        }
        Ok(changed)
    }

    /// [`Tap::set_offload`], by one request, after which [`receive_buffer_len`](Self::receive_buffer_len) fits the new
    /// offloads: a guest that takes no oversized frames needs no room for them.
    ///
    /// # Errors
    /// As [`Tap::set_offload`].
    pub fn set_offload(&self, wanted: Offload) -> io::Result<Offload> {
        let granted = self.tap.set_offload(wanted)?;
        self.longest.fit(granted);
        Ok(granted)
    }

    /// Reads the MTU anew, so that [`receive_buffer_len`](Self::receive_buffer_len) fits it; of a data link its address, too. To be
    /// called when the MTU has changed, by a thread that may make the system calls of [`Tap::mtu`]. Where the MTU cannot be read, there is room for
    /// every frame.
    pub fn refresh_mtu(&self) {
        self.longest_sent.store(self.tap.limits().longest, Ordering::Relaxed);
        // If the address cannot be read now, the last known one is kept: without an address, others' frames would be
        // delivered.
        if let Some(address) = self.tap.station() {
            self.station.store(datalink::station_number(address), Ordering::Relaxed);
        }
        self.longest.fit_mtu(self.tap.mtu().ok(), self.tap.offload());
    }

    /// Notes that the interface of `generation` is gone. The first time it logs that and tells the threads, which may not
    /// learn it in any other way.
    #[cold]
    pub(crate) fn mark_gone(&self, generation: Generation) {
        if self.generations.lost(generation) {
            info!("the interface of {self:?} is gone");
            if let Some(watcher) = self.watcher() {
                watcher.wake();
            }
        }
    }

    /// Asks the host by one system call whether the interface was removed, and notes it; `true` when it is gone.
    ///
    /// A TAP, a socket and a stream tell of the removal themselves, by [`receive`](Self::receive) and by a send. A pair of
    /// datagram sockets on Linux tells it by a send alone. A macvtap does not: it takes frames for ever, and is never
    /// readable again. Call this for a macvtap now and then, once a second for example, when nothing was received meanwhile;
    /// [`Threads`](crate::Threads) do. The request is `TUNGETIFF` on Linux.
    pub fn check_gone(&self) -> bool {
        if let Some(generation) = self.generation()
            && self.tap.is_removed()
        {
            self.mark_gone(generation);
        }
        self.is_gone()
    }

    /// Whether only [`check_gone`](Self::check_gone) tells the end of the interface.
    pub(crate) fn ends_silently(&self) -> bool {
        self.limits.ends_silently
    }

    #[inline]
    pub(crate) fn is_gone(&self) -> bool {
        self.generation().is_none()
    }

    /// The number of this attachment of the interface; `None` while the interface is gone.
    #[inline]
    pub(crate) fn generation(&self) -> Option<Generation> {
        self.generations.current()
    }

    #[inline]
    pub(crate) fn link_is_up(&self) -> bool {
        self.link.is_up()
    }

    pub(crate) fn receive_counters(&self) -> &ReceiveCounters {
        &self.counters.receive
    }

    /// Counts a frame that was taken before and contradicts itself.
    pub(crate) fn count_rejected(&self, reason: RejectReason) {
        self.counters.reject_received(reason);
    }

    /// The attachment to which frames can be moved now: the interface is there, and the guest's link is up.
    #[inline(always)]
    fn ready(&self) -> Option<Generation> {
        let generation = self.generations.current();
        if self.link.is_up() { generation } else { None }
    }

    #[cold]
    fn not_ready(&self) -> TransmitError {
        if self.is_gone() { TransmitError::Gone } else { TransmitError::LinkDown }
    }

    /// What the host is to do with frames of this moment.
    #[inline]
    fn host(&self) -> HostCapabilities {
        if self.vnet_len == 0 { HostCapabilities::NONE } else { self.capabilities.now() }
    }

    /// The time, while it is measured.
    #[inline(always)]
    pub(crate) fn clock(&self) -> Option<Instant> {
        if self.timed.load(Ordering::Relaxed) { Some(Instant::now()) } else { None }
    }

    #[cold]
    fn count_time(&self, counter: &Counter, start: Instant) {
        counter.add(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn count_receive_time(&self, start: Option<Instant>) {
        if let Some(start) = start {
            self.count_time(&self.counters.receive_nanos, start);
        }
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The name would have to be asked for, by a call that a sandbox may not allow where frames are moved.
        f.debug_struct("Backend").field("fd", &self.tap.as_raw_fd()).finish_non_exhaustive()
    }
}

/// Slices one system call takes: 1024 nearly everywhere, 16 on some Solaris.
fn most_slices() -> usize {
    let limit = sysconf(SysconfVar::IOV_MAX).ok().flatten().and_then(|limit| usize::try_from(limit).ok());
    limit.unwrap_or(LEAST_SLICES).clamp(LEAST_SLICES, MOST_SLICES)
}
