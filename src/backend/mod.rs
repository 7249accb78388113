//! The backend: owns a TAP, the transmit lock and the counters.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
mod error;
mod frame_log;
mod generation;
mod lengths;
mod link;
mod raw;
mod receive;
mod session;
mod statistics;
pub(crate) mod sync;
mod tally;
mod transmit;
mod transmit_lock;

use buffer::Pool;
use capabilities::Capabilities;
use frame_log::FrameLog;
use generation::Generations;
use link::LinkCell;
use statistics::Counters;
use transmit_lock::TransmitLock;

pub use buffer::TransmitBuffer;
pub use error::{ReceiveError, TransmitError};
pub(crate) use generation::Generation;
pub use link::LinkState;
pub use receive::Received;
pub use session::{OwnedTransmitter, Session, Transmitter};
pub(crate) use statistics::{Counter, ReceiveCounters};
pub use statistics::{ReceiveStatistics, Statistics, TransmitStatistics};
pub(crate) use transmit_lock::Debt;

/// Ethernet header and two VLAN tags.
const LINK_HEADERS: usize = 14 + 8;
/// The largest frame of any kind: an IP packet of 65535 bytes with its link headers.
pub(crate) const LARGEST_FRAME: usize = 65535 + LINK_HEADERS;
/// POSIX promises this many slices a call everywhere (`_XOPEN_IOV_MAX`).
const LEAST_SLICES: usize = 16;

/// What a backend tells the threads that drive it, where there are any.
pub(crate) trait Watcher: Send + Sync {
    /// A transmit session ended with debts.
    fn transmit_owed(&self, debt: Debt);
    /// The link state changed, or the interface was bound again.
    fn wake(&self);
    /// The interface was bound again.
    fn reattached(&self);
}

/// Who is told that transmitting is possible again.
#[derive(Default)]
struct Listeners {
    callback: Option<Arc<dyn Fn() + Send + Sync>>,
    watcher: Option<Arc<dyn Watcher>>,
}

/// Moves frames between a TAP and a guest's network device.
///
/// All methods take `&self`; none blocks and none spawns. One thread may receive while another one transmits; transmit
/// sessions exclude each other by a try-flag. Poll the descriptor ([`AsFd`]) in a loop of your own, or let
/// [`Threads`](crate::Threads) do it.
///
/// # What to do on each outcome, in a loop of your own
///
/// | outcome | do |
/// |---|---|
/// | `receive` gives a frame | hand it to the guest, call again |
/// | `receive` gives `None` | wait until the descriptor is readable; level, edge and one-shot pollers all work |
/// | [`ReceiveError::Truncated`](crate::ReceiveError::Truncated), `Runt` or `Rejected` | the frame was consumed and counted: call again |
/// | [`TransmitError::WouldBlock`](crate::TransmitError::WouldBlock), `InterfaceDown` | keep the frame, end the session, wait until the descriptor is writable, resume |
/// | the same, with an edge-triggered poller | ask once by `poll` after the refusal, too: Linux gives an edge when the interface comes up only to who has |
/// | `NoBufferSpace` | keep or drop the frame; retry after a pause, no event tells |
/// | `LinkDown`, `Rejected`, `Runt`, `Oversize` | the frame is dropped and counted: complete it towards the guest |
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
    longest: AtomicUsize,
    /// The guest's address on a data link, where frames for others come, too; see [`datalink::station_number`].
    station: AtomicU64,
    /// The guest wants others' frames.
    promiscuous: AtomicBool,
    most_slices: usize,
    /// The longest frame the interface can deliver, as far as is known.
    largest: AtomicUsize,
    /// The same without regard to offloads, when the MTU was last read.
    by_mtu: AtomicUsize,
    lock: TransmitLock,
    link: LinkCell,
    generations: Generations,
    counters: Counters,
    timed: AtomicBool,
    capabilities: Capabilities,
    log: FrameLog,
    pool: Arc<Pool>,
    listeners: Mutex<Listeners>,
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
            longest: AtomicUsize::new(0),
            station: AtomicU64::new(0),
            promiscuous: AtomicBool::new(false),
            most_slices: most_slices(),
            largest: AtomicUsize::new(LARGEST_FRAME),
            by_mtu: AtomicUsize::new(LARGEST_FRAME),
            lock: TransmitLock::new(),
            link: LinkCell::default(),
            generations: Generations::default(),
            counters: Counters::default(),
            timed: AtomicBool::new(false),
            capabilities: Capabilities::new(),
            log: FrameLog::new(),
            pool: Arc::default(),
            listeners: Mutex::default(),
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
    /// system call: the longest frame, plus 1. The virtio-net header is not in it.
    #[must_use]
    pub fn receive_buffer_len(&self) -> usize {
        self.largest.load(Ordering::Relaxed) + 1
    }

    /// Everything counted so far. Takes no lock that a frame could wait for; the count of the host's own drops costs a
    /// system call or two.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.counters.snapshot(self.tap.dropped_by_host())
    }

    /// Measures the time spent in transmit and receive calls; off at first, since it reads the clock twice a frame.
    pub fn measure_time(&self, on: bool) {
        self.timed.store(on, Ordering::Relaxed);
    }

    /// Leaves segmentation and checksums of transmitted frames to the host where it can do them (as at first), or does
    /// them here all the same.
    pub fn use_host_offload(&self, on: bool) {
        self.capabilities.use_them(on);
    }

    /// Delivers frames for other stations, too, where a data link lets them come; a TAP delivers everything anyway. May repeat
    /// a value.
    pub fn set_promiscuous(&self, on: bool) {
        self.promiscuous.store(on, Ordering::Relaxed);
        debug!("promiscuous mode {} (a TAP delivers every frame in any case)", if on { "on" } else { "off" });
    }

    /// Plugs the guest's virtual cable in or out. While it is out, frames are dropped both ways and counted; when it
    /// goes in, what the host queued meanwhile is dropped first. The host sees it as carrier, where it can.
    pub fn set_link_state(&self, state: LinkState) {
        let up = state == LinkState::Up;
        if up && !self.link.is_up() {
            self.discard(&self.counters.receive.link_down);
        }
        if self.link.set(state) != up {
            info!("guest's link is {state:?}");
            // The guest's link is ours to cut; that the host cannot show it is no failure.
            if let Err(error) = self.tap.set_carrier(up) {
                debug!("carrier of {:?} left alone: {error}", self.tap);
            }
        }
        if let Some(watcher) = self.watcher() {
            watcher.wake();
        }
    }

    /// Calls `callback` whenever a session ends during which [`begin_transmit`](Self::begin_transmit) turned somebody
    /// away. It runs on the thread that ended the session, with no lock held, and may begin a session itself. While
    /// [`Threads`](crate::Threads) drive the backend they answer instead, by `transmit_pending`.
    pub fn on_transmit_ready(&self, callback: impl Fn() + Send + Sync + 'static) {
        self.lock_listeners().callback = Some(Arc::new(callback));
    }

    /// Binds the interface again after its removal, as `config` describes it; counters, link state and registrations
    /// survive, programs are not run again. Other threads may go on calling: they get `Gone` until it is done.
    ///
    /// `true` when a poller must register the descriptor anew (its number stays the same; never so on Linux).
    ///
    /// # Errors
    /// As [`Config::attach`]; the backend stays as it was.
    pub fn reattach(&self, config: &Config) -> Result<bool, AttachError> {
        let changed = self.tap.reattach(config)?;
        self.refresh_mtu();
        self.generations.renew();
        self.capabilities.forget_refusals();
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
        self.fit_largest(granted);
        Ok(granted)
    }

    /// Notes that the interface is gone of `generation`; says so in the log the first time.
    #[cold]
    pub(crate) fn mark_gone(&self, generation: Generation) {
        if self.generations.lost(generation) {
            info!("the interface of {:?} is gone", self.tap);
        }
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

    /// Lets `watcher` answer debts from now on; `false` when somebody does so already.
    pub(crate) fn add_watcher(&self, watcher: Arc<dyn Watcher>) -> bool {
        let mut listeners = self.lock_listeners();
        let free = listeners.watcher.is_none();
        if free {
            listeners.watcher = Some(watcher);
        }
        free
    }

    pub(crate) fn remove_watcher(&self) {
        self.lock_listeners().watcher = None;
    }

    /// Ends a session and answers its debts, with no lock of ours held.
    #[inline]
    pub(crate) fn end_transmit(&self) {
        let debt = self.lock.end();
        if !debt.is_empty() {
            self.answer(debt);
        }
    }

    #[cold]
    fn answer(&self, debt: Debt) {
        let listeners = self.lock_listeners();
        let (watcher, callback) = (listeners.watcher.clone(), listeners.callback.clone());
        drop(listeners);
        match (watcher, callback) {
            (Some(watcher), _) => watcher.transmit_owed(debt),
            (None, Some(callback)) if debt.has(Debt::TURNED_AWAY) => callback(),
            _ => {}
        }
    }

    fn watcher(&self) -> Option<Arc<dyn Watcher>> {
        self.lock_listeners().watcher.clone()
    }

    fn lock_listeners(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Backend {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tap.as_fd()
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").field("tap", &self.tap).finish_non_exhaustive()
    }
}

/// Slices one system call takes: 1024 nearly everywhere, 16 on some Solaris.
fn most_slices() -> usize {
    let limit = sysconf(SysconfVar::IOV_MAX).ok().flatten().and_then(|limit| usize::try_from(limit).ok());
    limit.unwrap_or(LEAST_SLICES).clamp(LEAST_SLICES, MOST_SLICES)
}
